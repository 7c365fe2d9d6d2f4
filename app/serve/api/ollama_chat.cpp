// POST /api/chat and /api/generate (Ollama's docs/api.md): a line of JSON for each piece.

#include <utility>

#include "app/serve/api/endpoints.h"
#include "app/serve/api/ollama_fields.h"
#include "app/serve/api/openai_fields.h"
#include "app/serve/api/openai_json.h"
#include "app/serve/api/preparation.h"

namespace quern::app::serve {
namespace {

using engine::answer::Part;

std::int64_t nanoseconds(double ms) { return static_cast<std::int64_t>(ms * 1e6); }

/// Ollama's calls have objects for arguments.
Json ollamaCall(const std::string& name, const std::string& arguments) {
  Json object = Json::parse(arguments, nullptr, false);
  if (!object.is_object()) object = Json::object();
  return {{"function", {{"name", name}, {"arguments", std::move(object)}}}};
}

class OllamaWriter final : public AnswerWriter {
 public:
  OllamaWriter(bool isChat, bool isStreamed) : isChat_(isChat), isStreamed_(isStreamed) {}

  void begin(Call& call, const Progress&) override { call.begin("application/x-ndjson"); }

  void delta(Call& call, const Progress& progress, std::size_t, const Delta& delta) override {
    if (!progress.answers.front().parser) return line(call, progress, std::string(delta.text), "", {});
    for (const Part& part : delta.parts) {
      switch (part.kind) {
        case Part::Kind::kContent:
          line(call, progress, part.text, "", {});
          break;
        case Part::Kind::kReasoning:
          line(call, progress, "", part.text, {});
          break;
        case Part::Kind::kCallEnd: {
          const auto& one =
              progress.answers.front().parser->message().calls[static_cast<std::size_t>(part.call)];
          line(call, progress, "", "", Json::array({ollamaCall(one.name, one.arguments)}));
          break;
        }
        default:
          break;
      }
    }
  }

  void finish(Call& call, const Progress& progress) override {
    const AnswerSoFar& answer = progress.answers.front();
    std::string content = answer.text;
    std::string thinking;
    Json calls;
    if (answer.parser) {
      const engine::answer::Message& message = answer.parser->message();
      content = message.content;
      thinking = message.reasoning;
      for (const auto& one : message.calls) calls.push_back(ollamaCall(one.name, one.arguments));
    }
    Json json = isStreamed_ ? lineJson(progress, "", "", {})
                            : lineJson(progress, std::move(content), std::move(thinking), std::move(calls));
    const auto& timings = progress.timings;
    json["done"] = true;
    json["done_reason"] = finishReasonKey(answer.reason);
    json["total_duration"] = nanoseconds(timings.firstTokenMs + timings.decodeMs);
    json["load_duration"] = 0;
    json["prompt_eval_count"] = progress.usage.promptTokens;
    json["prompt_eval_duration"] = nanoseconds(timings.promptMs);
    json["eval_count"] = progress.usage.completionTokens;
    json["eval_duration"] = nanoseconds(timings.decodeMs);
    json["quern"] = quernJson(progress);
    if (!isStreamed_) return call.reply(json);
    call.write(dumped(json) + "\n");
    call.finish();
  }

  void fail(Call& call, const ApiError& error) override {
    call.write(dumped(errorJson(ApiStyle::kOllama, error, call.request().id)) + "\n");
  }

 private:
  Json lineJson(const Progress& progress, std::string text, std::string thinking, Json calls) const {
    Json json = {{"model", progress.model}, {"created_at", isoTime()}};
    Json& target = isChat_ ? json["message"] : json;
    if (isChat_) target["role"] = "assistant";
    target[isChat_ ? "content" : "response"] = std::move(text);
    if (!thinking.empty()) target["thinking"] = std::move(thinking);
    if (!calls.is_null()) target["tool_calls"] = std::move(calls);
    json["done"] = false;
    return json;
  }
  void line(Call& call, const Progress& progress, std::string text, std::string thinking, Json calls) const {
    call.write(dumped(lineJson(progress, std::move(text), std::move(thinking), std::move(calls))) + "\n");
  }

  const bool isChat_;
  const bool isStreamed_;
};

/// A request without a question asks that the model be loaded.
void loadOnly(const std::shared_ptr<Call>& call, const GenerationPlan& plan, bool isChat) {
  call->withModel(plan.model, [call, isChat](const engine::scheduler::Lease&) {
    Json json = {{"model", call->modelName()}, {"created_at", isoTime()}};
    if (isChat) {
      json["message"] = {{"role", "assistant"}, {"content", ""}};
    } else {
      json["response"] = "";
    }
    json["done"] = true;
    json["done_reason"] = "load";
    call->reply(json);
  });
}

void answer(const std::shared_ptr<Call>& call, GenerationPlan plan, bool isChat) {
  auto writer = std::make_unique<OllamaWriter>(isChat, plan.isStreamed);
  generate(call, std::move(plan), std::move(writer));
}

}  // namespace

Handler ollamaChat(Service& service) {
  return withBody(service, ApiStyle::kOllama, [](const std::shared_ptr<Call>& call, const Json& body) {
    std::optional<ApiError> problem;
    Fields fields(body, problem);
    GenerationPlan plan;
    readOllama(fields, plan);
    readOllamaMessages(fields, plan);
    readTools(fields, fields.list("tools"), Json(), plan);
    refuseContradictions(fields, plan);
    if (problem) return call->fail(*problem);
    if (plan.messages.empty()) return loadOnly(call, plan, true);
    plan.isChat = true;
    answer(call, std::move(plan), true);
  });
}

Handler ollamaGenerate(Service& service) {
  return withBody(service, ApiStyle::kOllama, [](const std::shared_ptr<Call>& call, const Json& body) {
    std::optional<ApiError> problem;
    Fields fields(body, problem);
    GenerationPlan plan;
    plan.promptField = "prompt";
    readOllama(fields, plan);
    if (const Json* images = fields.find("images"); images != nullptr && !images->empty())
      fields.fail("images", "cannot be read; the models here read text only.", "unsupported_content");
    if (fields.text("suffix").value_or("") != "")
      fields.fail("suffix", "has its place in /infill.", "unsupported_value");
    const std::string prompt = fields.text("prompt").value_or("");
    const std::string system = fields.text("system").value_or("");
    const bool isRaw = fields.flag("raw").value_or(false);
    if (problem) return call->fail(*problem);
    if (prompt.empty()) return loadOnly(call, plan, false);
    if (isRaw) {
      plan.prompts.emplace_back(prompt);
    } else {
      plan.isChat = true;
      plan.messages = Json::array();
      if (!system.empty()) plan.messages.push_back({{"role", "system"}, {"content", system}});
      plan.messages.push_back({{"role", "user"}, {"content", prompt}});
    }
    answer(call, std::move(plan), false);
  });
}

}  // namespace quern::app::serve
