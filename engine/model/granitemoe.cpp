// Granite MoE (and its variant with a shared expert): Llama's shape with experts, and four numbers that
// multiply embeddings, scores, what joins the residual stream, and (dividing) logits. Queries and keys are
// permuted as in "llama" files.

#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {

base::Result<void> buildGraniteMoe(Builder& builder) {
  QUERN_ASSIGN(auto rope, builder.readRope(false));
  builder.program().ropes = {std::move(rope)};
  Style style;
  QUERN_ASSIGN(const double embedding, builder.realOr("embedding_scale", 1.0, 1e-6, 1e6));
  QUERN_ASSIGN(const double residual, builder.realOr("residual_scale", 1.0, 1e-6, 1e6));
  QUERN_ASSIGN(const double attention, builder.realOr("attention.scale", 0.0, 0.0, 1e6));
  QUERN_ASSIGN(const double logits, builder.realOr("logit_scale", 1.0, 1e-6, 1e6));
  style.embedScale = static_cast<float>(embedding);
  style.residualScale = static_cast<float>(residual);
  style.attentionScale = static_cast<float>(attention);
  style.logitScale = static_cast<float>(1.0 / logits);
  QUERN_ASSIGN(style.mixture, builder.readMixture(true));
  style.mixture->choice.normalizes = true;
  return builder.buildTransformer(style);
}

}  // namespace quern::engine::model
