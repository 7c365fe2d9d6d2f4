#include "engine/scheduler/hit_rates.h"

#include <algorithm>

namespace quern::engine::scheduler {
namespace {

constexpr double kMemory = 0.97;
constexpr double kPriorTrials = 2;

}  // namespace

HitRates::HitRates(std::span<const double> priors) {
  for (const double prior : priors) kinds_.push_back({prior});
}

void HitRates::count(std::size_t kind, bool isHit) {
  Kind& k = kinds_[kind];
  k.trials = k.trials * kMemory + 1;
  k.hits = k.hits * kMemory + (isHit ? 1 : 0);
}

double HitRates::rate(std::size_t kind) const {
  const Kind& k = kinds_[kind];
  return std::clamp((k.hits + kPriorTrials * k.prior) / (k.trials + kPriorTrials), 0.01, 0.99);
}

}  // namespace quern::engine::scheduler
