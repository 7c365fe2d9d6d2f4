// Verification by a sampler alone, without a sequence and its events.
#pragma once

#include "engine/sampling/sampler.h"
#include "engine/scheduler/verification.h"

namespace quern::engine::scheduler {

/// `sampler` picks and is told; `append(token)` returns whether that was the end.
inline Verification verify(std::span<const std::int32_t> drafts,
                           const std::function<std::span<float>(std::int32_t row)>& logits,
                           sampling::Sampler& sampler,
                           const std::function<bool(std::int32_t token)>& append) {
  return verify(drafts, logits, [&](std::span<float> row) {
    const std::int32_t token = sampler.sample(row);
    sampler.accept(token);
    return Picked{token, append(token)};
  });
}

}  // namespace quern::engine::scheduler
