// The chat in the terminal: one answer, questions from a pipe, or a conversation at a prompt.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/answer/tool.h"
#include "engine/grammar/constraint_cache.h"
#include "engine/sampling/sampler.h"
#include "engine/scheduler/engine.h"

namespace quern::app {

/// What `quern run` was asked for.
struct ChatOptions {
  std::string model;
  std::string draft;                  ///< a small model that guesses ahead; empty: none
  std::optional<std::string> prompt;  ///< one answer; without it questions come from stdin
  std::optional<std::string> system;
  std::vector<std::string> loras;  ///< adapters, as --lora names them
  bool raw = false;                ///< the prompt goes to the model as it is
  bool stats = false;
  bool json = false;
  std::int32_t maxTokens = -1;
  std::vector<std::string> stop;
  std::vector<engine::answer::Tool> tools;
  engine::answer::ToolChoice toolChoice;
  std::int32_t reasoningTokens = -1;                            ///< before its end is forced; -1: any number
  std::optional<engine::grammar::ConstraintSource> constraint;  ///< what every answer must match
  engine::sampling::Parameters sampling;
  engine::scheduler::LoadOptions load;
};

/// Loads the model and chats; returns the exit code.
int runChat(const ChatOptions& options);

/// `quern` where no window can be shown: `why` goes to stderr, then a chat with `model` begins.
int runTerminalChat(const std::string& model, const std::string& why);

}  // namespace quern::app
