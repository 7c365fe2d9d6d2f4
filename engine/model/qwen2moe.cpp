// Qwen 1.5 and 2 MoE: Qwen 2 with experts, whose weights stay as the softmax over all gives them, beside one
// expert that every token takes as much of as its own gate says.

#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {

base::Result<void> buildQwen2Moe(Builder& builder) {
  QUERN_ASSIGN(auto rope, builder.readRope(true));
  builder.program().ropes = {std::move(rope)};
  Style style;
  QUERN_ASSIGN(style.mixture, builder.readMixture(true));
  return builder.buildTransformer(style);
}

}  // namespace quern::engine::model
