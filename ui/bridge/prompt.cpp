#include "ui/bridge/prompt.h"

#include <algorithm>
#include <unordered_map>

#include "engine/base/text.h"
#include "ui/bridge/answer_text.h"

namespace quern::ui {

using engine::base::Error;
using engine::base::ErrorCode;
using engine::scheduler::ChatMessage;
using engine::store::Id;
using engine::store::Message;
using engine::store::Role;

namespace {

const char* roleName(Role role) {
  switch (role) {
    case Role::kSystem:
      return "system";
    case Role::kAssistant:
      return "assistant";
    case Role::kTool:
      return "tool";
    case Role::kUser:
      break;
  }
  return "user";
}

void add(std::vector<ChatMessage>& messages, const char* role, std::string content) {
  if (!messages.empty() && messages.back().role == role) {
    messages.back().content += "\n\n" + content;
  } else {
    messages.push_back({role, std::move(content)});
  }
}

}  // namespace

std::vector<ChatMessage> promptMessages(const std::vector<Message>& tree, const PromptPlace& place) {
  std::unordered_map<Id, const Message*> byId;
  byId.reserve(tree.size());
  for (const Message& message : tree) byId.emplace(message.id, &message);
  std::vector<const Message*> path;
  const auto answer = byId.find(place.answer);
  std::optional<Id> at = answer == byId.end() ? std::nullopt : answer->second->parent;
  while (at && path.size() < tree.size()) {
    const auto found = byId.find(*at);
    if (found == byId.end()) break;
    path.push_back(found->second);
    at = found->second->parent;
  }
  std::reverse(path.begin(), path.end());

  std::vector<ChatMessage> messages;
  if (!place.systemPrompt.empty()) messages.push_back({"system", place.systemPrompt});
  for (const Message* message : path) {
    if (message->role == Role::kAssistant) {
      std::string text = withoutThoughts(message->content);
      if (!text.empty()) add(messages, "assistant", std::move(text));
    } else {
      add(messages, roleName(message->role), promptText(message->content, message->attachmentsJson));
    }
  }
  if (place.goOn) add(messages, "assistant", place.soFar);
  return messages;
}

engine::base::Result<std::vector<std::int32_t>> makePrompt(engine::store::Store& store,
                                                           const engine::scheduler::Engine& engine,
                                                           const ModelService::Renderer& renderer,
                                                           const PromptPlace& place) {
  QUERN_ASSIGN(const std::vector<Message> tree, store.tree(place.chat));
  const std::vector<ChatMessage> messages = promptMessages(tree, place);
  if (messages.empty()) return Error(ErrorCode::kInvalidArgument, "There is no question to answer.");
  QUERN_ASSIGN(std::vector<std::int32_t> prompt, renderer(engine, messages, !place.goOn));
  const auto limit = static_cast<std::size_t>(std::max(engine.options().contextTokens, 0));
  if (limit > 0 && prompt.size() >= limit) {
    return Error(ErrorCode::kLimit,
                 "This chat is " + engine::base::grouped(prompt.size()) +
                     " tokens long, and the model holds " + engine::base::grouped(limit) +
                     ". Ask in a new chat, branch from an earlier message, or load the model with a larger "
                     "context.");
  }
  return prompt;
}

}  // namespace quern::ui
