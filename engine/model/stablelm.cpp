// StableLM: Llama with LayerNorms and a part of each head rotated. The 12B model norms every head with
// weights of its own and has attention and feed-forward block beside each other, on one norm.

#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {

base::Result<void> buildStableLm(Builder& builder) {
  QUERN_ASSIGN(auto rope, builder.readRope(true));
  builder.program().ropes = {std::move(rope)};
  Style style;
  style.centredNorms = true;
  style.isParallel = !builder.has("blk.0.ffn_norm.weight");
  style.headNorms = builder.has("blk.0.attn_q_norm.weight");
  style.ownHeadNorms = true;
  return builder.buildTransformer(style);
}

}  // namespace quern::engine::model
