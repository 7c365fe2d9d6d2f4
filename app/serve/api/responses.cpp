// POST /v1/responses (OpenAI's API reference, "Responses", "Streaming events"), without a memory.

#include <utility>

#include "app/serve/api/endpoints.h"
#include "app/serve/api/openai_json.h"
#include "app/serve/api/preparation.h"
#include "app/serve/api/responses_fields.h"

namespace quern::app::serve {
namespace {

using engine::answer::Part;

Json textPart(const std::string& text) {
  return {
      {"type", "output_text"}, {"text", text}, {"annotations", Json::array()}, {"logprobs", Json::array()}};
}

/// One thing of the output: a message, a call, or reasoning.
struct Item {
  enum class Kind { kReasoning, kMessage, kCall } kind = Kind::kMessage;
  std::string id;
  std::string text;  ///< or arguments
  std::string callId;
  std::string name;

  Json json(bool isDone) const {
    const char* const status = isDone ? "completed" : "in_progress";
    switch (kind) {
      case Kind::kReasoning: {
        Json content = Json::array();
        if (isDone) content.push_back({{"type", "reasoning_text"}, {"text", text}});
        return {{"id", id},
                {"type", "reasoning"},
                {"summary", Json::array()},
                {"content", std::move(content)},
                {"status", status}};
      }
      case Kind::kCall:
        return {{"id", id},         {"type", "function_call"},
                {"status", status}, {"call_id", callId},
                {"name", name},     {"arguments", isDone ? text : std::string()}};
      case Kind::kMessage:
        break;
    }
    Json content = Json::array();
    if (isDone) content.push_back(textPart(text));
    return {{"id", id},
            {"type", "message"},
            {"status", status},
            {"role", "assistant"},
            {"content", std::move(content)}};
  }
};

/// Both forms: the items are the same, a stream tells how they come.
class ResponseWriter final : public AnswerWriter {
 public:
  ResponseWriter(Json echo, bool isStreamed) : echo_(std::move(echo)), isStreamed_(isStreamed) {}

  void begin(Call& call, const Progress& progress) override {
    call.begin("text/event-stream");
    event(call, "response.created", {{"response", response(progress, "in_progress")}});
    event(call, "response.in_progress", {{"response", response(progress, "in_progress")}});
  }

  void delta(Call& call, const Progress&, std::size_t, const Delta& delta) override {
    for (const Part& part : delta.parts) take(&call, part);
  }

  void finish(Call& call, const Progress& progress) override {
    const AnswerSoFar& answer = progress.answers.front();
    if (!isStreamed_) collect(answer.parser->message());
    close(isStreamed_ ? &call : nullptr);
    const bool isWhole = finishReasonKey(answer.reason) != "length";
    Json json = response(progress, isWhole ? "completed" : "incomplete");
    if (!isWhole) json["incomplete_details"] = {{"reason", "max_output_tokens"}};
    const auto& usage = progress.usage;
    json["usage"] = {{"input_tokens", usage.promptTokens},
                     {"input_tokens_details", {{"cached_tokens", usage.cachedTokens}}},
                     {"output_tokens", usage.completionTokens},
                     {"output_tokens_details", {{"reasoning_tokens", 0}}},
                     {"total_tokens", usage.promptTokens + usage.completionTokens},
                     {"quern", quernJson(progress)}};
    if (!isStreamed_) return call.reply(json);
    event(call, isWhole ? "response.completed" : "response.incomplete", {{"response", std::move(json)}});
    call.finish();
  }

  void fail(Call& call, const ApiError& error) override {
    event(call, "error", {{"code", error.code}, {"message", error.message}, {"param", error.param}});
  }

 private:
  Json response(const Progress& progress, const char* status) const {
    Json output = Json::array();
    for (const Item& item : items_) output.push_back(item.json(true));
    Json json = {{"id", "resp_" + progress.id},
                 {"object", "response"},
                 {"created_at", progress.created},
                 {"status", status},
                 {"error", nullptr},
                 {"incomplete_details", nullptr},
                 {"model", progress.model},
                 {"output", std::move(output)},
                 {"usage", nullptr}};
    json.update(echo_);
    return json;
  }

