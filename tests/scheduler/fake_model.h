// A language model made of arithmetic: logits that hang on the last tokens, for tests that sample.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/sampling/random.h"

namespace quern::engine::scheduler {

/// Logits in [-spread, spread], made of the last `order` tokens of the context.
class FakeModel {
 public:
  FakeModel(std::int32_t vocabulary, std::uint64_t seed, double spread = 4, std::size_t order = 3)
      : vocabulary_(vocabulary), seed_(seed), spread_(spread), order_(order) {}

  std::vector<float> logits(std::span<const std::int32_t> context) const {
    std::uint64_t hash = seed_;
    for (const std::int32_t token : context.last(std::min(order_, context.size()))) {
      hash = hash * 6364136223846793005ULL + static_cast<std::uint64_t>(token) + 1442695040888963407ULL;
    }
    sampling::Random random(hash);
    std::vector<float> row(static_cast<std::size_t>(vocabulary_));
    for (float& logit : row) logit = static_cast<float>((2 * random.uniform() - 1) * spread_);
    return row;
  }
  std::int32_t vocabulary() const { return vocabulary_; }

 private:
  std::int32_t vocabulary_;
  std::uint64_t seed_;
  double spread_;
  std::size_t order_;
};

}  // namespace quern::engine::scheduler
