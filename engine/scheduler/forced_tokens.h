// Guesses for answers that must match a grammar: where it leaves no choice, there is nothing to guess.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/scheduler/sequence.h"

namespace quern::engine::scheduler {

/// How probable it is that the model spells forced text as the tokenizer does, token by token.
inline constexpr double kForcedProbability = 0.95;

/// The tokens of the text that must come next, at most `most`: as the tokenizer writes it behind the answer
/// so far. The last of them is left out unless the answer ends there: what follows may belong to the same
/// token. They are checked like any guess (verification.h), so an answer has the tokens that it has without.
std::vector<std::int32_t> forcedTokens(const Sequence& sequence, const tokenizer::Tokenizer& tokenizer,
                                       std::int32_t most);

/// Cuts the sequence's proposal before the first token that its grammar does not allow.
void cutForbidden(Sequence& sequence);

}  // namespace quern::engine::scheduler
