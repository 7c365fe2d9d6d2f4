#include "engine/scheduler/verification.h"

#include <cstddef>

namespace quern::engine::scheduler {

Verification verify(std::span<const std::int32_t> drafts,
                    const std::function<std::span<float>(std::int32_t row)>& logits,
                    const std::function<Picked(std::span<float> logits)>& pick) {
  Verification result;
  for (std::size_t row = 0; row <= drafts.size(); ++row) {
    const Picked picked = pick(logits(static_cast<std::int32_t>(row)));
    ++result.picked;
    result.ended = picked.ended;
    const bool isRight = row < drafts.size() && picked.token == drafts[row];
    if (isRight) ++result.accepted;
    if (picked.ended || !isRight) break;
  }
  return result;
}

}  // namespace quern::engine::scheduler
