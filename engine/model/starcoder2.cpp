// StarCoder 2: LayerNorms, biases on every matrix, a feed-forward block without a gate.

#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {

base::Result<void> buildStarCoder2(Builder& builder) {
  QUERN_ASSIGN(auto rope, builder.readRope(true));
  builder.program().ropes = {std::move(rope)};
  QUERN_ASSIGN(const auto window, builder.numberOr("attention.sliding_window", 0, 0, 1U << 27));
  Style style;
  style.centredNorms = true;
  style.isGated = false;
  style.activation = Activation::kGeluTanh;
  style.window = [window](std::int32_t) { return static_cast<std::int32_t>(window); };
  return builder.buildTransformer(style);
}

}  // namespace quern::engine::model
