// A conversation as prompt tokens, by the model's own template.

#include <nlohmann/json.hpp>

#include "engine/scheduler/engine.h"
#include "engine/template/template.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::engine::scheduler {
namespace {

/// The form that most small chat models were trained with; for models that bring no template.
std::string plainForm(const std::vector<ChatMessage>& messages, bool addGenerationPrompt) {
  std::string text;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    text += "<|im_start|>" + messages[i].role + "\n" + messages[i].content;
    if (addGenerationPrompt || i + 1 < messages.size()) text += "<|im_end|>\n";
  }
  if (addGenerationPrompt) text += "<|im_start|>assistant\n";
  return text;
}

base::Result<std::string> render(const Engine& engine, nlohmann::ordered_json variables,
                                 bool addGenerationPrompt) {
  const auto tokenizer = engine.tokenizer();
  const auto text = [&](const std::optional<tokenizer::TokenId>& token) {
    return token ? std::string(tokenizer->tokenText(*token)) : std::string();
  };
  variables["add_generation_prompt"] = addGenerationPrompt;
  variables["bos_token"] = text(tokenizer->special().bos);
  variables["eos_token"] = text(tokenizer->special().eos);
  return engine.chatTemplate()->render(variables);
}

base::Result<std::string> render(const Engine& engine, const std::vector<ChatMessage>& messages,
                                 bool addGenerationPrompt) {
  nlohmann::ordered_json variables;
  variables["messages"] = nlohmann::ordered_json::array();
  for (const ChatMessage& message : messages) {
    variables["messages"].push_back({{"role", message.role}, {"content", message.content}});
  }
  return render(engine, std::move(variables), addGenerationPrompt);
}

/// For templates that know no system role: its text goes in front of the first question.
std::vector<ChatMessage> withoutSystem(const std::vector<ChatMessage>& messages) {
  std::vector<ChatMessage> folded;
  std::string system;
  for (const ChatMessage& message : messages) {
    if (message.role == "system") {
      system += (system.empty() ? "" : "\n\n") + message.content;
      continue;
    }
    folded.push_back(message);
    if (message.role == "user" && !system.empty()) {
      folded.back().content = system + "\n\n" + message.content;
      system.clear();
    }
  }
  if (!system.empty()) folded.insert(folded.begin(), {"user", system});
  return folded;
}

std::vector<std::int32_t> tokensOf(const Engine& engine, const std::string& prompt) {
  const auto tokenizer = engine.tokenizer();
  // Control tokens written out by the template must be recognised. The same text in a message is recognised
  // too, as it is by the programs that models are trained with; a chat is its owner's own.
  std::vector<std::int32_t> tokens = tokenizer->encode(prompt, {.addSpecial = false, .parseSpecial = true});
  const auto& special = tokenizer->special();
  if (special.addBos && special.bos && (tokens.empty() || tokens.front() != *special.bos)) {
    tokens.insert(tokens.begin(), *special.bos);
  }
  return tokens;
}

}  // namespace

base::Result<std::vector<std::int32_t>> renderChat(const Engine& engine,
                                                   const std::vector<ChatMessage>& messages,
                                                   bool addGenerationPrompt) {
  if (messages.empty()) {
    return base::Error(base::ErrorCode::kInvalidArgument, "A conversation needs at least one message.");
  }
  std::string prompt;
  if (!engine.chatTemplate()) {
    prompt = plainForm(messages, addGenerationPrompt);
  } else {
    auto rendered = render(engine, messages, addGenerationPrompt);
    if (!rendered && messages.front().role == "system") {
      rendered = render(engine, withoutSystem(messages), addGenerationPrompt);
    }
    if (!rendered) {
      return std::move(rendered).error().wrapped("The model's chat template refuses this conversation.");
    }
    prompt = std::move(*rendered);
    if (!addGenerationPrompt) {
      // The template closes the last message; what it put behind the text is taken away, so that the model
      // goes on.
      const std::string& last = messages.back().content;
      std::size_t at = prompt.rfind(last);
      std::size_t length = last.size();
      if (at == std::string::npos) {
        // Many templates trim what they show.
        const std::size_t begin = last.find_first_not_of(" \t\r\n");
        const std::size_t end = last.find_last_not_of(" \t\r\n");
        if (begin != std::string::npos) {
          length = end - begin + 1;
          at = prompt.rfind(last.substr(begin, length));
        }
      }
      if (last.empty() || at == std::string::npos) {
        return base::Error(
            base::ErrorCode::kUnsupported,
            "This model's chat template does not show the last message as it is, so it cannot be continued.");
      }
      prompt.resize(at + length);
    }
  }
  return tokensOf(engine, prompt);
}

base::Result<ChatPrompt> renderTemplate(const Engine& engine, nlohmann::ordered_json variables) {
  std::vector<ChatMessage> messages;
  for (const auto& message : variables["messages"]) {
    const auto content = message.value("content", nlohmann::ordered_json());
    messages.push_back({message.value("role", std::string("user")),
                        content.is_string() ? content.get<std::string>() : std::string()});
  }
  if (!engine.chatTemplate()) {
    std::string text = plainForm(messages, true);
    std::vector<std::int32_t> tokens = tokensOf(engine, text);
    return ChatPrompt{std::move(text), std::move(tokens)};
  }
  auto rendered = render(engine, variables, true);
  if (!rendered && !messages.empty() && messages.front().role == "system") {
    // As withoutSystem(), for messages that are more than texts.
    nlohmann::ordered_json& all = variables["messages"];
    all.erase(0);
    if (!all.empty() && all[0]["role"] == "user" && all[0]["content"].is_string()) {
      all[0]["content"] = messages.front().content + "\n\n" + all[0]["content"].get<std::string>();
      rendered = render(engine, variables, true);
    }
  }
  if (!rendered) {
    return std::move(rendered).error().wrapped("The model's chat template refuses this conversation.");
  }
  std::vector<std::int32_t> tokens = tokensOf(engine, *rendered);
  return ChatPrompt{std::move(*rendered), std::move(tokens)};
}

}  // namespace quern::engine::scheduler
