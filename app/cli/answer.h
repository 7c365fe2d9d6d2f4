// One request to the engine, waited for: text as it comes, Ctrl-C stops it.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/scheduler/engine.h"

namespace quern::app {

struct Answer {
  std::string text;
  std::vector<std::int32_t> tokens;
  engine::scheduler::FinishReason reason = engine::scheduler::FinishReason::kEndOfTurn;
  engine::scheduler::Usage usage;
  engine::scheduler::Timings timings;
};

/// Submits `request` and returns when it is finished. `onText` gets the text piece by piece on this thread,
/// so that a slow terminal never holds the engine up. Ctrl-C (see InterruptWatch) cancels; what has come by
/// then is the answer. Errors: those of submit() and of a request that failed.
engine::base::Result<Answer> waitForAnswer(engine::scheduler::Engine& engine,
                                           engine::scheduler::Request request,
                                           const std::function<void(const std::string&)>& onText);

/// {"text", "tokens", "finish_reason", "usage", "timings"}
nlohmann::ordered_json answerJson(const Answer& answer);
/// "42 tokens · 85.3 tok/s · first after 120 ms · 61 % of the memory's bandwidth · end of turn"
std::string statsText(const Answer& answer);

}  // namespace quern::app
