// Phi 1.5 and 2: LayerNorms and biases everywhere, attention and an ungated feed-forward block on the same
// norm, a part of each head rotated.

#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {

base::Result<void> buildPhi2(Builder& builder) {
  QUERN_ASSIGN(auto rope, builder.readRope(true));
  builder.program().ropes = {std::move(rope)};
  Style style;
  style.fusedQkv = builder.has("blk.0.attn_qkv.weight");
  style.centredNorms = true;
  style.isParallel = true;
  style.isGated = false;
  style.activation = Activation::kGeluTanh;
  return builder.buildTransformer(style);
}

}  // namespace quern::engine::model
