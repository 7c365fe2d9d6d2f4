// Gemma 2: norms before and after every block, soft-capped attention and logits, a sliding window in every
// other layer (the even ones), embeddings scaled by √width. The files' norm weights have their +1 already.

#include <cmath>

#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {

base::Result<void> buildGemma2(Builder& builder) {
  QUERN_ASSIGN(auto rope, builder.readRope(true));
  Program& program = builder.program();
  program.ropes = {std::move(rope)};
  QUERN_ASSIGN(const auto window, builder.numberOr("attention.sliding_window", 4096, 1, 1U << 27));
  QUERN_ASSIGN(const double attentionCap, builder.realOr("attn_logit_softcapping", 50.0, 0.0, 1e6));
  QUERN_ASSIGN(const double logitCap, builder.realOr("final_logit_softcapping", 30.0, 0.0, 1e6));
  Style style;
  style.postNorms = true;
  style.activation = Activation::kGeluTanh;
  style.embedScale = std::sqrt(static_cast<float>(program.width));
  style.attentionSoftcap = static_cast<float>(attentionCap);
  style.logitSoftcap = static_cast<float>(logitCap);
  style.window = [window](std::int32_t layer) {
    return layer % 2 == 0 ? static_cast<std::int32_t>(window) : 0;
  };
  // The 27B model (46 layers) divides by √(width / heads) instead of √headDim; files do not say so.
  if (program.layers == 46) {
    style.attentionScale =
        1.0F / std::sqrt(static_cast<float>(program.width) / static_cast<float>(program.heads));
  }
  return builder.buildTransformer(style);
}

}  // namespace quern::engine::model
