#include "app/serve/api/responses_fields.h"

#include <utility>

#include "app/serve/api/chat_messages.h"
#include "app/serve/api/openai_fields.h"
#include "engine/base/text.h"

namespace quern::app::serve {
namespace {

std::string textMember(Fields& fields, const Json& item, const std::string& at, const char* key) {
  if (item.contains(key) && item[key].is_string()) return item[key].get<std::string>();
  fields.fail(at + "." + key, "must be a text.", "invalid_type");
  return {};
}

/// Calls that follow one another are one answer's.
void addCall(Fields& fields, const Json& item, const std::string& at, Json& messages) {
  Json call = {{"id", textMember(fields, item, at, "call_id")},
               {"type", "function"},
               {"function",
                {{"name", textMember(fields, item, at, "name")},
                 {"arguments", textMember(fields, item, at, "arguments")}}}};
  if (!messages.empty() && messages.back()["role"] == "assistant") {
    messages.back()["tool_calls"].push_back(std::move(call));
    return;
  }
  messages.push_back(
      {{"role", "assistant"}, {"content", nullptr}, {"tool_calls", Json::array({std::move(call)})}});
}

void addItem(Fields& fields, const Json& item, const std::string& at, Json& messages) {
  if (!item.is_object()) return fields.fail(at, "must be an object.", "invalid_type");
  const Json type = item.value("type", Json("message"));
  if (type == "function_call") return addCall(fields, item, at, messages);
  if (type == "function_call_output") {
    messages.push_back({{"role", "tool"},
                        {"tool_call_id", textMember(fields, item, at, "call_id")},
                        {"content", readContent(fields, at + ".output", item.value("output", Json()))}});
    return;
  }
  if (type == "reasoning") return;  // what a model thought before is not shown to it again
  if (type != "message") {
    const std::string shown = engine::base::printable(dumped(type), 60);
    return fields.fail(at + ".type", "is " + shown + ", which is not possible here.", "unsupported_value");
  }
  const Json role = item.value("role", Json());
  if (role != "user" && role != "assistant" && role != "system" && role != "developer")
    return fields.fail(at + ".role", R"(must be "user", "assistant", "system" or "developer".)");
  messages.push_back(
      {{"role", role}, {"content", readContent(fields, at + ".content", item.value("content", Json()))}});
}

void readInput(Fields& fields, GenerationPlan& plan) {
  plan.promptField = "input";
  plan.messages = Json::array();
  if (const auto instructions = fields.text("instructions"))
    plan.messages.push_back({{"role", "system"}, {"content", *instructions}});
  const Json* input = fields.find("input");
  if (input != nullptr && input->is_string()) {
    plan.messages.push_back({{"role", "user"}, {"content", *input}});
    return;
  }
  if (input == nullptr || !input->is_array() || input->empty())
    return fields.fail("input", "must be a text or a list of items.", "missing_field");
  for (std::size_t i = 0; i < input->size() && fields.ok(); ++i)
    addItem(fields, (*input)[i], "input[" + std::to_string(i) + "]", plan.messages);
}

void readResponseTools(Fields& fields, GenerationPlan& plan) {
  const Json* tools = fields.list("tools");
  for (std::size_t i = 0; tools != nullptr && i < tools->size(); ++i) {
    const Json& tool = (*tools)[i];
    if (tool.is_object() && tool.value("type", Json()) == "function") continue;
    return fields.fail("tools[" + std::to_string(i) + "].type",
                       "must be \"function\": other tools run on OpenAI's servers.", "unsupported_value");
  }
  Json choice;
  if (const Json* given = fields.find("tool_choice")) {
    choice = *given;
    if (given->is_object()) choice = {{"function", {{"name", given->value("name", Json(""))}}}};
  }
  readTools(fields, tools, choice, plan);
}

/// What would need a memory of earlier requests, or somebody who works on after the answer.
void refuseState(Fields& fields) {
  for (const char* const name : {"previous_response_id", "conversation", "prompt"}) {
    if (fields.find(name) == nullptr) continue;
    fields.fail(name,
                "is not possible here: Quern keeps no responses. Send the whole conversation as \"input\".",
                "unsupported_value");
  }
  if (fields.flag("background").value_or(false))
    fields.fail("background", "is not possible here: an answer lives as long as its request.",
                "unsupported_value");
}

Json given(const Fields& fields, const char* name, Json otherwise) {
  const Json* value = fields.find(name);
  return value != nullptr ? *value : std::move(otherwise);
}

}  // namespace

Json readResponses(Fields& fields, GenerationPlan& plan) {
  plan.model = fields.text("model").value_or("");
  plan.isChat = true;
  refuseState(fields);
  readInput(fields, plan);
  readResponseTools(fields, plan);
  plan.isStreamed = fields.flag("stream").value_or(false);
  readSampling(fields, plan);
  if (plan.answers != 1) fields.fail("n", "must be 1 here.");
  readMaxTokens(fields, {"max_output_tokens"}, plan);
  plan.formatField = "text.format";
  if (const Json* text = fields.object("text")) {
    const auto format = text->find("format");
    if (format != text->end() && format->is_object())
      readFormatObject(fields, "text.format", *format, *format, plan);
  }
  if (const Json* reasoning = fields.object("reasoning")) {
    if (reasoning->value("effort", Json()) == "none") plan.turn.reasoningTokens = 0;
  }
  refuseContradictions(fields, plan);
  return {{"instructions", given(fields, "instructions", {})},
          {"max_output_tokens", given(fields, "max_output_tokens", {})},
          {"metadata", given(fields, "metadata", Json::object())},
          {"parallel_tool_calls", plan.turn.parallel},
          {"previous_response_id", nullptr},
          {"reasoning", given(fields, "reasoning", {{"effort", nullptr}, {"summary", nullptr}})},
          {"store", false},
          {"temperature", given(fields, "temperature", plan.request.sampling.temperature)},
          {"text", given(fields, "text", {{"format", {{"type", "text"}}}})},
          {"tool_choice", given(fields, "tool_choice", "auto")},
          {"tools", given(fields, "tools", Json::array())},
          {"top_p", given(fields, "top_p", plan.request.sampling.topP)},
          {"truncation", "disabled"}};
}

}  // namespace quern::app::serve
