// Llama 1 to 3, Mistral, SmolLM2 and the many that share their shape. Files hold queries and keys with each
// head's rows in pairs, so neighbours are rotated; Llama 3.1's scaling comes as factors in
// "rope_freqs.weight".

#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {

base::Result<void> buildLlama(Builder& builder) {
  QUERN_TRY(builder.refuseExperts());
  QUERN_ASSIGN(auto rope, builder.readRope(false));
  builder.program().ropes = {std::move(rope)};
  return builder.buildTransformer({});
}

}  // namespace quern::engine::model
