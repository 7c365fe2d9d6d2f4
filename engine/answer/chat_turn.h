// From a conversation with tools to a request for the scheduler and a parser for its answer: the room's door
// for whoever chats.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/answer/answer_parser.h"
#include "engine/answer/chat_template.h"
#include "engine/grammar/constraint_cache.h"
#include "engine/scheduler/engine.h"

namespace quern::engine::answer {

/// What must be known of a model once.
struct ChatModel {
  AnswerForm form;
  TemplateTraits traits;
};
/// Reads the engine's chat template (a few milliseconds).
ChatModel describeChat(const scheduler::Engine& engine);

struct TurnOptions {
  std::vector<Tool> tools;
  ToolChoice choice;
  bool parallel = true;               ///< several calls in an answer
  std::int32_t reasoningTokens = -1;  ///< before its end is forced; -1: any number
  std::uint64_t seed = 0;             ///< of the ids of calls
};

/// Request fields that hang on the conversation (prompt, emitSpecial, reasoning) are filled in; the others
/// are the caller's.
struct Turn {
  scheduler::Request request;
  ParserOptions parser;
  /// What the answer must match, to be compiled into Request::constraint: where it must call a tool, and
  /// where it may (ToolChoice::Kind::kAuto). A request that is held to another form keeps that with kAuto.
  std::optional<grammar::ConstraintSource> constraint;
};

/// `messages`: see chatVariables(). Errors: those of chatVariables(), and kInvalidArgument where the template
/// refuses the conversation.
base::Result<Turn> prepareTurn(const scheduler::Engine& engine, const ChatModel& model,
                               const nlohmann::ordered_json& messages, const TurnOptions& options);

/// What ends the reasoning of this family and begins its answer; empty where it does not reason.
std::string closingText(const AnswerForm& form);

}  // namespace quern::engine::answer
