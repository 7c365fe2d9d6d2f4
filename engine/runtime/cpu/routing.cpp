#include "engine/runtime/cpu/routing.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/kernels.h"

namespace quern::engine::runtime {
namespace {

using model::ExpertChoice;
using model::Gating;

constexpr float kLeast = -std::numeric_limits<float>::infinity();

float orLeast(float score) { return std::isnan(score) ? kLeast : score; }

/// scores = softmax of themselves. NaN and infinities leave numbers that are finite or NaN, never a crash.
void softmax(float* scores, std::int32_t n) {
  float largest = kLeast;
  for (std::int32_t i = 0; i < n; ++i) largest = std::max(largest, orLeast(scores[i]));
  float sum = 0;
  for (std::int32_t i = 0; i < n; ++i) {
    scores[i] = std::exp(scores[i] - largest);
    sum += scores[i];
  }
  for (std::int32_t i = 0; i < n; ++i) scores[i] /= sum;
}

/// How good a group is: its best score, or the sum of its two best.
float groupScore(const ExpertChoice& choice, const float* scores, std::int32_t size) {
  float best = kLeast;
  float second = kLeast;
  for (std::int32_t i = 0; i < size; ++i) {
    const float score = orLeast(scores[i]);
    second = std::max(second, std::min(best, score));
    best = std::max(best, score);
  }
  return choice.gating == Gating::kSigmoid && size > 1 ? best + second : best;
}

/// Takes the experts of groups that are not among the best out of the choice.
void keepBestGroups(const ExpertChoice& choice, float* scores) {
  const std::int32_t size = choice.experts / choice.groups;
  const auto scoreOf = [&](std::int32_t group) { return groupScore(choice, scores + group * size, size); };
  // A group stays when fewer than `usedGroups` are before it; the scores stay until all have been judged.
  std::int32_t dropped[1024 / 32] = {};
  for (std::int32_t group = 0; group < choice.groups; ++group) {
    const float score = scoreOf(group);
    std::int32_t before = 0;
    for (std::int32_t other = 0; other < choice.groups; ++other) {
      const float otherScore = scoreOf(other);
      before += otherScore > score || (otherScore == score && other < group) ? 1 : 0;
    }
    if (before >= choice.usedGroups) dropped[group / 32] |= static_cast<std::int32_t>(1U << (group % 32));
  }
  for (std::int32_t group = 0; group < choice.groups; ++group) {
    if ((static_cast<std::uint32_t>(dropped[group / 32]) >> (group % 32) & 1U) == 0) continue;
    std::fill_n(scores + group * size, size, kLeast);
  }
}

}  // namespace

void chooseExperts(const ExpertChoice& choice, const float* scores, const float* bias, std::int32_t* chosen,
                   float* weights, float* scratch) {
  const std::int32_t experts = choice.experts;
  float* probabilities = scratch;
  float* wanted = scratch + experts;
  std::copy_n(scores, experts, probabilities);
  if (choice.gating == Gating::kSoftmax) softmax(probabilities, experts);
  for (std::int32_t i = 0; i < experts && choice.gating == Gating::kSigmoid; ++i) {
    probabilities[i] = 1.0F / (1.0F + std::exp(-probabilities[i]));
  }
  for (std::int32_t i = 0; i < experts; ++i) {
    wanted[i] = orLeast(bias == nullptr ? probabilities[i] : probabilities[i] + bias[i]);
  }
  if (choice.usedGroups < choice.groups) keepBestGroups(choice, wanted);

  // An expert that was taken is marked by NaN, so that others which are worth nothing come before it.
  for (std::int32_t slot = 0; slot < choice.used; ++slot) {
    std::int32_t best = -1;
    for (std::int32_t i = 0; i < experts; ++i) {
      if (!std::isnan(wanted[i]) && (best < 0 || wanted[i] > wanted[best])) best = i;
    }
    chosen[slot] = best;
    weights[slot] = probabilities[best];
    wanted[best] = std::numeric_limits<float>::quiet_NaN();
  }
  if (choice.gating == Gating::kSoftmaxOfChosen) softmax(weights, choice.used);
  float sum = 0;
  for (std::int32_t slot = 0; slot < choice.used; ++slot) sum += weights[slot];
  // The least sum that llama.cpp and transformers divide by differ; both are below any sum of real scores.
  const float factor = choice.normalizes ? choice.scale / std::max(sum, 1e-20F) : choice.scale;
  for (std::int32_t slot = 0; slot < choice.used; ++slot) weights[slot] *= factor;
}

Routing Routing::make(std::int64_t tokens, std::int32_t experts, std::int32_t used) {
  Routing routing;
  const auto pairs = static_cast<std::size_t>(tokens * used);
  routing.chosen_.resize(pairs);
  routing.weights_.resize(pairs);
  routing.place_.resize(pairs);
  routing.panelRow_.resize(pairs);
  routing.pairAt_.resize(pairs);
  routing.counts_.resize(static_cast<std::size_t>(experts));
  routing.groupOf_.resize(static_cast<std::size_t>(experts));
  routing.groups_.reserve(static_cast<std::size_t>(experts));
  return routing;
}

std::uint64_t Routing::bytesFor(std::int64_t tokens, std::int32_t experts, std::int32_t used) {
  return static_cast<std::uint64_t>(tokens * used) * 5 * sizeof(std::int32_t) +
         static_cast<std::uint64_t>(experts) * (sizeof(Count) + sizeof(std::int32_t) + sizeof(ExpertGroup));
}

std::int64_t Routing::panelRowsFor(std::int64_t pairs, std::int32_t experts) {
  return pairs + std::min<std::int64_t>(pairs, experts) * (kernels::cpu::kPanelTokens - 1);
}

void Routing::choose(const ExpertChoice& choice, const float* scores, const float* bias, std::int64_t token,
                     float* scratch) {
  const auto first = static_cast<std::size_t>(token * choice.used);
  chooseExperts(choice, scores, bias, chosen_.data() + first, weights_.data() + first, scratch);
}

void Routing::layGroups() {
  constexpr auto kPanelTokens = static_cast<std::int32_t>(kernels::cpu::kPanelTokens);
  groups_.clear();
  std::int32_t first = 0;
  std::int32_t panel = 0;
  for (std::size_t expert = 0; expert < counts_.size(); ++expert) {
    const Count& count = counts_[expert];
    if (count.decoded + count.prompted == 0) continue;
    groupOf_[expert] = static_cast<std::int32_t>(groups_.size());
    groups_.push_back({static_cast<std::int32_t>(expert), first, count.decoded, count.prompted, panel});
    first += count.decoded + count.prompted;
    panel += (count.prompted + kPanelTokens - 1) / kPanelTokens * kPanelTokens;
  }
}

}  // namespace quern::engine::runtime
