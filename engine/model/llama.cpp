// Llama 1 to 3, Mistral, Mixtral, SmolLM2 and the many that share their shape. Files hold queries and keys
// with each head's rows in pairs, so neighbours are rotated; Llama 3.1's scaling comes as factors in
// "rope_freqs.weight".

#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {

base::Result<void> buildLlama(Builder& builder) {
  QUERN_ASSIGN(auto rope, builder.readRope(false));
  builder.program().ropes = {std::move(rope)};
  Style style;
  QUERN_ASSIGN(style.mixture, builder.readMixture(false));
  if (style.mixture) style.mixture->choice.normalizes = true;
  return builder.buildTransformer(style);
}

}  // namespace quern::engine::model
