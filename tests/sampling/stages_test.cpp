// Each stage against its re-statement, on shapes where fast ways go wrong: ties, one token, more asked for
// than there is.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "engine/sampling/candidates.h"
#include "engine/sampling/exact_math.h"
#include "engine/sampling/history.h"
#include "engine/sampling/random.h"
#include "tests/sampling/restatement.h"

namespace quern::engine::sampling {
namespace {

std::vector<float> randomLogits(std::size_t size, std::uint32_t seed, bool ties) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 4);
  std::vector<float> logits(size);
  for (float& x : logits) x = ties ? std::round(normal(random)) : normal(random);
  return logits;
}

restated::Tokens plain(const std::vector<float>& logits) {
  restated::Tokens tokens;
  for (std::size_t i = 0; i < logits.size(); ++i) tokens.push_back({static_cast<int>(i), logits[i]});
  return tokens;
}

template <class List>
std::set<int> idsOf(const List& list) {
  std::set<int> ids;
  for (const auto& item : list) ids.insert(item.id);
  return ids;
}

struct Shape {
  std::size_t size;
  bool ties;
};

class EveryShape : public testing::TestWithParam<Shape> {
 protected:
  std::vector<float> logits_ =
      randomLogits(GetParam().size, static_cast<std::uint32_t>(GetParam().size), GetParam().ties);
  Candidates all() const {
    Candidates candidates;
    candidates.takeAll(logits_);
    return candidates;
  }
};

TEST_P(EveryShape, TopKKeepsTheLargestAndOfEqualOnesTheLowestIds) {
  for (const int k : {1, 2, 3, 40, 257, 1000, 100000}) {
    const auto expected = idsOf(restated::topK(plain(logits_), k));
    Candidates late = all();
    late.topK(k);
    EXPECT_EQ(idsOf(late.items()), expected) << k;
    Candidates direct;
    direct.takeTop(logits_, k);
    EXPECT_EQ(idsOf(direct.items()), expected) << k;
  }
}

TEST_P(EveryShape, TopPKeepsTheSmallestSetThatHoldsP) {
  for (const double p : {0.0, 0.1, 0.5, 0.9, 0.95, 0.999}) {
    Candidates candidates = all();
    candidates.topP(p);
    EXPECT_EQ(idsOf(candidates.items()), idsOf(restated::topP(plain(logits_), p))) << p;
  }
}

TEST_P(EveryShape, MinPKeepsWhatIsNearEnoughToTheBest) {
  for (const double p : {0.001, 0.05, 0.3, 0.97}) {
    Candidates candidates = all();
    candidates.minP(p);
    EXPECT_EQ(idsOf(candidates.items()), idsOf(restated::minP(plain(logits_), p))) << p;
  }
}

TEST_P(EveryShape, TypicalKeepsWhatSurprisesAsMuchAsExpected) {
  // Equal distances on both sides of the entropy have no order in theory.
  for (std::size_t i = 0; i < logits_.size(); ++i) logits_[i] += 1e-4F * static_cast<float>(i);
  for (const double p : {0.05, 0.2, 0.5, 0.9, 0.99}) {
    Candidates candidates = all();
    candidates.typical(p);
    EXPECT_EQ(idsOf(candidates.items()), idsOf(restated::typical(plain(logits_), p))) << p;
  }
}

TEST_P(EveryShape, XtcTakesTheTopChoicesButTheLeastLikelyOfThem) {
  for (const double threshold : {0.01, 0.05, 0.1, 0.2, 0.5}) {
    Candidates candidates = all();
    candidates.xtc(threshold);
    EXPECT_EQ(idsOf(candidates.items()), idsOf(restated::xtc(plain(logits_), threshold))) << threshold;
  }
}

TEST_P(EveryShape, MirostatDropsWhatSurprisesMoreThanMu) {
  for (const double mu : {-1.0, 0.5, 2.0, 5.0, 10.0}) {
    auto expected = plain(logits_);
    restated::sortByLogit(expected);
    restated::softmax(expected);
    const double most = expected.front().logit;
    std::erase_if(expected, [&](const auto& t) { return -std::log2(t.p) > mu && t.logit < most; });
    Candidates candidates = all();
    candidates.mirostat(mu);
    EXPECT_EQ(idsOf(candidates.items()), idsOf(expected)) << mu;
  }
}

TEST_P(EveryShape, WeightsAreTheSoftmax) {
  auto expected = restated::temperature(plain(logits_), 0.7);
  restated::softmax(expected);
  Candidates candidates = all();
  candidates.temperature(0.7F);
  const double sum = candidates.weigh();
  ASSERT_EQ(candidates.items().size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(candidates.items()[i].weight / sum, expected[i].p, 3e-6 * expected[i].p);
  }
}

