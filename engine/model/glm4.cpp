// GLM 4: norms before and after every block, half of a head rotated in neighbouring pairs, biases on queries,
// keys and values, gate and up in one matrix.

#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {

base::Result<void> buildGlm4(Builder& builder) {
  QUERN_ASSIGN(auto rope, builder.readRope(false));
  builder.program().ropes = {std::move(rope)};
  Style style;
  style.fusedQkv = builder.has("blk.0.attn_qkv.weight");
  style.fusedGateUp = true;
  style.postNorms = true;
  return builder.buildTransformer(style);
}

}  // namespace quern::engine::model
