#include "app/serve/api/chat_messages.h"

#include <algorithm>
#include <array>

#include "engine/base/text.h"

namespace quern::app::serve {
namespace {

constexpr std::array<std::string_view, 6> kRoles = {"system",    "developer", "user",
                                                    "assistant", "tool",      "function"};
constexpr std::array<std::string_view, 4> kTextTypes = {"text", "input_text", "output_text", "refusal"};

/// Arguments must be JSON, as templates show them as such.
void checkCalls(Fields& fields, const std::string& name, const Json& calls) {
  if (!calls.is_array()) return fields.fail(name, "must be a list.", "invalid_type");
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const std::string at = name + "[" + std::to_string(i) + "].function";
    const Json& call = calls[i];
    if (!call.is_object() || !call.contains("function") || !call["function"].is_object())
      return fields.fail(at, "must be an object.", "invalid_type");
    const Json& function = call["function"];
    if (!function.contains("name") || !function["name"].is_string())
      return fields.fail(at + ".name", "must be a text.", "invalid_type");
  }
}

}  // namespace

std::string readContent(Fields& fields, const std::string& name, const Json& content) {
  if (content.is_null()) return {};
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) {
    fields.fail(name, "must be a text or a list of parts.", "invalid_type");
    return {};
  }
  std::string text;
  for (std::size_t i = 0; i < content.size(); ++i) {
    const std::string at = name + "[" + std::to_string(i) + "]";
    const Json& part = content[i];
    if (!part.is_object() || !part.contains("type") || !part["type"].is_string()) {
      fields.fail(at + ".type", "must be a text.", "invalid_type");
      return {};
    }
    const auto type = part["type"].get<std::string>();
    if (std::find(kTextTypes.begin(), kTextTypes.end(), type) == kTextTypes.end()) {
      fields.fail(at + ".type",
                  "is \"" + engine::base::printable(type) + "\"; the models here read text only.",
                  "unsupported_content");
      return {};
    }
    const auto key = type == "refusal" ? "refusal" : "text";
    if (!part.contains(key) || !part[key].is_string()) {
      fields.fail(at + "." + key, "must be a text.", "invalid_type");
      return {};
    }
    text += part[key].get<std::string>();
  }
  return text;
}

Json readMessages(Fields& fields) {
  Json messages = Json::array();
  const Json* list = fields.list("messages");
  if (list == nullptr || list->empty()) {
    fields.fail("messages", "must be a list of at least one message.", "missing_field");
    return messages;
  }
  for (std::size_t i = 0; i < list->size() && fields.ok(); ++i) {
    const std::string at = "messages[" + std::to_string(i) + "]";
    const Json& message = (*list)[i];
    if (!message.is_object()) {
      fields.fail(at, "must be an object.", "invalid_type");
      break;
    }
    Fields inner(message, fields.problem(), fields.nameOf(at) + ".");
    const auto role = inner.text("role");
    if (!role || std::find(kRoles.begin(), kRoles.end(), *role) == kRoles.end()) {
      inner.fail("role", R"(must be "system", "developer", "user", "assistant" or "tool".)");
      break;
    }
    const bool hasCalls =
        message.contains("tool_calls") && !message["tool_calls"].is_null() && !message["tool_calls"].empty();
    if (!message.contains("content") && !hasCalls) {
      inner.fail("content", "is missing.", "missing_field");
      break;
    }
    Json plain = {{"role", *role == "function" ? "tool" : *role},
                  {"content", readContent(inner, "content", message.value("content", Json()))}};
    if (hasCalls) {
      checkCalls(inner, "tool_calls", message["tool_calls"]);
      plain["tool_calls"] = message["tool_calls"];
      if (plain["content"] == "") plain["content"] = nullptr;
    }
    for (const char* const key : {"reasoning_content", "tool_call_id", "name"}) {
      if (auto text = inner.text(key)) plain[key] = std::move(*text);
    }
    messages.push_back(std::move(plain));
  }
  return messages;
}

}  // namespace quern::app::serve
