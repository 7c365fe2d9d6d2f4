// Qwen 3 MoE: Qwen 3 with experts, the weights of those chosen adding up to one.

#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {

base::Result<void> buildQwen3Moe(Builder& builder) {
  QUERN_ASSIGN(auto rope, builder.readRope(true));
  builder.program().ropes = {std::move(rope)};
  Style style;
  style.headNorms = true;
  QUERN_ASSIGN(style.mixture, builder.readMixture(true));
  style.mixture->choice.normalizes = true;
  return builder.buildTransformer(style);
}

}  // namespace quern::engine::model
