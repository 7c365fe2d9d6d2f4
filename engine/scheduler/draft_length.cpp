#include "engine/scheduler/draft_length.h"

#include <algorithm>
#include <cmath>

namespace quern::engine::scheduler {
namespace {

constexpr std::int32_t kPlainEvery = 128;
/// Some fifty drafts' memory, and a few drafts' belief in the proposers.
constexpr double kTrustMemory = 0.98;
constexpr double kTrustPrior = 4;
constexpr double kLeastTrust = 0.05;
constexpr double kMostTrust = 1.2;
/// Tries check no drafts that are less probable than this.
constexpr double kWorthTrying = 0.25;

}  // namespace

double DraftLength::trust() const {
  return std::clamp((actualRight_ + kTrustPrior) / (expectedRight_ + kTrustPrior), kLeastTrust, kMostTrust);
}

bool DraftLength::Probe::isDue() {
  if (++missed < wait) return false;
  missed = 0;
  wait = std::min(2 * wait, kLongestWait);
  return true;
}

/// Without a recent T(S) nobody knows whether drafts pay.
bool DraftLength::isPlainDue(const Step& step) {
  if (costs_.isMeasured(step.sequences) && ++sincePlain_ < kPlainEvery) return false;
  sincePlain_ = 0;
  return true;
}

std::int32_t DraftLength::wanted(const Proposer& proposer, const Step& step) {
  const double perDraft = proposer.secondsPerDraft();
  if (perDraft <= 0 || step.mostDrafts <= 0) return std::max(0, step.mostDrafts);
  if (!costs_.isMeasured(step.sequences)) return 0;
  const double expected = std::clamp(proposer.expected() * std::min(1.0, trust()), 0.01, 0.99);
  const double plain = costs_.seconds(step.sequences);
  const double others = step.sequences - 1;
  double best = (1 + kMargin) * (others + 1) / (plain + step.otherSeconds);
  std::int32_t count = 0;
  double gain = 0;
  double reached = 1;
  for (std::int32_t n = 1; n <= step.mostDrafts; ++n) {
    reached *= expected;
    gain += reached;
    const double seconds = costs_.seconds(step.sequences + n) + n * perDraft + step.otherSeconds;
    if ((others + 1 + gain) / seconds <= best) continue;
    best = (others + 1 + gain) / seconds;
    count = n;
  }
  if (count > 0) {
    asking_.pays();
    return count;
  }
  return asking_.isDue() ? std::min(step.mostDrafts, 2) : 0;
}

void DraftLength::choose(std::span<Proposal* const> proposals, const Step& step) {
  drafts_.clear();
  lengths_.assign(proposals.size(), 0);
  const double trusted = trust();
  for (std::size_t p = 0; p < proposals.size(); ++p) {
    double gain = trusted;
    for (std::size_t i = 0; i < proposals[p]->tokens.size(); ++i) {
      gain *= proposals[p]->probabilities[i];
      // The first may be worth more than it says, but nothing is more than certain.
      drafts_.push_back({std::min(gain, 0.99), static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(p)});
    }
  }
  std::sort(drafts_.begin(), drafts_.end(), [](const Draft& a, const Draft& b) {
    if (a.gain != b.gain) return a.gain > b.gain;
    return a.index != b.index ? a.index < b.index : a.proposal < b.proposal;
  });
  if (step.mostDrafts < static_cast<std::int32_t>(drafts_.size())) {
    drafts_.resize(static_cast<std::size_t>(std::max(0, step.mostDrafts)));
  }
  std::size_t checked = 0;
  if (!drafts_.empty() && !isPlainDue(step)) {
    double best = (1 + kMargin) * step.sequences / (costs_.seconds(step.sequences) + step.otherSeconds);
    double tokens = step.sequences;
    for (std::size_t n = 1; n <= drafts_.size(); ++n) {
      tokens += drafts_[n - 1].gain;
      const double seconds =
          costs_.seconds(step.sequences + static_cast<std::int32_t>(n)) + step.otherSeconds;
      if (tokens / seconds <= best) continue;
      best = tokens / seconds;
      checked = n;
    }
    if (checked > 0) {
      checking_.pays();
    } else if (checking_.isDue()) {
      while (checked < drafts_.size() && (checked == 0 || drafts_[checked].gain >= kWorthTrying)) ++checked;
    }
  }
  for (std::size_t n = 0; n < checked; ++n) ++lengths_[drafts_[n].proposal];
  for (std::size_t p = 0; p < proposals.size(); ++p) proposals[p]->cut(lengths_[p]);
}

void DraftLength::verified(const Proposal& proposal, std::int32_t accepted) {
  if (proposal.tokens.empty()) return;
  double reached = 1;
  double expected = 0;
  for (const float probability : proposal.probabilities) expected += reached *= probability;
  expectedRight_ = expectedRight_ * kTrustMemory + expected;
  actualRight_ = actualRight_ * kTrustMemory + accepted;
  offered_ += proposal.tokens.size();
  accepted_ += static_cast<std::uint64_t>(accepted);
}

}  // namespace quern::engine::scheduler
