// Who guesses how an answer goes on, so that one step of the model can check several tokens at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/sampling/sampler.h"

namespace quern::engine::scheduler {

/// Guessed tokens, in the order in which they would follow.
struct Proposal {
  std::vector<std::int32_t> tokens;
  /// Of each token: how probable it is that the model picks it too, if it has picked all before it. In (0,
  /// 1).
  std::vector<float> probabilities;

  void clear() {
    tokens.clear();
    probabilities.clear();
  }
  void add(std::int32_t token, double probability) {
    tokens.push_back(token);
    probabilities.push_back(static_cast<float>(probability));
  }
  /// Only the first `count` are asked for.
  void cut(std::size_t count) {
    if (count >= tokens.size()) return;
    tokens.resize(count);
    probabilities.resize(count);
  }
};

/// One object a sequence. Engine thread only. What it proposes never changes an answer, only how soon it is
/// there: verification.h.
class Proposer {
 public:
  virtual ~Proposer() = default;

  /// Puts up to `most` drafts into `proposal`, which may stay empty. `tokens`: the whole sequence, prompt and
  /// answer; it has only grown since the last call, if restart() was not called. `sampler`: the request's, as
  /// it stands before the next token; it is not changed. With `most` = 0 it is only told the tokens: what it
  /// would have said is held against them, and so it knows when it is worth being asked again.
  virtual void propose(std::span<const std::int32_t> tokens, std::int32_t most,
                       const sampling::Sampler& sampler, Proposal& proposal) = 0;
  /// The sequence's beginning is another one now, or it pauses or ends: everything that is known of it and
  /// held for it goes.
  virtual void restart() = 0;

  /// How probable it is that a draft is right, before it is made: what decides whether to ask at all. 1 where
  /// asking costs nothing.
  virtual double expected() const { return 1; }
  /// What one more draft costs to make.
  virtual double secondsPerDraft() const { return 0; }
};

}  // namespace quern::engine::scheduler
