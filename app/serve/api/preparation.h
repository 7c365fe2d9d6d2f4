// From a plan to what the engine is asked.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/serve/api/generation.h"

namespace quern::app::serve {

struct Prepared {
  std::vector<std::vector<std::int32_t>> prompts;
  engine::scheduler::Request request;
  std::optional<engine::answer::ParserOptions> parser;
  std::optional<engine::grammar::ConstraintSource> constraint;
  std::string constraintField;
};

/// Renders and tokenizes on this thread (milliseconds, more for long texts), and checks what only the model
/// can tell.
std::optional<ApiError> preparePrompts(Call& call, const engine::scheduler::Lease& lease,
                                       GenerationPlan& plan, Prepared& prepared);

/// The tokens of a prompt. Errors: a token that the vocabulary does not have, nothing at all.
engine::base::Result<std::vector<std::int32_t>> tokensOf(const engine::scheduler::Engine& engine,
                                                         const Prompt& prompt, bool addSpecial);

void addUsage(engine::scheduler::Usage& sum, const engine::scheduler::Usage& more);
/// "stop", "length", "abort", "error": vLLM's words.
std::string finishReasonKey(engine::scheduler::FinishReason reason);

}  // namespace quern::app::serve
