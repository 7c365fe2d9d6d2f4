#include "app/cli/conversation.h"

#include <utility>

#include "engine/tokenizer/tokenizer.h"

namespace quern::app {

using engine::base::Result;
using engine::scheduler::ChatMessage;

Conversation::Conversation(std::shared_ptr<engine::scheduler::Engine> engine, const ChatOptions& options,
                           std::shared_ptr<const engine::grammar::Constraint> constraint)
    : engine_(std::move(engine)),
      options_(options),
      constraint_(std::move(constraint)),
      system_(options.system.value_or("")) {}

Result<Answer> Conversation::ask(const std::string& question,
                                 const std::function<void(const std::string&)>& onText) {
  engine::scheduler::Request request;
  request.maxTokens = options_.maxTokens;
  request.sampling = options_.sampling;
  request.stop = options_.stop;
  request.constraint = constraint_;
  std::vector<ChatMessage> messages;
  if (options_.raw) {
    request.prompt = engine_->tokenizer()->encode(question, {.addSpecial = true, .parseSpecial = true});
    return waitForAnswer(*engine_, std::move(request), onText);
  }
  if (!system_.empty()) messages.push_back({"system", system_});
  messages.insert(messages.end(), messages_.begin(), messages_.end());
  messages.push_back({"user", question});
  QUERN_ASSIGN(request.prompt, engine::scheduler::renderChat(*engine_, messages));
  QUERN_ASSIGN(Answer answer, waitForAnswer(*engine_, std::move(request), onText));
  if (!answer.tokens.empty() || answer.reason != engine::scheduler::FinishReason::kCancelled) {
    messages_.push_back({"user", question});
    messages_.push_back({"assistant", answer.text});
  }
  return answer;
}

Result<Answer> Conversation::again(const std::function<void(const std::string&)>& onText) {
  if (messages_.size() < 2) {
    return engine::base::Error(engine::base::ErrorCode::kNotFound, "Nothing has been asked yet.");
  }
  const std::vector<ChatMessage> before = messages_;
  const std::string question = messages_[messages_.size() - 2].content;
  messages_.resize(messages_.size() - 2);
  auto answer = ask(question, onText);
  if (messages_.size() < before.size()) messages_ = before;
  return answer;
}

void Conversation::clear() { messages_.clear(); }

void Conversation::setSystem(const std::string& text) {
  system_ = text;
  clear();
}

}  // namespace quern::app