  void event(Call& call, const std::string& type, Json json) {
    Json whole = {{"type", type}, {"sequence_number", sequence_++}};
    whole.update(json);
    call.write("event: " + type + "\n" + sseData(whole));
  }
  /// Where in the output the open item is.
  Json place() const { return {{"item_id", items_.back().id}, {"output_index", items_.size() - 1}}; }
  void placed(Call* call, const std::string& type, const Json& more, bool inPart = true) {
    if (call == nullptr) return;
    Json json = place();
    if (inPart) json["content_index"] = 0;
    json.update(more);
    event(*call, type, std::move(json));
  }

  void open(Call* call, Item::Kind kind, const Part& part) {
    if (isOpen_ && items_.back().kind == kind && kind != Item::Kind::kCall) return;
    close(call);
    isOpen_ = true;
    const char* const prefix = kind == Item::Kind::kMessage ? "msg_"
                               : kind == Item::Kind::kCall  ? "fc_"
                                                            : "rs_";
    items_.push_back({kind, prefix + randomId(), "", part.id, part.name});
    if (call == nullptr) return;
    event(*call, "response.output_item.added",
          {{"output_index", items_.size() - 1}, {"item", items_.back().json(false)}});
    if (kind == Item::Kind::kMessage) placed(call, "response.content_part.added", {{"part", textPart("")}});
  }

  void close(Call* call) {
    if (!std::exchange(isOpen_, false) || call == nullptr) return;
    const Item& item = items_.back();
    if (item.kind == Item::Kind::kMessage) {
      placed(call, "response.output_text.done", {{"text", item.text}, {"logprobs", Json::array()}});
      placed(call, "response.content_part.done", {{"part", textPart(item.text)}});
    } else if (item.kind == Item::Kind::kCall) {
      placed(call, "response.function_call_arguments.done", {{"name", item.name}, {"arguments", item.text}},
             false);
    } else {
      placed(call, "response.reasoning_text.done", {{"text", item.text}});
    }
    event(*call, "response.output_item.done",
          {{"output_index", items_.size() - 1}, {"item", item.json(true)}});
  }

  void take(Call* call, const Part& part) {
    switch (part.kind) {
      case Part::Kind::kReasoning:
        open(call, Item::Kind::kReasoning, part);
        items_.back().text += part.text;
        return placed(call, "response.reasoning_text.delta", {{"delta", part.text}});
      case Part::Kind::kContent:
        open(call, Item::Kind::kMessage, part);
        items_.back().text += part.text;
        return placed(call, "response.output_text.delta",
                      {{"delta", part.text}, {"logprobs", Json::array()}});
      case Part::Kind::kCallBegin:
        return open(call, Item::Kind::kCall, part);
      case Part::Kind::kArguments:
        items_.back().text += part.text;
        return placed(call, "response.function_call_arguments.delta", {{"delta", part.text}}, false);
      case Part::Kind::kCallEnd:
        return close(call);
    }
  }

  void collect(const engine::answer::Message& message) {
    Part part;
    if (!message.reasoning.empty()) {
      part.kind = Part::Kind::kReasoning;
      part.text = message.reasoning;
      take(nullptr, part);
    }
    if (!message.content.empty()) {
      part.kind = Part::Kind::kContent;
      part.text = message.content;
      take(nullptr, part);
    }
    for (const auto& one : message.calls) {
      close(nullptr);
      items_.push_back({Item::Kind::kCall, "fc_" + randomId(), one.arguments, one.id, one.name});
    }
  }

  const Json echo_;
  const bool isStreamed_;
  std::vector<Item> items_;
  bool isOpen_ = false;
  std::int64_t sequence_ = 0;
};

}  // namespace

Handler responses(Service& service) {
  return withBody(service, ApiStyle::kOpenAi, [](const std::shared_ptr<Call>& call, const Json& body) {
    std::optional<ApiError> problem;
    Fields fields(body, problem);
    GenerationPlan plan;
    Json echo = readResponses(fields, plan);
    if (problem) return call->fail(*problem);
    auto writer = std::make_unique<ResponseWriter>(std::move(echo), plan.isStreamed);
    generate(call, std::move(plan), std::move(writer));
  });
}

}  // namespace quern::app::serve
