// What the penalties know: the tokens of the prompt and the answer, how often each occurs in the window, and
// where the end of the text repeats something earlier.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/sampling/sampler.h"

namespace quern::engine::sampling {

class History {
 public:
  History(const Parameters& parameters, std::int32_t vocabularySize,
          std::vector<std::vector<std::int32_t>> breakers);

  bool hasPenalties() const { return counting_; }
  bool hasDry() const { return repeats_; }

  /// Stands where `other`, which has the same parameters, stands.
  void follow(const History& other);

  /// Ids outside the vocabulary are ignored. The list grows by doubling where a window has no end.
  void accept(std::int32_t token);

  struct Seen {
    std::int32_t token;
    std::int32_t count;
  };
  /// Each token of the penalty window once.
  const std::vector<Seen>& seen() const { return seen_; }
  /// Occurrences of a token in the penalty window.
  std::int32_t countOf(std::int32_t token) const;
  /// A logit after repetition, frequency and presence penalty.
  float penalized(float logit, std::int32_t count) const;

  struct Repeat {
    std::int32_t token;   ///< would make a repeat longer …
    std::int32_t length;  ///< … that has this many tokens already
  };
  /// The tokens that DRY punishes now, each once. Valid until the next call.
  const std::vector<Repeat>& findRepeats();
  /// What DRY takes from the logit of a token that extends a repeat of `length` tokens.
  float dryPenalty(std::int32_t length) const;

 private:
  void countUp(std::int32_t token);
  void countDown(std::int32_t token);
  std::size_t tokensSinceBreaker(std::size_t window) const;
  std::int32_t fromEnd(std::size_t i) const { return tokens_[tokens_.size() - 1 - i]; }

  Parameters parameters_;
  std::int32_t vocabularySize_;
  std::vector<std::vector<std::int32_t>> breakers_;
  bool counting_;
  bool repeats_;
  std::size_t needed_;  ///< tokens that some window looks back at

  std::vector<std::int32_t> tokens_;  ///< the newest last
  std::vector<std::int32_t> slot_;    ///< token → place in seen_, or -1
  std::vector<Seen> seen_;
  std::vector<std::int32_t> matches_;  ///< findRepeats: length of the match that ends i tokens before the end
  std::vector<std::int32_t> longest_;  ///< findRepeats: per token; all zero between calls
  std::vector<Repeat> found_;
};

}  // namespace quern::engine::sampling
