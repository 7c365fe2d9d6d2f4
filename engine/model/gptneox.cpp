// GPT-NeoX and Pythia: LayerNorms and biases everywhere, an ungated feed-forward block, mostly beside
// attention (with a norm of its own), a part of each head rotated.

#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {

base::Result<void> buildGptNeoX(Builder& builder) {
  QUERN_ASSIGN(auto rope, builder.readRope(true));
  builder.program().ropes = {std::move(rope)};
  QUERN_ASSIGN(const bool isParallel, builder.flagOr("use_parallel_residual", true));
  Style style;
  style.fusedQkv = true;
  style.centredNorms = true;
  style.isParallel = isParallel;
  style.isGated = false;
  style.activation = Activation::kGeluErf;
  return builder.buildTransformer(style);
}

}  // namespace quern::engine::model
