// Messages so far and the next answer: what the three ways of chatting share.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/cli/answer.h"
#include "app/cli/chat.h"
#include "engine/answer/chat_turn.h"
#include "engine/scheduler/engine.h"

namespace quern::app {

class Conversation {
 public:
  /// `constraints` outlives this and works out masks ahead while answers are made. `constraint`: what every
  /// answer must match; null: they are free.
  Conversation(std::shared_ptr<engine::scheduler::Engine> engine, const ChatOptions& options,
               engine::grammar::ConstraintCache& constraints,
               std::shared_ptr<const engine::grammar::Constraint> constraint);

  /// Asks and waits. The question and its answer become part of the conversation unless it failed, or nothing
  /// came before Ctrl-C. With ChatOptions::raw every question stands alone.
  engine::base::Result<Answer> ask(const std::string& question,
                                   const std::function<void(const std::string&)>& onText);
  /// The last question once more, with a new answer; kNotFound before the first.
  engine::base::Result<Answer> again(const std::function<void(const std::string&)>& onText);

  void clear();  ///< forgets everything but the system prompt
  /// Sets the system prompt (empty: none) and clears.
  void setSystem(const std::string& text);
  /// What every answer is computed with from now on.
  void setAdapters(std::vector<engine::scheduler::AdapterChoice> adapters) {
    adapters_ = std::move(adapters);
  }
  const std::string& system() const { return system_; }
  bool empty() const { return messages_.empty(); }
  const engine::scheduler::Engine& engine() const { return *engine_; }

 private:
  /// With tools, or with a limit on reasoning: the answer is taken apart.
  engine::base::Result<Answer> askForMessage(engine::scheduler::Request request,
                                             const std::vector<engine::scheduler::ChatMessage>& messages,
                                             const std::function<void(const std::string&)>& onText);

  std::shared_ptr<engine::scheduler::Engine> engine_;
  ChatOptions options_;
  std::optional<engine::answer::ChatModel> chatModel_;  ///< where answers are taken apart
  engine::grammar::ConstraintCache& constraints_;
  std::shared_ptr<const engine::grammar::Constraint> constraint_;
  std::vector<engine::scheduler::AdapterChoice> adapters_;
  std::string system_;
  std::vector<engine::scheduler::ChatMessage> messages_;  ///< without the system prompt
};

}  // namespace quern::app
