// One request to the engine, waited for: text as it comes, Ctrl-C stops it.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/answer/answer_parser.h"
#include "engine/base/result.h"
#include "engine/scheduler/engine.h"

namespace quern::app {

struct Answer {
  std::string text;
  std::vector<std::int32_t> tokens;
  engine::scheduler::FinishReason reason = engine::scheduler::FinishReason::kEndOfTurn;
  engine::scheduler::Usage usage;
  engine::scheduler::Timings timings;
  /// The same taken apart, where tools were offered or reasoning was limited; `text` is the content then.
  std::optional<engine::answer::Message> message;
  std::string written;  ///< with a message: all that the model wrote, markers included
};

/// Submits `request` and returns when it is finished. `onText` gets the text piece by piece on this thread,
/// so that a slow terminal never holds the engine up. Ctrl-C (see InterruptWatch) cancels; what has come by
/// then is the answer. Errors: those of submit() and of a request that failed.
engine::base::Result<Answer> waitForAnswer(engine::scheduler::Engine& engine,
                                           engine::scheduler::Request request,
                                           const std::function<void(const std::string&)>& onText);

/// As waitForAnswer(), with the answer taken apart; `onText` gets the content.
engine::base::Result<Answer> waitForMessage(engine::scheduler::Engine& engine,
                                            engine::scheduler::Request request,
                                            const engine::answer::ParserOptions& options,
                                            const std::function<void(const std::string&)>& onText);

/// {"text", "tokens", "finish_reason", "usage", "timings"}; with a message also "reasoning" and "tool_calls",
/// the latter as OpenAI's API has them.
nlohmann::ordered_json answerJson(const Answer& answer);
/// "42 tokens · 85.3 tok/s · first after 120 ms · 61 % of the memory's bandwidth · end of turn"
std::string statsText(const Answer& answer);

}  // namespace quern::app
