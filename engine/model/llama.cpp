// Llama 1 to 3, Mistral, Mixtral, SmolLM2 and the many that share their shape. Files hold queries and keys
// with each head's rows in pairs, so neighbours are rotated; Llama 3.1's scaling comes as factors in
// "rope_freqs.weight". Mistral 7B 0.1 has a sliding window in every layer.

#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {

base::Result<void> buildLlama(Builder& builder) {
  QUERN_ASSIGN(auto rope, builder.readRope(false));
  builder.program().ropes = {std::move(rope)};
  QUERN_ASSIGN(const auto window, builder.numberOr("attention.sliding_window", 0, 0, 1U << 27));
  Style style;
  style.window = [window](std::int32_t) { return static_cast<std::int32_t>(window); };
  QUERN_ASSIGN(style.mixture, builder.readMixture(false));
  if (style.mixture) style.mixture->choice.normalizes = true;
  return builder.buildTransformer(style);
}

}  // namespace quern::engine::model
