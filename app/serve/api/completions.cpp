// POST /v1/completions (OpenAI's API reference, "Completions"), and /infill, which is one between two texts.

#include <algorithm>
#include <utility>

#include "app/serve/api/endpoints.h"
#include "app/serve/api/fill_in.h"
#include "app/serve/api/openai_fields.h"
#include "app/serve/api/openai_json.h"
#include "app/serve/api/prompts.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::app::serve {
namespace {

using Logprobs = std::vector<std::vector<engine::scheduler::TokenLogprob>>;

/// The form of this endpoint: lists side by side. `offset`: characters before the first token.
Json logprobsJson(const Progress& progress, const Logprobs& tokens, std::size_t top, std::size_t& offset) {
  Json texts = Json::array(), values = Json::array(), tops = Json::array(), offsets = Json::array();
  for (const auto& all : tokens) {
    if (all.empty()) continue;
    const std::string text = progress.tokenizer->tokenBytes(all.front().token, true);
    texts.push_back(text);
    values.push_back(all.front().logprob);
    offsets.push_back(offset);
    offset += text.size();
    Json others = Json::object();
    for (std::size_t i = 1; i < all.size() && i <= top; ++i) {
      // Bytes that are no text cannot be a name in JSON.
      const std::string name = Json(progress.tokenizer->tokenBytes(all[i].token, true))
                                   .dump(-1, ' ', false, Json::error_handler_t::replace);
      others[name.substr(1, name.size() - 2)] = all[i].logprob;
    }
    tops.push_back(std::move(others));
  }
  return {{"tokens", std::move(texts)},
          {"token_logprobs", std::move(values)},
          {"top_logprobs", std::move(tops)},
          {"text_offset", std::move(offsets)}};
}

class CompletionWriter final : public AnswerWriter {
 public:
  CompletionWriter(bool isStreamed, std::optional<std::size_t> logprobs, bool usage)
      : isStreamed_(isStreamed), logprobs_(logprobs), usage_(usage) {}

  void begin(Call& call, const Progress& progress) override {
    call.begin("text/event-stream");
    offsets_.resize(progress.answers.size());
  }
  void delta(Call& call, const Progress& progress, std::size_t index, const Delta& delta) override {
    Json logprobs;
    if (logprobs_ && delta.logprobs != nullptr)
      logprobs = logprobsJson(progress, *delta.logprobs, *logprobs_, offsets_[index]);
    write(call, progress, index, std::string(delta.text), std::move(logprobs), Json());
  }
  void done(Call& call, const Progress& progress, std::size_t index) override {
    write(call, progress, index, "", Json(), finishReason(progress.answers[index]));
  }
  void finish(Call& call, const Progress& progress) override {
    Json json = head(call, progress);
    if (!isStreamed_) {
      for (std::size_t i = 0; i < progress.answers.size(); ++i) {
        const AnswerSoFar& answer = progress.answers[i];
        std::size_t offset = 0;
        Json logprobs;
        if (logprobs_) logprobs = logprobsJson(progress, answer.logprobs, *logprobs_, offset);
        json["choices"].push_back({{"index", i},
                                   {"text", answer.text},
                                   {"logprobs", std::move(logprobs)},
                                   {"finish_reason", finishReason(answer)}});
      }
      json["usage"] = usageJson(progress);
      return call.reply(json);
    }
    if (usage_) {
      json["usage"] = usageJson(progress);
      call.write(sseData(json));
    }
    call.write("data: [DONE]\n\n");
    call.finish();
  }
  void fail(Call& call, const ApiError& error) override {
    call.write(sseData(errorJson(ApiStyle::kOpenAi, error, call.request().id)));
  }

 private:
  static Json head(const Call& call, const Progress& progress) {
    return {{"id", "cmpl-" + progress.id},
            {"object", "text_completion"},
            {"created", progress.created},
            {"model", progress.model},
            {"system_fingerprint", "quern-" + call.service().options().version},
            {"choices", Json::array()}};
  }
  void write(Call& call, const Progress& progress, std::size_t index, std::string text, Json logprobs,
             Json reason) {
    Json chunk = head(call, progress);
    chunk["choices"].push_back({{"index", index},
                                {"text", std::move(text)},
                                {"logprobs", std::move(logprobs)},
                                {"finish_reason", std::move(reason)}});
    if (usage_) chunk["usage"] = nullptr;
    call.write(sseData(chunk));
  }

  const bool isStreamed_;
  const std::optional<std::size_t> logprobs_;
  const bool usage_;
  std::vector<std::size_t> offsets_;
};

void sample(const std::shared_ptr<Call>& call, Fields& fields, GenerationPlan plan) {
  plan.promptField = "prompt";
  plan.model = fields.text("model").value_or("");
  const bool usage = readStream(fields, plan);
  readSampling(fields, plan);
  readMaxTokens(fields, {"max_tokens", "n_predict"}, plan);
  readFormat(fields, plan);
  std::optional<std::size_t> logprobs;
  if (const auto top = fields.integer("logprobs", 0, 20)) {
    logprobs = static_cast<std::size_t>(*top);
    plan.request.topLogprobs = std::max<std::int32_t>(1, static_cast<std::int32_t>(*top));
  }
  if (fields.flag("echo").value_or(false))
    fields.fail("echo", "is not possible here: the answer does not repeat its prompt.", "unsupported_value");
  if (const auto best = fields.integer("best_of", 1, kMostAnswers); best && *best != plan.answers)
    fields.fail("best_of", "is not possible here, unless it is n.", "unsupported_value");
  if (fields.text("suffix").value_or("") != "")
    fields.fail("suffix", "has its place in /infill.", "unsupported_value");
  if (static_cast<std::int64_t>(plan.prompts.size()) * plan.answers > kMostAnswers)
    fields.fail("n", "times the number of prompts must be at most " + std::to_string(kMostAnswers) + ".",
                "out_of_range");
  if (!fields.ok()) return call->fail(*fields.problem());
  const bool isStreamed = plan.isStreamed;
  generate(call, std::move(plan), std::make_unique<CompletionWriter>(isStreamed, logprobs, usage));
}

}  // namespace

Handler completions(Service& service) {
  return withBody(service, ApiStyle::kOpenAi, [](const std::shared_ptr<Call>& call, const Json& body) {
    std::optional<ApiError> problem;
    Fields fields(body, problem);
    GenerationPlan plan;
    plan.prompts = readPrompts(fields, "prompt", static_cast<std::size_t>(kMostAnswers));
    plan.request.maxTokens = 16;  // OpenAI's default here
    sample(call, fields, std::move(plan));
  });
}

Handler infill(Service& service) {
  return withBody(service, ApiStyle::kOpenAi, [](const std::shared_ptr<Call>& call, const Json& body) {
    std::optional<ApiError> problem;
    Fields fields(body, problem);
    const std::string before = fields.text("input_prefix").value_or("");
    const std::string after = fields.text("input_suffix").value_or("");
    if (before.empty() && after.empty())
      fields.fail("input_prefix", "and \"input_suffix\" are both empty.", "missing_field");
    GenerationPlan plan;
    plan.makePrompt = [before, after](const engine::scheduler::Engine& engine) {
      return fillInPrompt(*engine.tokenizer(), before, after);
    };
    sample(call, fields, std::move(plan));
  });
}

}  // namespace quern::app::serve
