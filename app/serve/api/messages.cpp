// POST /v1/messages and /v1/messages/count_tokens (Anthropic's API reference, "Messages", "Streaming").

#include <utility>

#include "app/serve/api/anthropic_fields.h"
#include "app/serve/api/endpoints.h"
#include "app/serve/api/openai_json.h"
#include "app/serve/api/preparation.h"

namespace quern::app::serve {
namespace {

using engine::answer::Part;
using engine::scheduler::FinishReason;

Json inputOf(const std::string& arguments) {
  Json input = Json::parse(arguments, nullptr, false);
  return input.is_object() ? input : Json::object();
}

std::string stopReason(const AnswerSoFar& answer) {
  if (answer.reason == FinishReason::kStopString) return "stop_sequence";
  if (finishReasonKey(answer.reason) == "length") return "max_tokens";
  return answer.parser->message().calls.empty() ? "end_turn" : "tool_use";
}

Json stopSequence(const AnswerSoFar& answer) {
  return answer.stopText.empty() ? Json() : Json(answer.stopText);
}

/// Input tokens there are those that no cache had.
Json anthropicUsage(const Progress& progress) {
  const auto& usage = progress.usage;
  return {{"input_tokens", usage.promptTokens - usage.cachedTokens},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", usage.cachedTokens},
          {"output_tokens", usage.completionTokens},
          {"quern", quernJson(progress)}};
}

class WholeMessage final : public AnswerWriter {
 public:
  void finish(Call& call, const Progress& progress) override {
    const AnswerSoFar& answer = progress.answers.front();
    const engine::answer::Message& message = answer.parser->message();
    Json content = Json::array();
    if (!message.reasoning.empty())
      content.push_back({{"type", "thinking"}, {"thinking", message.reasoning}, {"signature", ""}});
    if (!message.content.empty()) content.push_back({{"type", "text"}, {"text", message.content}});
    for (const auto& one : message.calls) {
      content.push_back(
          {{"type", "tool_use"}, {"id", one.id}, {"name", one.name}, {"input", inputOf(one.arguments)}});
    }
    call.reply({{"id", "msg_" + progress.id},
                {"type", "message"},
                {"role", "assistant"},
                {"model", progress.model},
                {"content", std::move(content)},
                {"stop_reason", stopReason(answer)},
                {"stop_sequence", stopSequence(answer)},
                {"usage", anthropicUsage(progress)}});
  }
};

/// Blocks, one open at a time.
class MessageStream final : public AnswerWriter {
 public:
  void begin(Call& call, const Progress& progress) override {
    call.begin("text/event-stream");
    event(call, {{"type", "message_start"},
                 {"message",
                  {{"id", "msg_" + progress.id},
                   {"type", "message"},
                   {"role", "assistant"},
                   {"model", progress.model},
                   {"content", Json::array()},
                   {"stop_reason", nullptr},
                   {"stop_sequence", nullptr},
                   {"usage", anthropicUsage(progress)}}}});
  }

  void delta(Call& call, const Progress&, std::size_t, const Delta& delta) override {
    for (const Part& part : delta.parts) {
      switch (part.kind) {
        case Part::Kind::kReasoning:
          open(call, "thinking", {{"type", "thinking"}, {"thinking", ""}, {"signature", ""}});
          more(call, {{"type", "thinking_delta"}, {"thinking", part.text}});
          break;
        case Part::Kind::kContent:
          open(call, "text", {{"type", "text"}, {"text", ""}});
          more(call, {{"type", "text_delta"}, {"text", part.text}});
          break;
        case Part::Kind::kCallBegin:
          close(call);
          open(call, "tool_use",
               {{"type", "tool_use"}, {"id", part.id}, {"name", part.name}, {"input", Json::object()}});
          break;
        case Part::Kind::kArguments:
          more(call, {{"type", "input_json_delta"}, {"partial_json", part.text}});
          break;
        case Part::Kind::kCallEnd:
          close(call);
          break;
      }
    }
  }

  void finish(Call& call, const Progress& progress) override {
    const AnswerSoFar& answer = progress.answers.front();
    close(call);
    event(call, {{"type", "message_delta"},
                 {"delta", {{"stop_reason", stopReason(answer)}, {"stop_sequence", stopSequence(answer)}}},
                 {"usage", anthropicUsage(progress)}});
    event(call, {{"type", "message_stop"}});
    call.finish();
  }

  void fail(Call& call, const ApiError& error) override {
    event(call, errorJson(ApiStyle::kAnthropic, error, call.request().id));
  }

 private:
  static void event(Call& call, const Json& json) {
    call.write("event: " + json["type"].get<std::string>() + "\n" + sseData(json));
  }
  void open(Call& call, std::string_view type, Json block) {
    if (open_ == type) return;
    close(call);
    open_ = type;
    event(call, {{"type", "content_block_start"}, {"index", index_}, {"content_block", std::move(block)}});
  }
  void more(Call& call, Json delta) {
    event(call, {{"type", "content_block_delta"}, {"index", index_}, {"delta", std::move(delta)}});
  }
  void close(Call& call) {
    if (open_.empty()) return;
    // Clients keep what signs a block of thinking and send it back; there is nothing to sign here.
    if (open_ == "thinking") more(call, {{"type", "signature_delta"}, {"signature", ""}});
    event(call, {{"type", "content_block_stop"}, {"index", index_++}});
    open_ = {};
  }

  std::string_view open_;
  int index_ = 0;
};

}  // namespace

Handler messages(Service& service) {
  return withBody(service, ApiStyle::kAnthropic, [](const std::shared_ptr<Call>& call, const Json& body) {
    std::optional<ApiError> problem;
    Fields fields(body, problem);
    GenerationPlan plan;
    readAnthropic(fields, plan, true);
    if (problem) return call->fail(*problem);
    std::unique_ptr<AnswerWriter> writer;
    if (plan.isStreamed) {
      writer = std::make_unique<MessageStream>();
    } else {
      writer = std::make_unique<WholeMessage>();
    }
    generate(call, std::move(plan), std::move(writer));
  });
}

Handler countTokens(Service& service) {
  return withBody(service, ApiStyle::kAnthropic, [](const std::shared_ptr<Call>& call, const Json& body) {
    std::optional<ApiError> problem;
    Fields fields(body, problem);
    auto plan = std::make_shared<GenerationPlan>();
    readAnthropic(fields, *plan, false);
    if (problem) return call->fail(*problem);
    call->withModel(plan->model, [call, plan](const engine::scheduler::Lease& lease) {
      auto turn =
          engine::answer::prepareTurn(*lease, call->service().chatModel(lease), plan->messages, plan->turn);
      if (!turn) return call->fail(turn.error(), "messages");
      call->reply({{"input_tokens", turn->request.prompt.size()}});
    });
  });
}

}  // namespace quern::app::serve
