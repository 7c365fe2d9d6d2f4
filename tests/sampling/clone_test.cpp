#include <gtest/gtest.h>

#include <vector>

#include "engine/sampling/random.h"
#include "engine/sampling/sampler.h"
#include "tests/sampling/allocations.h"

namespace quern::engine::sampling {
namespace {

constexpr std::int32_t kTokens = 40;

Parameters everything() {
  Parameters parameters;
  parameters.randomSeed = false;
  parameters.seed = 9;
  parameters.temperature = 1.1F;
  parameters.repeatPenalty = 1.2F;
  parameters.penaltyWindow = 12;
  parameters.dryMultiplier = 0.8F;
  parameters.xtcProbability = 0.3F;
  return parameters;
}

std::vector<float> row(Random& random) {
  std::vector<float> logits(kTokens);
  for (float& logit : logits) logit = static_cast<float>(random.uniform() * 6);
  return logits;
}

/// Twenty tokens picked by `sampler` from the same rows, whoever it is.
std::vector<std::int32_t> twenty(Sampler& sampler) {
  Random random(77);
  std::vector<std::int32_t> picked;
  for (int i = 0; i < 20; ++i) {
    auto logits = row(random);
    picked.push_back(sampler.sample(logits));
    sampler.accept(picked.back());
  }
  return picked;
}

TEST(SamplerClone, PicksWhatItsOriginalPicks) {
  for (const std::int32_t mirostat : {0, 2}) {
    auto parameters = everything();
    parameters.mirostat = mirostat;
    Sampler original(parameters, kTokens, {{1}});
    twenty(original);
    Sampler clone = original.clone();
    EXPECT_EQ(clone.seed(), original.seed());
    EXPECT_EQ(twenty(clone), twenty(original));
    EXPECT_EQ(twenty(clone), twenty(original));
  }
}

TEST(SamplerClone, GoesItsOwnWayWithoutMovingItsOriginal) {
  Sampler original(everything(), kTokens);
  Sampler untouched(everything(), kTokens);
  Sampler clone = original.clone();
  const auto first = twenty(clone);
  const auto second = twenty(clone);
  EXPECT_NE(first, second) << "the state does not move at all";
  EXPECT_EQ(twenty(original), twenty(untouched));
}

TEST(SamplerClone, FollowsItsOriginalAgainAfterItsOwnWay) {
  for (const std::int32_t mirostat : {0, 2}) {
    auto parameters = everything();
    parameters.mirostat = mirostat;
    Sampler original(parameters, kTokens, {{1}});
    Sampler clone = original.clone();
    for (int round = 0; round < 4; ++round) {
      twenty(clone);
      twenty(clone);
      twenty(original);
      clone.follow(original);
      Sampler fresh = original.clone();
      EXPECT_EQ(twenty(clone), twenty(fresh)) << round;
    }
  }
}

TEST(SamplerClone, FollowingAllocatesNothing) {
  auto parameters = everything();
  parameters.dryWindow = 30;
  Sampler original(parameters, kTokens);
  Sampler clone = original.clone();
  // Windows move, and their lists reach their full length.
  for (int i = 0; i < 10; ++i) {
    twenty(original);
    clone.follow(original);
  }
  const std::size_t before = allocationCount();
  clone.follow(original);
  EXPECT_EQ(allocationCount(), before);
}

}  // namespace
}  // namespace quern::engine::sampling
