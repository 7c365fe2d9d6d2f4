// How many tokens of prompts a step may compute beside the answers that are being made: as many as leave the
// time between two tokens of an answer where people want it, told from the steps measured so far.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

namespace quern::engine::scheduler {

/// Engine thread only. A step with d rows of answers and p tokens of prompts is taken to last D(d) + p · c:
/// D(d) a running mean for every d; c one over the last steps that had both, and another over those with
/// prompts alone, where slices are long and a token costs less.
class StepBudget {
 public:
  /// `target`: between two tokens of an answer. `most`: tokens in a step.
  StepBudget(std::chrono::duration<double> target, std::int32_t most);

  /// Tokens of prompts for a step in which `decoding` answers go on and `prefilling` prompts wait.
  std::int32_t promptTokens(std::int32_t decoding, std::int32_t prefilling) const;
  void measured(std::int32_t decodeRows, std::int32_t promptTokens, std::chrono::duration<double> time);

  /// What a token of an answer that is computed again costs, in tokens of prompts: at least 1.
  double answerTokenCost() const;

  /// Seconds that a step of `rows` rows of answers takes; 0: never seen one near.
  double decodeSeconds(std::int32_t rows) const;

 private:
  double target_;
  std::int32_t most_;
  double aloneSeconds_ = 0;            ///< a token of a prompt, in steps without answers
  double besideSeconds_ = 0;           ///< the same beside answers
  std::vector<double> decodeSeconds_;  ///< by rows; 0: not seen
};

}  // namespace quern::engine::scheduler
