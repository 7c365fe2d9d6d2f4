// Which drafts are right. A draft counts if it is the token that the request's own sampler picks in its
// place; at the first other one, the sampler's counts and the rest of the drafts is forgotten. So an answer
// has the tokens that it has without drafts, greedy or sampled, with any penalty: every pick is made from the
// same logits with the same random numbers by a sampler that has seen the same tokens.
//
// This is rejection sampling (Leviathan et al., arXiv:2211.17192) in a stronger form: not only the
// distribution is that of plain sampling, but every single answer of a seed. Its price for a draft model
// that draws by itself would be sum(p·q) right drafts instead of sum(min(p, q)); one that draws with the
// request's own random numbers (draft_model.h) gets close to the latter.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

namespace quern::engine::scheduler {

struct Verification {
  std::int32_t accepted = 0;  ///< drafts that were right, from the first on
  std::int32_t picked = 0;    ///< tokens that the sequence has now more: `accepted`, or one more
  bool ended = false;         ///< the last of them ends the answer
};

/// What a draw gave.
struct Picked {
  std::int32_t token;
  bool ended;
};

/// `logits(i)`: the row after the sequence's last token and the first i drafts, 0 <= i <= drafts.size();
/// asked for in order and only when it is needed. `pick`: draws the next token from a row (which it may
/// overwrite), appends it to the answer, and says whether it was the last.
Verification verify(std::span<const std::int32_t> drafts,
                    const std::function<std::span<float>(std::int32_t row)>& logits,
                    const std::function<Picked(std::span<float> logits)>& pick);

}  // namespace quern::engine::scheduler
