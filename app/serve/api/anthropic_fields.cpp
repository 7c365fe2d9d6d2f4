#include "app/serve/api/anthropic_fields.h"

#include <utility>

#include "app/serve/api/openai_fields.h"
#include "engine/base/text.h"

namespace quern::app::serve {
namespace {

using engine::sampling::Parameters;

std::string typeOf(const Json& block) {
  return block.is_object() && block.contains("type") && block["type"].is_string()
             ? block["type"].get<std::string>()
             : std::string();
}

void refuse(Fields& fields, const std::string& name, const std::string& type) {
  fields.fail(name + ".type", "is \"" + engine::base::printable(type) + "\"; the models here read text only.",
              "unsupported_content");
}

std::string member(Fields& fields, const std::string& name, const Json& block, const char* key) {
  if (block.contains(key) && block[key].is_string()) return block[key].get<std::string>();
  fields.fail(name + "." + key, "must be a text.", "invalid_type");
  return {};
}

/// A text, or blocks of texts: of "system" and of tool results.
std::string textOf(Fields& fields, const std::string& name, const Json& content) {
  if (content.is_null()) return {};
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) {
    fields.fail(name, "must be a text or a list of blocks.", "invalid_type");
    return {};
  }
  std::string text;
  for (std::size_t i = 0; i < content.size() && fields.ok(); ++i) {
    const std::string at = name + "[" + std::to_string(i) + "]";
    if (const std::string type = typeOf(content[i]); type != "text") {
      refuse(fields, at, type);
      break;
    }
    text += (i > 0 ? "\n" : "") + member(fields, at, content[i], "text");
  }
  return text;
}

/// One message's blocks; tool results become messages of their own, before the rest.
void readBlocks(Fields& fields, const std::string& name, const std::string& role, const Json& blocks,
                Json& messages) {
  std::string text;
  std::string thinking;
  Json calls = Json::array();
  for (std::size_t i = 0; i < blocks.size() && fields.ok(); ++i) {
    const std::string at = name + "[" + std::to_string(i) + "]";
    const Json& block = blocks[i];
    const std::string type = typeOf(block);
    if (type == "text") {
      text += member(fields, at, block, "text");
    } else if (type == "thinking" && role == "assistant") {
      thinking += member(fields, at, block, "thinking");
    } else if (type == "redacted_thinking" && role == "assistant") {
      continue;
    } else if (type == "tool_use" && role == "assistant") {
      const Json input = block.value("input", Json::object());
      calls.push_back(
          {{"id", member(fields, at, block, "id")},
           {"type", "function"},
           {"function", {{"name", member(fields, at, block, "name")}, {"arguments", dumped(input)}}}});
    } else if (type == "tool_result" && role == "user") {
      messages.push_back({{"role", "tool"},
                          {"tool_call_id", member(fields, at, block, "tool_use_id")},
                          {"content", textOf(fields, at + ".content", block.value("content", Json()))}});
    } else {
      refuse(fields, at, type);
    }
  }
  if (text.empty() && calls.empty() && thinking.empty()) return;
  Json message = {{"role", role}, {"content", text}};
  if (!thinking.empty()) message["reasoning_content"] = thinking;
  if (!calls.empty()) {
    message["tool_calls"] = std::move(calls);
    if (text.empty()) message["content"] = nullptr;
  }
  messages.push_back(std::move(message));
}

void readMessages(Fields& fields, GenerationPlan& plan) {
  plan.messages = Json::array();
  if (const Json* system = fields.find("system"))
    plan.messages.push_back({{"role", "system"}, {"content", textOf(fields, "system", *system)}});
  const Json* list = fields.list("messages");
  if (list == nullptr || list->empty())
    return fields.fail("messages", "must be a list of at least one message.", "missing_field");
  for (std::size_t i = 0; i < list->size() && fields.ok(); ++i) {
    const std::string at = "messages[" + std::to_string(i) + "]";
    const Json& message = (*list)[i];
    if (!message.is_object()) return fields.fail(at, "must be an object.", "invalid_type");
    const Json role = message.value("role", Json());
    if (role != "user" && role != "assistant")
      return fields.fail(at + ".role", R"(must be "user" or "assistant".)");
    const Json content = message.value("content", Json());
    if (content.is_string()) {
      plan.messages.push_back({{"role", role}, {"content", content}});
    } else if (content.is_array()) {
      readBlocks(fields, at + ".content", role.get<std::string>(), content, plan.messages);
    } else {
      return fields.fail(at + ".content", "must be a text or a list of blocks.", "invalid_type");
    }
  }
  // Their API goes on with an answer that the caller has begun.
  if (!plan.messages.empty()) {
    const Json& last = plan.messages.back();
    plan.continuesLast = last["role"] == "assistant" && !last.contains("tool_calls");
  }
}

void readToolsOf(Fields& fields, GenerationPlan& plan) {
  Json tools;
  if (const Json* list = fields.list("tools")) {
    tools = Json::array();
    for (std::size_t i = 0; i < list->size(); ++i) {
      const Json& tool = (*list)[i];
      const std::string at = "tools[" + std::to_string(i) + "]";
      if (!tool.is_object()) return fields.fail(at, "must be an object.", "invalid_type");
      const Json type = tool.value("type", Json("custom"));
      if (type != "custom" && !type.is_null())
        return fields.fail(at + ".type", "is a tool that only Anthropic's servers have.",
                           "unsupported_value");
      tools.push_back({{"name", tool.value("name", Json())},
                       {"description", tool.value("description", Json(""))},
                       {"parameters", tool.value("input_schema", Json())}});
    }
  }
  Json choice;
  if (const Json* given = fields.object("tool_choice")) {
    const std::string type = typeOf(*given);
    if (type == "any") {
      choice = "required";
    } else if (type == "tool") {
      choice = {{"function", {{"name", given->value("name", Json(""))}}}};
    } else {
      choice = type;
    }
    Fields inner(*given, fields.problem(), "tool_choice.");
    if (inner.flag("disable_parallel_tool_use").value_or(false)) plan.turn.parallel = false;
  }
  readTools(fields, tools.is_null() ? nullptr : &tools, choice, plan);
}

void readThinking(Fields& fields, GenerationPlan& plan) {
  const Json* thinking = fields.object("thinking");
  if (thinking == nullptr) return;
  Fields inner(*thinking, fields.problem(), "thinking.");
  const std::string type = inner.text("type").value_or("");
  if (type == "disabled") {
    plan.turn.reasoningTokens = 0;
  } else if (type == "enabled") {
    const auto budget = inner.integer("budget_tokens", 1, kMostTokens);
    if (budget) plan.turn.reasoningTokens = static_cast<std::int32_t>(*budget);
    if (budget && plan.request.maxTokens > 0 && *budget >= plan.request.maxTokens)
      inner.fail("budget_tokens", "must be less than \"max_tokens\".");
  } else if (type != "adaptive") {
    inner.fail("type", R"(must be "enabled" or "disabled".)");
  }
}

constexpr NumberField kNumbers[] = {
    {"temperature", &Parameters::temperature, 0, 1},
    {"top_p", &Parameters::topP, 0, 1},
};
constexpr IntegerField kIntegers[] = {{"top_k", &Parameters::topK, 0, 1 << 30}};

}  // namespace

