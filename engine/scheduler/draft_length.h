// How many drafts a step checks: as many as make the most tokens a second, which may be none.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/scheduler/proposer.h"
#include "engine/scheduler/step_costs.h"

namespace quern::engine::scheduler {

/// One an engine; engine thread only. No clock and no chance inside: the same calls give the same answers.
///
/// A step that decodes S sequences and checks R drafts makes S + G(R) tokens and costs T(S + R) + o seconds.
/// T is measured (StepCosts), o is what else is in the step. A draft that stands behind others counts only if
/// all of them are right, so it is worth g = t · p₁ · p₂ … pᵢ, the p's from its proposer, and t the trust:
/// how many drafts were right lately over how many should have been. Of all sequences' drafts the R most
/// valuable are checked (a draft is never worth more than the one before it, so these are beginnings of
/// proposals), for the R that maximises (S + G(R)) / (T(S + R) + o); none, if that is not kMargin better than
/// without.
///
/// Turned off by that, it tries again after 16 chances missed, then 32, … up to 512: only measuring can tell
/// that costs were mistaken. And of 128 steps that could be plain one is, so that T(S) stays known.
class DraftLength {
 public:
  /// A step so many percent better than a plain one is worth the trouble.
  static constexpr double kMargin = 0.03;

  /// What the step decodes beside drafts.
  struct Step {
    std::int32_t sequences = 1;   ///< rows that are there anyway
    std::int32_t mostDrafts = 0;  ///< rows that may be added: of logits, and of the batch
    double otherSeconds = 0;      ///< of prompts in the same step
  };

  /// How many drafts to ask a proposer for that has to compute them: 0 where none would pay, `most` where
  /// asking is free. The n that maximises (1 + Σ eⁱ) / (T(S + n) + n · c), e its expected() and c its
  /// secondsPerDraft().
  std::int32_t wanted(const Proposer& proposer, const Step& step);

  /// Cuts every proposal to the drafts that are worth checking.
  void choose(std::span<Proposal* const> proposals, const Step& step);

  /// After the step: of one sequence's proposal, as it was cut, so many were right.
  void verified(const Proposal& proposal, std::int32_t accepted);
  /// A step that decoded `rows` rows, drafts included, and nothing else took so long. Steps with prompts, and
  /// those in which something else happened, are not to be told.
  void measured(std::int32_t rows, double seconds) { costs_.measured(rows, seconds); }

  const StepCosts& costs() const { return costs_; }
  double trust() const;
  /// Drafts that were checked, and those that were right.
  std::uint64_t offered() const { return offered_; }
  std::uint64_t accepted() const { return accepted_; }

 private:
  /// Counts chances that were not taken.
  struct Probe {
    std::int32_t missed = 0, wait = kFirstWait;
    static constexpr std::int32_t kFirstWait = 16, kLongestWait = 512;
    bool isDue();
    void pays() { *this = {}; }
  };
  struct Draft {
    double gain;
    std::uint32_t index, proposal;
  };
  bool isPlainDue(const Step& step);

  StepCosts costs_;
  Probe asking_, checking_;
  std::int32_t sincePlain_ = 0;
  double expectedRight_ = 0, actualRight_ = 0;
  std::uint64_t offered_ = 0, accepted_ = 0;
  std::vector<Draft> drafts_;         ///< of one choose()
  std::vector<std::size_t> lengths_;  ///< of one choose()
};

}  // namespace quern::engine::scheduler
