#include "engine/scheduler/step_budget.h"

#include <algorithm>
#include <cmath>

namespace quern::engine::scheduler {
namespace {

/// The weight of a new measurement: some ten steps decide.
constexpr double kNews = 0.1;
/// Prompts must get on whatever the target says: the fewest tokens for which kernels have a form.
constexpr std::int32_t kLeast = 4;
/// Until it is known what a token costs.
constexpr std::int32_t kUnknown = 32;
/// Where a prompt comes to eight answers it may make their steps so much longer: it is hardly felt. The more
/// prompts come to an answer, the more of the time is theirs.
constexpr double kStretch = 0.7;
constexpr double kAnswersAPrompt = 8;
constexpr double kLeastShare = 0.5;
/// A step of prompts alone makes nobody wait but a request that comes in or is cancelled meanwhile.
constexpr double kAloneTargets = 4;

std::int32_t tokensIn(double seconds, double cost, std::int32_t room) {
  return std::min(room, static_cast<std::int32_t>(std::clamp<double>(seconds / cost, kLeast, 1e6)));
}

double mixed(double known, double news) { return known == 0 ? news : known + kNews * (news - known); }

}  // namespace

StepBudget::StepBudget(std::chrono::duration<double> target, std::int32_t most)
    : target_(target.count()), most_(most) {}

double StepBudget::decodeSeconds(std::int32_t rows) const {
  // The nearest count that was seen; fewer rows do not take longer.
  const auto seen = static_cast<std::int32_t>(decodeSeconds_.size());
  for (std::int32_t away = 0; away < std::max(seen, rows); ++away) {
    for (const std::int32_t at : {rows - away, rows + away}) {
      if (at > 0 && at < seen && decodeSeconds_[static_cast<std::size_t>(at)] > 0) {
        return decodeSeconds_[static_cast<std::size_t>(at)];
      }
    }
  }
  return 0;
}

std::int32_t StepBudget::promptTokens(std::int32_t decoding, std::int32_t prefilling) const {
  const std::int32_t room = std::max(0, most_ - decoding);
  if (decoding == 0) {
    // The first prompt tells what one costs.
    return aloneSeconds_ == 0 ? room : tokensIn(kAloneTargets * target_, aloneSeconds_, room);
  }
  const double cost = besideSeconds_ > 0 ? besideSeconds_ : aloneSeconds_;
  if (cost == 0) return std::min(room, kUnknown);
  const double alone = decodeSeconds(decoding);
  // Where answers alone take longer than wanted, those who wait for their first token still get a share.
  double seconds = std::max(target_ - alone, kLeastShare * alone);
  if (alone > 0) {
    const double share = std::max(1.0, kAnswersAPrompt * prefilling / decoding);
    seconds = std::min(seconds, kStretch * share * alone);
  }
  return tokensIn(seconds, cost, room);
}

double StepBudget::answerTokenCost() const {
  const double prompt = besideSeconds_ > 0 ? besideSeconds_ : aloneSeconds_;
  // With many rows the weights, which are read once, weigh least.
  const auto most =
      std::find_if(decodeSeconds_.rbegin(), decodeSeconds_.rend(), [](double s) { return s > 0; });
  if (prompt == 0 || most == decodeSeconds_.rend()) return 1;
  const auto rows = static_cast<double>(std::distance(most, decodeSeconds_.rend()) - 1);
  return std::max(1.0, *most / rows / prompt);
}

void StepBudget::measured(std::int32_t decodeRows, std::int32_t promptTokens,
                          std::chrono::duration<double> time) {
  const double seconds = time.count();
  if (promptTokens > 0) {
    if (promptTokens < kLeast) return;  // a prompt's last tokens say nothing about a slice
    const double decode = decodeRows > 0 ? decodeSeconds(decodeRows) : 0;
    if (decodeRows > 0 && decode == 0) return;
    double& known = decodeRows > 0 ? besideSeconds_ : aloneSeconds_;
    known = mixed(known, std::max(1e-9, (seconds - decode) / promptTokens));
    return;
  }
  if (decodeRows <= 0) return;
  const auto at = static_cast<std::size_t>(decodeRows);
  if (decodeSeconds_.size() <= at) decodeSeconds_.resize(at + 1, 0);
  decodeSeconds_[at] = mixed(decodeSeconds_[at], seconds);
}

}  // namespace quern::engine::scheduler