TEST_P(EveryShape, GreedyFindsTheFirstOfTheLargest) {
  const auto at = std::max_element(logits_.begin(), logits_.end()) - logits_.begin();
  EXPECT_EQ(largestLogit(logits_), at);
}

INSTANTIATE_TEST_SUITE_P(Sampling, EveryShape,
                         testing::Values(Shape{1, false}, Shape{2, true}, Shape{7, false}, Shape{300, true},
                                         Shape{1025, false}, Shape{5000, false}, Shape{20000, true}));

TEST(Sampling, OwnExpAndLogAreAsGoodAsTheLibrarys) {
  std::mt19937 random(5);
  std::uniform_real_distribution<double> exponents(-699, 0);
  for (int i = 0; i < 20000; ++i) {
    const double x = i % 2 == 0 ? exponents(random) : exponents(random) / 500;
    EXPECT_NEAR(exactExp(x) / std::exp(x), 1.0, 1e-15) << x;
    const double y = std::exp(x / 2);
    EXPECT_NEAR(exactLog(y), std::log(y), 4e-16 * std::max(1.0, std::abs(std::log(y)))) << y;
  }
  EXPECT_EQ(exactExp(0), 1.0);
  EXPECT_EQ(exactExp(-INFINITY), 0.0);
  EXPECT_EQ(exactExp(NAN), 0.0);
  EXPECT_EQ(exactLog(1), 0.0);
}

TEST(Sampling, RandomNumbersAreXoshiro256StarStar) {
  // From a re-statement in Python that gives the published first numbers for the state {1, 2, 3, 4}.
  Random random(42);
  for (const std::uint64_t expected :
       {0x15780b2e0c2ec716ULL, 0x6104d9866d113a7eULL, 0xae17533239e499a1ULL, 0xecb8ad4703b360a1ULL}) {
    EXPECT_EQ(random.next(), expected);
  }
}

/// The text of a small alphabet repeats itself in every way.
TEST(Sampling, DryFindsTheSameRepeatsAsItsDefinition) {
  std::mt19937 random(11);
  const std::vector<std::vector<std::vector<int>>> breakerSets = {{}, {{3}}, {{1, 2}}, {{0}, {2, 3, 1}}};
  int found = 0;
  for (int round = 0; round < 400; ++round) {
    Parameters p;
    p.dryMultiplier = 1;
    p.dryAllowedLength = 1 + round % 4;
    p.dryWindow = round % 3 == 0 ? 10 : -1;
    const auto& breakers = breakerSets[static_cast<std::size_t>(round) % breakerSets.size()];
    History history(p, 5, breakers);
    std::vector<int> tokens;
    const int length = static_cast<int>(random() % 60);
    for (int i = 0; i < length; ++i) {
      tokens.push_back(static_cast<int>(random() % 5));
      history.accept(tokens.back());
    }
    std::map<int, int> actual;
    for (const auto& repeat : history.findRepeats()) {
      EXPECT_TRUE(actual.emplace(repeat.token, repeat.length).second) << "named twice";
    }
    EXPECT_EQ(actual, restated::repeats(tokens, p, breakers)) << "round " << round;
    found += static_cast<int>(actual.size());
  }
  EXPECT_GT(found, 200);
}

TEST(Sampling, DryPenaltyGrowsWithTheRepeatAndStaysFinite) {
  Parameters p;
  p.dryMultiplier = 0.8F;
  p.dryAllowedLength = 2;
  const History history(p, 5, {});
  for (const int n : {2, 3, 7, 30}) {
    EXPECT_NEAR(history.dryPenalty(n) / (0.8 * std::pow(1.75, n - 2)), 1.0, 1e-6) << n;
  }
  EXPECT_TRUE(std::isfinite(history.dryPenalty(1 << 30)));
}

TEST(Sampling, PenaltyWindowForgetsTokenByToken) {
  std::mt19937 random(3);
  for (const int window : {1, 5, 64, -1}) {
    Parameters p;
    p.frequencyPenalty = 0.5F;
    p.penaltyWindow = window;
    History history(p, 8, {});
    std::vector<int> tokens;
    for (int i = 0; i < 500; ++i) {
      tokens.push_back(static_cast<int>(random() % 8));
      history.accept(tokens.back());
      const std::size_t n =
          window < 0 ? tokens.size() : std::min(tokens.size(), static_cast<std::size_t>(window));
      for (int token = 0; token < 8; ++token) {
        ASSERT_EQ(history.countOf(token),
                  std::count(tokens.end() - static_cast<std::ptrdiff_t>(n), tokens.end(), token));
      }
      std::size_t distinct =
          std::set<int>(tokens.end() - static_cast<std::ptrdiff_t>(n), tokens.end()).size();
      ASSERT_EQ(history.seen().size(), distinct);
    }
  }
}

}  // namespace
}  // namespace quern::engine::sampling
