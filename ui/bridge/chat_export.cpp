#include "ui/bridge/chat_export.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "engine/base/text.h"
#include "ui/bridge/answer_text.h"
#include "ui/bridge/chat_markdown.h"

namespace quern::ui {

using engine::base::Error;
using engine::base::ErrorCode;
using engine::base::Result;
using engine::store::Chat;
using engine::store::Id;
using engine::store::Message;
using engine::store::MessageState;
using engine::store::Role;
using nlohmann::json;
using nlohmann::ordered_json;

namespace {

constexpr int kVersion = 1;
constexpr std::string_view kFormat = "quern.chat";
constexpr std::array<std::string_view, 4> kRoles = {"system", "user", "assistant", "tool"};
constexpr std::array<std::string_view, 5> kStates = {"complete", "streaming", "interrupted", "failed",
                                                     "stopped"};
constexpr int kDepthLimit = 32;
// A parsed value takes some 16 to 100 bytes, however short its text: this bounds what a small file can ask
// for.
constexpr std::size_t kValueLimit = 2'000'000;
constexpr std::size_t kMessageLimit = 200'000;
// 2^53: times beyond are no times, and larger numbers are not exact in other programs' JSON.
constexpr std::int64_t kIntegerLimit = std::int64_t{1} << 53;

Error broken(const std::string& what) {
  return {ErrorCode::kMalformed, "This is not a chat that Quern exported: " + what + ".", {}};
}

/// Depth and number of values, before anything is allocated for them.
Result<void> checkShape(std::string_view text) {
  int depth = 0;
  std::size_t values = 0;
  bool inString = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (inString) {
      if (c == '\\') ++i;
      if (c == '"') inString = false;
    } else if (c == '"') {
      inString = true;
    } else if (c == '[' || c == '{') {
      ++values;
      if (++depth > kDepthLimit) return broken("its JSON is nested too deeply");
    } else if (c == ']' || c == '}') {
      --depth;
    } else if (c == ',') {
      ++values;
    }
    if (values > kValueLimit)
      return Error(ErrorCode::kLimit, "This file holds too many values to be a chat.");
  }
  return engine::base::ok();
}

template <std::size_t N>
std::optional<std::size_t> placeOf(const std::array<std::string_view, N>& names, const json& object,
                                   const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  const auto at = std::find(names.begin(), names.end(), found->get_ref<const std::string&>());
  return at == names.end() ? std::nullopt : std::optional<std::size_t>(at - names.begin());
}

std::string textOf(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<std::int64_t> integerOf(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer()) return std::nullopt;
  if (*found < -kIntegerLimit || *found > kIntegerLimit) return std::nullopt;
  return found->get<std::int64_t>();
}

std::int64_t timeOf(const json& object, const char* key) {
  return std::max<std::int64_t>(0, integerOf(object, key).value_or(0));
}

std::string dumped(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

std::string attachmentsOf(const json& object) {
  const auto list = object.find("attachments");
  if (list == object.end() || !list->is_array()) return {};
  return attachmentsToJson(attachmentsFromJson(dumped(*list)));
}

Result<Message> messageOf(const json& entry, std::size_t place) {
  const std::string which = "message " + std::to_string(place + 1);
  if (!entry.is_object()) return broken(which + " is not an object");
  Message message;
  const auto id = integerOf(entry, "id");
  if (!id) return broken(which + " has no \"id\"");
  message.id = *id;
  message.parent = integerOf(entry, "parent");
  if (!message.parent && entry.contains("parent") && !entry["parent"].is_null()) {
    return broken(which + " has a \"parent\" that is no number");
  }
  const auto role = placeOf(kRoles, entry, "role");
  if (!role) return broken(which + " has an unknown \"role\"");
  message.role = static_cast<Role>(*role);
  const auto content = entry.find("content");
  if (content == entry.end() || !content->is_string()) return broken(which + " has no \"content\"");
  message.content = content->get<std::string>();
  message.state = static_cast<MessageState>(placeOf(kStates, entry, "state").value_or(0));
  if (message.state == MessageState::kStreaming) message.state = MessageState::kInterrupted;
  message.createdMs = timeOf(entry, "createdMs");
  message.model = textOf(entry, "model");
  const auto stats = entry.find("stats");
  if (stats != entry.end() && stats->is_object()) message.statsJson = dumped(*stats);
  message.attachmentsJson = attachmentsOf(entry);
  return message;
}

Result<Id> importJson(engine::store::Store& store, std::string_view text) {
  QUERN_TRY(checkShape(text));
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return broken("its JSON is damaged");
  if (textOf(object, "format") != kFormat)
    return broken("\"format\" is not \"" + std::string(kFormat) + "\"");
  const auto version = integerOf(object, "version");
  if (!version || *version < 1) return broken("\"version\" is missing");
  if (*version > kVersion) {
    return Error(ErrorCode::kUnsupported,
                 "This chat was exported by a newer Quern; update this one to import it.");
  }
  const auto list = object.find("messages");
  if (list == object.end() || !list->is_array()) return broken("it has no \"messages\"");
  if (list->size() > kMessageLimit) return Error(ErrorCode::kLimit, "This chat has too many messages.");
  Chat chat;
  chat.title = QString::fromStdString(textOf(object, "title")).simplified().left(1000).toStdString();
  chat.systemPrompt = textOf(object, "systemPrompt");
  chat.model = textOf(object, "model");
  chat.createdMs = timeOf(object, "createdMs");
  chat.leaf = integerOf(object, "leaf");
  const auto parameters = object.find("parameters");
  if (parameters != object.end() && parameters->is_object()) chat.parametersJson = dumped(*parameters);
  std::vector<Message> messages;
  for (const json& entry : *list) {
    QUERN_ASSIGN(Message message, messageOf(entry, messages.size()));
    messages.push_back(std::move(message));
  }
  if (chat.title.empty()) chat.title = titleOf(messages);
  return store.importChat(chat, messages);
}

bool isText(std::string_view text) {
  while (!text.empty()) {
    // Most of a file is ASCII; whole characters are asked for only where it is not.
    const std::size_t bytes =
        static_cast<signed char>(text[0]) > 0 ? 1 : engine::base::utf8CharacterBytes(text);
    if (bytes == 0 || text[0] == '\0') return false;
    text.remove_prefix(bytes);
  }
  return true;
}

Result<Chat> existing(engine::store::Store& store, Id id) {
  QUERN_ASSIGN(std::optional<Chat> chat, store.chat(id));
  if (!chat) return Error(ErrorCode::kNotFound, "This chat does not exist any more.");
  return std::move(*chat);
}

}  // namespace

Result<std::string> exportMarkdown(engine::store::Store& store, Id id) {
  QUERN_ASSIGN(const Chat chat, existing(store, id));
  QUERN_ASSIGN(const auto branch, store.branch(id));
  std::vector<Message> messages;
  for (const auto& entry : branch) messages.push_back(entry.message);
  return toMarkdown(chat, messages);
}

Result<std::string> exportJson(engine::store::Store& store, Id id) {
  QUERN_ASSIGN(const Chat chat, existing(store, id));
  QUERN_ASSIGN(const std::vector<Message> tree, store.tree(id));
  ordered_json object;
  object["format"] = kFormat;
  object["version"] = kVersion;
  object["title"] = chat.title;
  object["systemPrompt"] = chat.systemPrompt;
  object["model"] = chat.model;
  object["createdMs"] = chat.createdMs;
  const ordered_json parameters = ordered_json::parse(chat.parametersJson, nullptr, false);
  if (parameters.is_object()) object["parameters"] = parameters;
  object["leaf"] = chat.leaf ? ordered_json(*chat.leaf) : ordered_json(nullptr);
  ordered_json list = ordered_json::array();
  for (const Message& message : tree) {
    ordered_json entry;
    entry["id"] = message.id;
    entry["parent"] = message.parent ? ordered_json(*message.parent) : ordered_json(nullptr);
    entry["role"] = kRoles[static_cast<std::size_t>(message.role)];
    entry["content"] = message.content;
    entry["state"] = kStates[static_cast<std::size_t>(message.state)];
    entry["createdMs"] = message.createdMs;
    if (!message.model.empty()) entry["model"] = message.model;
    const ordered_json stats = ordered_json::parse(message.statsJson, nullptr, false);
    if (stats.is_object()) entry["stats"] = stats;
    const ordered_json attachments = ordered_json::parse(message.attachmentsJson, nullptr, false);
    if (attachments.is_array()) entry["attachments"] = attachments;
    list.push_back(std::move(entry));
  }
  object["messages"] = std::move(list);
  return object.dump(2, ' ', false, ordered_json::error_handler_t::replace) + '\n';
}

Result<Id> importChat(engine::store::Store& store, std::string_view text) {
  if (text.size() > kImportLimitBytes) {
    return Error(ErrorCode::kLimit, "This file is larger than " + engine::base::byteText(kImportLimitBytes) +
                                        ": it is not imported.");
  }
  if (!isText(text)) return broken("it is not text in UTF-8");
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return broken("it is empty");
  if (text[start] == '{' || text[start] == '[') return importJson(store, text);
  QUERN_ASSIGN(MarkdownChat parsed, fromMarkdown(text));
  return store.importChat(parsed.chat, parsed.messages);
}

}  // namespace quern::ui
