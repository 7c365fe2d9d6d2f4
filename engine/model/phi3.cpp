// Phi 3: queries, keys and values in one matrix, gate and up in another; LongRoPE's two sets of factors for
// contexts within and beyond the original length; an optional sliding window in every layer.

#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {

base::Result<void> buildPhi3(Builder& builder) {
  QUERN_ASSIGN(auto rope, builder.readRope(true));
  builder.program().ropes = {std::move(rope)};
  QUERN_ASSIGN(const auto window, builder.numberOr("attention.sliding_window", 0, 0, 1U << 27));
  Style style;
  style.fusedQkv = true;
  style.fusedGateUp = true;
  style.window = [window](std::int32_t) { return static_cast<std::int32_t>(window); };
  return builder.buildTransformer(style);
}

}  // namespace quern::engine::model
