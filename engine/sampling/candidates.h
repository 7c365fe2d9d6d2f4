// The tokens that are still in play, and the stages that take some of them out. Not the penalties, which
// know the tokens seen (history.h), and not the draw (sampler.cpp).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace quern::engine::sampling {

struct Candidate {
  std::int32_t id;
  float logit;    ///< finite
  double weight;  ///< exp(logit − largest logit); valid after weigh()
};

/// In the order of ids until a stage has sorted them by falling logit (equal ones by id). Either order is the
/// same on every machine, so a draw that walks along it is too. Every stage keeps at least one candidate.
class Candidates {
 public:
  /// Room for a vocabulary, so that no later call allocates.
  void reserve(std::int32_t vocabularySize) { items_.reserve(static_cast<std::size_t>(vocabularySize)); }

  /// All tokens but those that are -inf or NaN; +inf counts as the largest float.
  void takeAll(std::span<const float> logits);
  /// The same as takeAll and topK, in one pass that holds 2·k candidates at most at any time.
  void takeTop(std::span<const float> logits, std::int32_t k);

  void topK(std::int32_t k);
  void topP(double p);
  void minP(double p);
  void typical(double p);
  void temperature(double t);
  /// Of the tokens with at least `threshold`, only the least likely stays.
  void xtc(double threshold);
  /// Drops what has more surprise than `mu` bits.
  void mirostat(double mu);

  /// Fills the weights and returns their sum (>= 1).
  double weigh();
  /// After logits were changed from outside: makes them finite, and the order right again.
  void restoreOrder();

  bool empty() const { return items_.empty(); }
  std::vector<Candidate>& items() { return items_; }

 private:
  float largest() const;
  void keepBest(std::size_t count);

  std::vector<Candidate> items_;
  bool sorted_ = false;
};

/// The id of the largest logit, the lowest id of equal ones; 0 where all are -inf or NaN.
std::int32_t largestLogit(std::span<const float> logits);

}  // namespace quern::engine::sampling
