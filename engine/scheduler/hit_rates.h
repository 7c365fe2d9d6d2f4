// How often guesses of each kind have come true lately.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace quern::engine::scheduler {

/// Each kind's rate is (h + w·prior) / (n + w): n the trials and h the hits, both multiplied by kMemory
/// before every new one, so that some thirty trials count; w = 2 trials' worth of belief in the prior. One
/// thread.
class HitRates {
 public:
  explicit HitRates(std::span<const double> priors);

  void count(std::size_t kind, bool isHit);
  /// Between 0.01 and 0.99: nothing is certain, neither way.
  double rate(std::size_t kind) const;
  std::size_t kinds() const { return kinds_.size(); }

 private:
  struct Kind {
    double prior, hits = 0, trials = 0;
  };
  std::vector<Kind> kinds_;
};

}  // namespace quern::engine::scheduler