void readAnthropic(Fields& fields, GenerationPlan& plan, bool wantsAnswer) {
  plan.model = fields.text("model").value_or("");
  plan.isChat = true;
  readMessages(fields, plan);
  readToolsOf(fields, plan);
  if (!wantsAnswer) return;
  const auto most = fields.integer("max_tokens", 1, kMostTokens);
  if (!most && fields.ok()) return fields.fail("max_tokens", "is missing.", "missing_field");
  plan.request.maxTokens = static_cast<std::int32_t>(most.value_or(1));
  plan.isStreamed = fields.flag("stream").value_or(false);
  readNumbers(fields, kNumbers, plan.request.sampling);
  readIntegers(fields, kIntegers, plan.request.sampling);
  readStop(fields, "stop_sequences", plan.request);
  readSeed(fields, plan.request.sampling);
  readThinking(fields, plan);
  // Structured outputs: {"format": {"type": "json_schema", "schema": …}}.
  const Json* output = fields.object("output_config");
  const Json* format = fields.object("output_format");
  if (output != nullptr && format == nullptr) {
    const auto inner = output->find("format");
    if (inner != output->end() && inner->is_object()) format = &*inner;
  }
  plan.formatField = "output_config.format";
  if (format != nullptr) readFormatObject(fields, plan.formatField, *format, *format, plan);
  refuseContradictions(fields, plan);
}

}  // namespace quern::app::serve
