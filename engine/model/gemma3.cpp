// Gemma 3 (text): Gemma 2's norms and scales without its caps, a norm on every head's query and key, five
// layers with a sliding window and a rotary base of 10,000 of their own to one that sees everything.

#include <cmath>

#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {

base::Result<void> buildGemma3(Builder& builder) {
  QUERN_ASSIGN(auto global, builder.readRope(true));
  Program& program = builder.program();
  QUERN_ASSIGN(const double localBase, builder.realOr("rope.freq_base_swa", 10000.0, 1.0001, 1e12));
  program.ropes = {std::move(global), builder.plainRope(localBase, true)};
  QUERN_ASSIGN(const auto window, builder.numberOr("attention.sliding_window", 0, 0, 1U << 27));
  QUERN_ASSIGN(const double logitCap, builder.realOr("final_logit_softcapping", 0.0, 0.0, 1e6));
  constexpr std::int32_t kPattern = 6;
  const auto isLocal = [window](std::int32_t layer) { return window > 0 && layer % kPattern < kPattern - 1; };
  Style style;
  style.headNorms = true;
  style.postNorms = true;
  style.activation = Activation::kGeluTanh;
  style.embedScale = std::sqrt(static_cast<float>(program.width));
  style.logitSoftcap = static_cast<float>(logitCap);
  style.window = [=](std::int32_t layer) { return isLocal(layer) ? static_cast<std::int32_t>(window) : 0; };
  style.rope = [=](std::int32_t layer) { return isLocal(layer) ? 1 : 0; };
  // The 27B model (62 layers) divides by √(width / heads) instead of √headDim; files do not say so.
  if (program.layers == 62) {
    style.attentionScale =
        1.0F / std::sqrt(static_cast<float>(program.width) / static_cast<float>(program.heads));
  }
  return builder.buildTransformer(style);
}

}  // namespace quern::engine::model
