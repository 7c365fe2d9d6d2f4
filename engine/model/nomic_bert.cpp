// Nomic's BERT: rotary embeddings in place of positions, a gated feed-forward block, no biases.

#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {

base::Result<void> buildNomicBert(Builder& builder) {
  QUERN_ASSIGN(auto rope, builder.readRope(true));
  builder.program().ropes = {std::move(rope)};
  return builder.buildEncoder({});
}

}  // namespace quern::engine::model
