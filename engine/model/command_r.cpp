// Cohere's Command R and Command R7B ("cohere2"): LayerNorms without biases, attention and feed-forward block
// beside each other on the same norm, logits that are scaled. Command R+ norms every head with weights of its
// own; "cohere2" has a sliding window and a rotary embedding in three layers of four, neither in the fourth.

#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {

namespace {

base::Result<Style> cohereStyle(Builder& builder) {
  QUERN_ASSIGN(auto rope, builder.readRope(false));
  builder.program().ropes = {std::move(rope)};
  QUERN_ASSIGN(const double logits, builder.realOr("logit_scale", 1.0, 1e-6, 1e6));
  Style style;
  style.centredNorms = true;
  style.isParallel = true;
  style.logitScale = static_cast<float>(logits);
  return style;
}

}  // namespace

base::Result<void> buildCommandR(Builder& builder) {
  QUERN_ASSIGN(Style style, cohereStyle(builder));
  style.headNorms = builder.has("blk.0.attn_q_norm.weight");
  style.ownHeadNorms = true;
  return builder.buildTransformer(style);
}

base::Result<void> buildCohere2(Builder& builder) {
  QUERN_ASSIGN(Style style, cohereStyle(builder));
  QUERN_ASSIGN(const auto window, builder.number("attention.sliding_window", 1, 1U << 27));
  constexpr std::int32_t kPattern = 4;
  const auto isLocal = [](std::int32_t layer) { return layer % kPattern < kPattern - 1; };
  style.window = [=](std::int32_t layer) { return isLocal(layer) ? static_cast<std::int32_t>(window) : 0; };
  style.rope = [=](std::int32_t layer) { return isLocal(layer) ? 0 : kNoRope; };
  return builder.buildTransformer(style);
}

}  // namespace quern::engine::model
