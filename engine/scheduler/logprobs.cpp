#include "engine/scheduler/logprobs.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace quern::engine::scheduler {

double logSumOfExp(std::span<const float> logits) {
  const float largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x - largest));
  return std::log(sum) + largest;
}

std::vector<TokenLogprob> likeliest(std::span<const float> logits, std::int32_t chosen, std::int32_t count) {
  const double sum = logSumOfExp(logits);
  const auto logit = [&](std::int32_t token) { return logits[static_cast<std::size_t>(token)]; };
  const auto logprob = [&](std::int32_t token) {
    return TokenLogprob{token, static_cast<float>(logit(token) - sum)};
  };
  std::vector<std::int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto wanted = std::min<std::size_t>(static_cast<std::size_t>(count), logits.size());
  std::partial_sort(
      order.begin(), order.begin() + static_cast<std::ptrdiff_t>(wanted), order.end(),
      [&](std::int32_t a, std::int32_t b) { return logit(a) != logit(b) ? logit(a) > logit(b) : a < b; });
  std::vector<TokenLogprob> all = {logprob(chosen)};
  for (std::size_t i = 0; i < wanted; ++i) all.push_back(logprob(order[i]));
  return all;
}

}  // namespace quern::engine::scheduler
