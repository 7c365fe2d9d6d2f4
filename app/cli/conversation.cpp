#include "app/cli/conversation.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "engine/tokenizer/tokenizer.h"

namespace quern::app {

using engine::base::Result;
using engine::scheduler::ChatMessage;

Conversation::Conversation(std::shared_ptr<engine::scheduler::Engine> engine, const ChatOptions& options,
                           engine::grammar::ConstraintCache& constraints,
                           std::shared_ptr<const engine::grammar::Constraint> constraint)
    : engine_(std::move(engine)),
      options_(options),
      constraints_(constraints),
      constraint_(std::move(constraint)),
      system_(options.system.value_or("")) {
  if (!options.tools.empty() || options.reasoningTokens >= 0) {
    chatModel_ = engine::answer::describeChat(*engine_);
  }
}

Result<Answer> Conversation::ask(const std::string& question,
                                 const std::function<void(const std::string&)>& onText) {
  engine::scheduler::Request request;
  request.maxTokens = options_.maxTokens;
  request.sampling = options_.sampling;
  request.stop = options_.stop;
  request.constraint = constraint_;
  request.adapters = adapters_;
  std::vector<ChatMessage> messages;
  if (options_.raw) {
    request.prompt = engine_->tokenizer()->encode(question, {.addSpecial = true, .parseSpecial = true});
    return waitForAnswer(*engine_, std::move(request), onText);
  }
  if (!system_.empty()) messages.push_back({"system", system_});
  messages.insert(messages.end(), messages_.begin(), messages_.end());
  messages.push_back({"user", question});
  if (!chatModel_) {
    QUERN_ASSIGN(request.prompt, engine::scheduler::renderChat(*engine_, messages));
  }
  QUERN_ASSIGN(Answer answer, chatModel_ ? askForMessage(std::move(request), messages, onText)
                                         : waitForAnswer(*engine_, std::move(request), onText));
  if (!answer.tokens.empty() || answer.reason != engine::scheduler::FinishReason::kCancelled) {
    messages_.push_back({"user", question});
    // A model knows its own calls best as it wrote them.
    const bool hasCalls = answer.message && !answer.message->calls.empty();
    messages_.push_back({"assistant", hasCalls ? answer.written : answer.text});
  }
  return answer;
}

Result<Answer> Conversation::askForMessage(engine::scheduler::Request request,
                                           const std::vector<ChatMessage>& messages,
                                           const std::function<void(const std::string&)>& onText) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const ChatMessage& message : messages) {
    list.push_back({{"role", message.role}, {"content", message.content}});
  }
  engine::answer::TurnOptions options;
  options.tools = options_.tools;
  options.choice = options_.toolChoice;
  options.reasoningTokens = options_.reasoningTokens;
  options.seed = options_.sampling.seed;
  QUERN_ASSIGN(engine::answer::Turn turn, prepareTurn(*engine_, *chatModel_, list, options));
  // Who asks for a form of the answer and for calls that may be made gets the form.
  if (turn.constraint && !request.constraint) {
    QUERN_ASSIGN(request.constraint, constraints_.get(*turn.constraint, engine_->tokenizer()));
  }
  request.prompt = std::move(turn.request.prompt);
  request.emitSpecial = turn.request.emitSpecial;
  request.reasoning = std::move(turn.request.reasoning);
  return waitForMessage(*engine_, std::move(request), turn.parser, onText);
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
