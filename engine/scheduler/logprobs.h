// Log-probabilities of tokens, from their logits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/scheduler/request.h"

namespace quern::engine::scheduler {

/// log Σ exp(logit), summed in order in double precision.
double logSumOfExp(std::span<const float> logits);
/// `chosen` first, then the `count` likeliest, of equal ones the lowest id first.
std::vector<TokenLogprob> likeliest(std::span<const float> logits, std::int32_t chosen, std::int32_t count);

}  // namespace quern::engine::scheduler
