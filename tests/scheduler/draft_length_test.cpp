#include "engine/scheduler/draft_length.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>
#include <vector>

#include "engine/sampling/random.h"

namespace quern::engine::scheduler {
namespace {

using Costs = std::function<double(std::int32_t rows)>;

/// Rows are almost free, as where memory bounds a step; or each costs what the first does.
double cheapRows(std::int32_t rows) { return 0.010 * (1 + 0.05 * (rows - 1)); }
double dearRows(std::int32_t rows) { return 0.010 * rows; }

Proposal proposalOf(std::size_t count, double probability) {
  Proposal proposal;
  for (std::size_t i = 0; i < count; ++i) proposal.add(static_cast<std::int32_t>(i), probability);
  return proposal;
}

/// An engine with one sequence, whose drafts are right with a chance of its own.
struct Machine {
  explicit Machine(Costs stepCosts, double timeNoise = 0) : costs(std::move(stepCosts)), noise(timeNoise) {}

  Costs costs;
  double noise;  ///< of a step's time
  DraftLength length{};
  sampling::Random random{17};
  double seconds = 0, tokens = 0;
  std::vector<std::int32_t> checked;  ///< drafts of each step

  void step(Proposal proposal, double right, std::int32_t sequences = 1) {
    std::vector<Proposal> own(static_cast<std::size_t>(sequences), proposal);
    std::vector<Proposal*> all;
    for (Proposal& one : own) all.push_back(&one);
    length.choose(all, {sequences, 48, 0});
    std::int32_t rows = sequences;
    for (const Proposal& one : own) {
      const auto count = static_cast<std::int32_t>(one.tokens.size());
      std::int32_t accepted = 0;
      while (accepted < count && random.uniform() < right) ++accepted;
      length.verified(one, accepted);
      tokens += accepted + 1;
      rows += count;
    }
    const double time = costs(rows) * (1 + noise * (2 * random.uniform() - 1));
    length.measured(rows, time);
    seconds += time;
    checked.push_back(rows - sequences);
  }
  double rate() const { return tokens / seconds; }
  std::int32_t last() const { return checked.back(); }
};

TEST(StepCosts, LearnsWhatItMeasures) {
  StepCosts costs;
  EXPECT_EQ(costs.seconds(3), 0);
  costs.measured(1, 0.01);
  EXPECT_DOUBLE_EQ(costs.seconds(1), 0.01);
  EXPECT_GT(costs.seconds(9), costs.seconds(1));
  costs.measured(9, 0.05);
  EXPECT_DOUBLE_EQ(costs.seconds(9), 0.05);
  EXPECT_NEAR(costs.seconds(5), 0.03, 1e-9) << "half-way between";
  EXPECT_TRUE(costs.isMeasured(9));
  EXPECT_FALSE(costs.isMeasured(5));
  for (int i = 0; i < 60; ++i) costs.measured(9, 0.02);
  EXPECT_NEAR(costs.seconds(9), 0.02, 0.0005);
}

TEST(StepCosts, OneOutlierSaysLittle) {
  StepCosts costs;
  for (int i = 0; i < 10; ++i) costs.measured(1, 0.01);
  costs.measured(1, 10.0);
  EXPECT_LT(costs.seconds(1), 0.012);
}

TEST(StepCosts, WhatIsNotMeasuredFollowsTheMachine) {
  StepCosts costs;
  costs.measured(1, 0.01);
  costs.measured(8, 0.02);
  for (int i = 0; i < 200; ++i) costs.measured(8, 0.04);
  EXPECT_GT(costs.seconds(1), 0.011);
  EXPECT_LT(costs.seconds(1), 0.021);
}

TEST(StepCosts, NonsenseIsNotAMeasurement) {
  StepCosts costs;
  costs.measured(0, 1);
  costs.measured(1, 0);
  costs.measured(2, -1);
  costs.measured(3, std::nan(""));
  costs.measured(4, INFINITY);
  EXPECT_EQ(costs.seconds(1), 0);
}

TEST(DraftLength, FirstLearnsWhatAPlainStepCosts) {
  DraftLength length;
  Proposal proposal = proposalOf(8, 0.9);
  Proposal* all[] = {&proposal};
  length.choose(all, {1, 16, 0});
  EXPECT_TRUE(proposal.tokens.empty());
}

TEST(DraftLength, KeepsPlainStepsMeasured) {
  Machine machine{Costs(cheapRows)};
  for (int i = 0; i < 1280; ++i) machine.step(proposalOf(8, 0.95), 0.95);
  const auto plain = std::count(machine.checked.begin(), machine.checked.end(), 0);
  EXPECT_GE(plain, 9);
  EXPECT_LE(plain, 12);
  // Another number of sequences is another plain step.
  machine.step(proposalOf(8, 0.95), 0.95, 3);
  EXPECT_EQ(machine.last(), 0);
  machine.step(proposalOf(8, 0.95), 0.95, 3);
  EXPECT_GT(machine.last(), 0);
}

TEST(DraftLength, FindsTheLengthThatMakesTheMostTokensASecond) {
  for (const double right : {0.3, 0.5, 0.7, 0.9, 0.97}) {
    for (const double slope : {0.02, 0.1, 0.3, 0.8}) {
      Machine machine{[&](std::int32_t rows) { return 0.01 * (1 + slope * (rows - 1)); }};
      for (int i = 0; i < 600; ++i) machine.step(proposalOf(16, right), right);
      machine.tokens = machine.seconds = 0;
      for (int i = 0; i < 2000; ++i) machine.step(proposalOf(16, right), right);
      double best = 0;
      double made = 1;
      double reached = 1;
      for (std::int32_t n = 0; n <= 16; ++n) {
        best = std::max(best, made / machine.costs(n + 1));
        made += reached *= right;
      }
      EXPECT_GT(machine.rate(), 0.92 * best) << right << " right, " << slope << " a row";
    }
  }
}

TEST(DraftLength, TurnsItselfOffWhereItDoesNotPay) {
  // Rows cost what they cost alone, and drafts are mostly wrong, whatever their proposer says.
  Machine machine{dearRows, 0.1};
  for (int i = 0; i < 400; ++i) machine.step(proposalOf(8, 0.9), 0.3);
  machine.tokens = machine.seconds = 0;
  std::int32_t steps = 0;
  for (int i = 0; i < 4000; ++i) {
    machine.step(proposalOf(8, 0.9), 0.3);
    steps += machine.last() > 0 ? 1 : 0;
  }
  EXPECT_LT(steps, 40);
  EXPECT_GT(steps, 2) << "it never looks again";
  EXPECT_GT(machine.rate(), 0.97 / dearRows(1));
}

TEST(DraftLength, WrongDraftsAreFoundOutEvenWhereRowsAreCheap) {
  Machine machine{[](std::int32_t rows) { return 0.01 * (1 + 0.15 * (rows - 1)); }};
  for (int i = 0; i < 300; ++i) machine.step(proposalOf(12, 0.95), 0.05);
  EXPECT_LT(machine.length.trust(), 0.3);
  std::int32_t drafts = 0;
  for (int i = 0; i < 500; ++i) {
    machine.step(proposalOf(12, 0.95), 0.05);
    drafts += machine.last();
  }
  EXPECT_LT(drafts, 250);
}

TEST(DraftLength, ComesBackWhenTheTextRepeats) {
  Machine machine{cheapRows};
  for (int i = 0; i < 1000; ++i) machine.step(proposalOf(8, 0.02), 0.02);
  std::int32_t before = 0;
  for (int i = 0; i < 200; ++i) {
    machine.step(proposalOf(8, 0.02), 0.02);
    before += machine.last();
  }
  EXPECT_LT(before, 20);
  // The proposer says so at once.
  std::int32_t steps = 0;
  for (int i = 0; i < 20; ++i) {
    machine.step(proposalOf(8, 0.95), 0.95);
    steps += machine.last() > 4 ? 1 : 0;
  }
  EXPECT_GE(steps, 17);
}

TEST(DraftLength, ComesBackWhenItsTrustOrItsCostsWereWrong) {
  bool isDear = true;
  Machine machine{[&](std::int32_t rows) { return isDear ? dearRows(rows) : cheapRows(rows); }};
  for (int i = 0; i < 500; ++i) machine.step(proposalOf(8, 0.8), 0.1);
  EXPECT_EQ(machine.last(), 0);
  isDear = false;
  // Only tries can find out; they are at most 512 chances apart.
  for (int i = 0; i < 6000; ++i) machine.step(proposalOf(8, 0.8), 0.8);
  std::int32_t steps = 0;
  for (int i = 0; i < 100; ++i) {
    machine.step(proposalOf(8, 0.8), 0.8);
    steps += machine.last() > 0 ? 1 : 0;
  }
  EXPECT_GT(steps, 90);
}

TEST(DraftLength, DoesNotSwingInNoise) {
  // Two regimes, one clearly worth it and one clearly not, with ±25 % of noise.
  for (const bool pays : {true, false}) {
    Machine machine{pays ? Costs(cheapRows) : Costs(dearRows), 0.25};
    const double right = pays ? 0.8 : 0.4;
    for (int i = 0; i < 800; ++i) machine.step(proposalOf(8, right), right);
    std::int32_t turns = 0;
    for (int i = 0; i < 2000; ++i) {
      const bool was = machine.last() > 0;
      machine.step(proposalOf(8, right), right);
      turns += (machine.last() > 0) != was ? 1 : 0;
    }
    // A plain step in 128, or a try in 512: twice as many turns.
    EXPECT_LT(turns, 60) << pays;
  }
}

TEST(DraftLength, ChecksTheMostProbableDraftsOfAllSequences) {
  DraftLength length;
  // So much a row that only good drafts pay.
  for (std::int32_t rows = 1; rows <= 24; ++rows) length.measured(rows, 0.01 * (1 + 0.25 * (rows - 1)));
  Proposal sure = proposalOf(6, 0.97);
  Proposal unsure = proposalOf(6, 0.2);
  Proposal none;
  Proposal* all[] = {&unsure, &sure, &none};
  length.choose(all, {3, 16, 0});
  EXPECT_EQ(unsure.tokens.size(), 0U);
  EXPECT_GE(sure.tokens.size(), 4U);
  EXPECT_EQ(sure.tokens.size(), sure.probabilities.size());
}

TEST(DraftLength, KeepsToTheRowsThatThereAre) {
  DraftLength length;
  length.measured(2, 0.01);
  for (const std::int32_t most : {-3, 0, 1, 5}) {
    Proposal a = proposalOf(8, 0.99);
    Proposal b = proposalOf(8, 0.99);
    Proposal* all[] = {&a, &b};
    length.choose(all, {2, most, 0});
    EXPECT_EQ(a.tokens.size() + b.tokens.size(), static_cast<std::size_t>(std::max(0, most)));
  }
}

TEST(DraftLength, ManySequencesLeaveLessRoomForDrafts) {
  // Up to 8 rows cost the same, then every row costs.
  const Costs costs = [](std::int32_t rows) { return 0.01 * std::max(8, rows) / 8; };
  Machine alone{costs};
  Machine crowded{costs};
  for (int i = 0; i < 500; ++i) {
    alone.step(proposalOf(8, 0.6), 0.6, 1);
    crowded.step(proposalOf(8, 0.6), 0.6, 16);
  }
  EXPECT_GT(alone.last(), 2);
  EXPECT_EQ(crowded.last(), 0);
}

TEST(DraftLength, SameCallsGiveSameAnswers) {
  Machine one{cheapRows, 0.3};
  Machine two{cheapRows, 0.3};
  for (int i = 0; i < 1000; ++i) {
    const double right = 0.5 + 0.4 * std::sin(i / 50.0);
    one.step(proposalOf(10, right), right);
    two.step(proposalOf(10, right), right);
  }
  EXPECT_EQ(one.checked, two.checked);
}

class PricedProposer : public Proposer {
 public:
  PricedProposer(double expected, double seconds) : expected_(expected), seconds_(seconds) {}
  void propose(std::span<const std::int32_t>, std::int32_t, const sampling::Sampler&, Proposal&) override {}
  void restart() override {}
  double expected() const override { return expected_; }
  double secondsPerDraft() const override { return seconds_; }

 private:
  double expected_, seconds_;
};

TEST(DraftLength, AsksACostlyProposerOnlyWhereItPays) {
  DraftLength length;
  for (std::int32_t rows = 1; rows <= 17; ++rows) length.measured(rows, cheapRows(rows));
  const DraftLength::Step step{1, 16, 0};
  EXPECT_EQ(length.wanted(PricedProposer(0.5, 0), step), 16) << "asking is free";
  const auto good = length.wanted(PricedProposer(0.85, 0.001), step);
  const auto poor = length.wanted(PricedProposer(0.5, 0.001), step);
  EXPECT_GT(good, poor);
  EXPECT_GT(poor, 0);
  std::int32_t asked = 0;
  for (int i = 0; i < 1000; ++i) asked += length.wanted(PricedProposer(0.3, 0.009), step) > 0 ? 1 : 0;
  EXPECT_LT(asked, 10);
  EXPECT_GT(asked, 2) << "it never looks again";
  EXPECT_EQ(length.wanted(PricedProposer(0.9, 0.001), {1, 0, 0}), 0);
}

}  // namespace
}  // namespace quern::engine::scheduler
