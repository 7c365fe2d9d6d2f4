// POST /v1/chat/completions (OpenAI's API reference, "Chat Completions").

#include <utility>

#include "app/serve/api/chat_messages.h"
#include "app/serve/api/endpoints.h"
#include "app/serve/api/openai_fields.h"
#include "app/serve/api/openai_json.h"

namespace quern::app::serve {
namespace {

using engine::answer::Part;

struct Shown {
  bool logprobs = false;
  std::size_t topLogprobs = 0;
  bool usage = false;  ///< of a stream
};

Json choiceJson(const Progress& progress, std::size_t index, const Shown& shown) {
  const AnswerSoFar& answer = progress.answers[index];
  const engine::answer::Message& message = answer.parser->message();
  Json json = {{"role", "assistant"}, {"content", message.content}, {"refusal", nullptr}};
  if (!message.reasoning.empty()) json["reasoning_content"] = message.reasoning;
  if (!message.calls.empty()) {
    json["tool_calls"] = toolCallsJson(message);
    if (message.content.empty()) json["content"] = nullptr;
  }
  return {{"index", index},
          {"message", std::move(json)},
          {"logprobs",
           shown.logprobs ? chatLogprobs(*progress.tokenizer, answer.logprobs, shown.topLogprobs) : Json()},
          {"finish_reason", finishReason(answer)}};
}

class WholeAnswer final : public AnswerWriter {
 public:
  explicit WholeAnswer(Shown shown) : shown_(shown) {}
  void finish(Call& call, const Progress& progress) override {
    Json choices = Json::array();
    for (std::size_t i = 0; i < progress.answers.size(); ++i)
      choices.push_back(choiceJson(progress, i, shown_));
    call.reply({{"id", "chatcmpl-" + progress.id},
                {"object", "chat.completion"},
                {"created", progress.created},
                {"model", progress.model},
                {"choices", std::move(choices)},
                {"usage", usageJson(progress)},
                {"system_fingerprint", "quern-" + call.service().options().version}});
  }

 private:
  const Shown shown_;
};

class AnswerStream final : public AnswerWriter {
 public:
  explicit AnswerStream(Shown shown) : shown_(shown) {}

  void begin(Call& call, const Progress& progress) override {
    call.begin("text/event-stream");
    for (std::size_t i = 0; i < progress.answers.size(); ++i)
      write(call, progress, i, {{"role", "assistant"}, {"content", ""}});
  }

  void delta(Call& call, const Progress& progress, std::size_t index, const Delta& delta) override {
    Json logprobs;
    if (shown_.logprobs && delta.logprobs != nullptr)
      logprobs = chatLogprobs(*progress.tokenizer, *delta.logprobs, shown_.topLogprobs);
    for (const Part& part : delta.parts) {
      Json json = partJson(part);
      if (!json.is_null()) write(call, progress, index, std::move(json), std::exchange(logprobs, Json()));
    }
    if (!logprobs.is_null()) write(call, progress, index, Json::object(), std::move(logprobs));
  }

  void done(Call& call, const Progress& progress, std::size_t index) override {
    write(call, progress, index, Json::object(), Json(), finishReason(progress.answers[index]));
  }

  void finish(Call& call, const Progress& progress) override {
    if (shown_.usage) {
      Json chunk = chunkJson(call, progress);
      chunk["choices"] = Json::array();
      chunk["usage"] = usageJson(progress);
      call.write(sseData(chunk));
    }
    call.write("data: [DONE]\n\n");
    call.finish();
  }

  void fail(Call& call, const ApiError& error) override {
    call.write(sseData(errorJson(ApiStyle::kOpenAi, error, call.request().id)));
  }

 private:
  static Json partJson(const Part& part) {
    switch (part.kind) {
      case Part::Kind::kReasoning:
        return {{"reasoning_content", part.text}};
      case Part::Kind::kContent:
        return {{"content", part.text}};
      case Part::Kind::kCallBegin:
        return {{"tool_calls", Json::array({{{"index", part.call},
                                             {"id", part.id},
                                             {"type", "function"},
                                             {"function", {{"name", part.name}, {"arguments", ""}}}}})}};
      case Part::Kind::kArguments:
        return {
            {"tool_calls", Json::array({{{"index", part.call}, {"function", {{"arguments", part.text}}}}})}};
      case Part::Kind::kCallEnd:
        break;
    }
    return {};
  }

  static Json chunkJson(const Call& call, const Progress& progress) {
    return {{"id", "chatcmpl-" + progress.id},
            {"object", "chat.completion.chunk"},
            {"created", progress.created},
            {"model", progress.model},
            {"system_fingerprint", "quern-" + call.service().options().version}};
  }

  void write(Call& call, const Progress& progress, std::size_t index, Json delta, Json logprobs = {},
             Json reason = {}) {
    Json chunk = chunkJson(call, progress);
    Json choice = {{"index", index}, {"delta", std::move(delta)}};
    choice["logprobs"] = std::move(logprobs);
    choice["finish_reason"] = std::move(reason);
    chunk["choices"].push_back(std::move(choice));
    if (shown_.usage) chunk["usage"] = nullptr;
    call.write(sseData(chunk));
  }

  const Shown shown_;
};

Shown readLogprobs(Fields& fields, GenerationPlan& plan) {
  Shown shown;
  shown.logprobs = fields.flag("logprobs").value_or(false);
  const auto top = fields.integer("top_logprobs", 0, 20);
  if (top && !shown.logprobs) fields.fail("top_logprobs", "makes sense only with \"logprobs\": true.");
  shown.topLogprobs = static_cast<std::size_t>(top.value_or(0));
  if (shown.logprobs)
    plan.request.topLogprobs = std::max<std::int32_t>(1, static_cast<std::int32_t>(shown.topLogprobs));
  return shown;
}

void readReasoning(Fields& fields, GenerationPlan& plan) {
  if (const auto budget = fields.integer("reasoning_budget", -1, kMostTokens))
    plan.turn.reasoningTokens = static_cast<std::int32_t>(*budget);
  const auto effort = fields.text("reasoning_effort");
  if (effort && *effort == "none") plan.turn.reasoningTokens = 0;
}

}  // namespace

Handler chatCompletions(Service& service) {
  return withBody(service, ApiStyle::kOpenAi, [](const std::shared_ptr<Call>& call, const Json& body) {
    std::optional<ApiError> problem;
    Fields fields(body, problem);
    GenerationPlan plan;
    plan.model = fields.text("model").value_or("");
    plan.isChat = true;
    plan.messages = readMessages(fields);
    Shown shown = readLogprobs(fields, plan);
    shown.usage = readStream(fields, plan);
    readSampling(fields, plan);
    readMaxTokens(fields, {"max_completion_tokens", "max_tokens"}, plan);
    readReasoning(fields, plan);
    readFormat(fields, plan);
    const Json* choice = fields.find("tool_choice");
    readTools(fields, fields.list("tools"), choice != nullptr ? *choice : Json(), plan);
    refuseContradictions(fields, plan);
    if (problem) return call->fail(*problem);
    std::unique_ptr<AnswerWriter> writer;
    if (plan.isStreamed) {
      writer = std::make_unique<AnswerStream>(shown);
    } else {
      writer = std::make_unique<WholeAnswer>(shown);
    }
    generate(call, std::move(plan), std::move(writer));
  });
}

}  // namespace quern::app::serve
