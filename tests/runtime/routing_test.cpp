// Which experts a token takes, and how a batch is put in their order.

#include "engine/runtime/cpu/routing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>

#include "kernels/cpu/kernels.h"

namespace quern::engine::runtime {
namespace {

using model::ExpertChoice;
using model::Gating;

struct Choice {
  std::vector<std::int32_t> experts;
  std::vector<float> weights;
};

Choice choose(const ExpertChoice& choice, const std::vector<float>& scores,
              const std::vector<float>& bias = {}) {
  Choice made;
  made.experts.resize(static_cast<std::size_t>(choice.used), -1);
  made.weights.resize(static_cast<std::size_t>(choice.used), -1.0F);
  std::vector<float> scratch(2 * scores.size());
  chooseExperts(choice, scores.data(), bias.empty() ? nullptr : bias.data(), made.experts.data(),
                made.weights.data(), scratch.data());
  return made;
}

ExpertChoice plain(std::int32_t experts, std::int32_t used, Gating gating = Gating::kSoftmax) {
  ExpertChoice choice;
  choice.experts = experts;
  choice.used = used;
  choice.gating = gating;
  return choice;
}

TEST(Experts, TheBestAreTakenBestFirst) {
  const Choice made = choose(plain(5, 3), {0.5F, 2.0F, -1.0F, 1.0F, 2.0F});
  EXPECT_EQ(made.experts, (std::vector<std::int32_t>{1, 4, 3}));  // of equals the lower number
  const double sum = std::exp(0.5) + 2 * std::exp(2.0) + std::exp(-1.0) + std::exp(1.0);
  EXPECT_NEAR(made.weights[0], std::exp(2.0) / sum, 1e-6);
  EXPECT_NEAR(made.weights[2], std::exp(1.0) / sum, 1e-6);
}

TEST(Experts, WeightsAreNormalizedAndScaled) {
  ExpertChoice choice = plain(4, 2);
  choice.normalizes = true;
  choice.scale = 2.5F;
  const Choice made = choose(choice, {1.0F, 3.0F, 0.0F, 2.0F});
  EXPECT_NEAR(made.weights[0] + made.weights[1], 2.5, 1e-6);
  EXPECT_NEAR(made.weights[0] / made.weights[1], std::exp(1.0), 1e-5);
  choice.normalizes = false;
  const Choice scaled = choose(choice, {1.0F, 3.0F, 0.0F, 2.0F});
  const double all = std::exp(1.0) + std::exp(3.0) + 1 + std::exp(2.0);
  EXPECT_NEAR(scaled.weights[0], 2.5 * std::exp(3.0) / all, 1e-6);
  EXPECT_NEAR(scaled.weights[1], 2.5 * std::exp(2.0) / all, 1e-6);
}

TEST(Experts, SoftmaxOfTheChosenLeavesTheOthersOut) {
  const Choice made = choose(plain(4, 2, Gating::kSoftmaxOfChosen), {1.0F, -3.0F, 5.0F, 4.0F});
  EXPECT_EQ(made.experts, (std::vector<std::int32_t>{2, 3}));
  EXPECT_NEAR(made.weights[0], 1 / (1 + std::exp(-1.0)), 1e-6);
  EXPECT_NEAR(made.weights[0] + made.weights[1], 1.0, 1e-6);
}

TEST(Experts, ABiasChoosesAndDoesNotWeigh) {
  const Choice made = choose(plain(3, 1, Gating::kSigmoid), {1.0F, 0.5F, 0.0F}, {0.0F, 0.0F, 1.0F});
  EXPECT_EQ(made.experts.at(0), 2);
  EXPECT_FLOAT_EQ(made.weights.at(0), 0.5F);
}

TEST(Experts, OnlyTheBestGroupsAreChosenFrom) {
  ExpertChoice choice = plain(6, 2, Gating::kSoftmax);
  choice.groups = 3;
  choice.usedGroups = 1;
  // The last group has the best expert.
  EXPECT_EQ(choose(choice, {1, 1, 2, 2, 3, -9}).experts, (std::vector<std::int32_t>{4, 5}));
  // By sigmoids it is the two best together.
  choice.gating = Gating::kSigmoid;
  EXPECT_EQ(choose(choice, {1, 1, 2, 2.5, 3, -9}).experts, (std::vector<std::int32_t>{3, 2}));
  choice.usedGroups = 2;
  EXPECT_EQ(choose(choice, {1, 1, 2, 2.5, 3, -9}).experts, (std::vector<std::int32_t>{3, 2}));
}

TEST(Experts, AnyNumbersGiveDifferentExperts) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    std::vector<float> scores(12);
    std::vector<float> bias(12);
    for (float& score : scores) score = std::vector<float>{nan, inf, -inf, 0.0F, 1e30F, -2.0F}[random() % 6];
    for (float& one : bias) one = std::vector<float>{nan, inf, -inf, 0.0F}[random() % 4];
    ExpertChoice choice = plain(12, 1 + static_cast<std::int32_t>(random() % 12), Gating(random() % 3));
    choice.groups = round % 2 == 0 ? 1 : 4;
    choice.usedGroups = choice.groups == 1 ? 1 : 4 - (choice.used <= 6 ? 2 : 0);
    const Choice made = choose(choice, scores, round % 3 == 0 ? bias : std::vector<float>());
    const std::set<std::int32_t> different(made.experts.begin(), made.experts.end());
    EXPECT_EQ(different.size(), made.experts.size());
    EXPECT_TRUE(*different.begin() >= 0 && *different.rbegin() < 12);
  }
}

TEST(Experts, PairsOfAnExpertLieBesideEachOther) {
  std::mt19937 random(5);
  std::normal_distribution<float> score;
  for (const std::int64_t tokens : {1, 3, 40, 200}) {
    const ExpertChoice choice = plain(16, 4);
    Routing routing = Routing::make(200, 16, 4);
    std::vector<float> scratch(32);
    std::vector<bool> isPrompt;
    for (std::int64_t t = 0; t < tokens; ++t) {
      std::vector<float> scores(16);
      for (float& each : scores) each = score(random);
      routing.choose(choice, scores.data(), nullptr, t, scratch.data());
      isPrompt.push_back(random() % 2 == 0);
    }
    routing.group(choice, tokens, [&](std::int64_t t) { return isPrompt[static_cast<std::size_t>(t)]; });
    std::set<std::int32_t> places;
    std::set<std::int32_t> panelRows;
    std::int32_t next = 0;
    for (const ExpertGroup& group : routing.groups()) {
      EXPECT_EQ(group.first, next);
      EXPECT_GT(group.decoded + group.prompted, 0);
      EXPECT_EQ(group.panel % kernels::cpu::kPanelTokens, 0);
      next += group.decoded + group.prompted;
      for (std::int32_t place = group.first; place < next; ++place) {
        const std::int32_t pair = routing.pairAt(place);
        EXPECT_EQ(routing.place(pair), place);
        const bool prompt = isPrompt[static_cast<std::size_t>(pair / 4)];
        EXPECT_EQ(prompt, place >= group.first + group.decoded);
        const std::int32_t row = routing.panelRow(pair);
        EXPECT_EQ(row, prompt ? group.panel + place - group.first - group.decoded : -1);
        if (prompt) {
          EXPECT_TRUE(panelRows.insert(row).second);
          EXPECT_LT(row, Routing::panelRowsFor(tokens * 4, 16));
        }
        EXPECT_TRUE(places.insert(place).second);
      }
    }
    EXPECT_EQ(next, tokens * 4);
  }
}

}  // namespace
}  // namespace quern::engine::runtime
