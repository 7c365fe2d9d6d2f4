// Granite 3, dense and as a mixture of experts ("granitemoe"): Llama with four factors: of embeddings, of
// attention's scores, of what joins the residual stream, and one that the logits are divided by.

#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {

base::Result<void> buildGranite(Builder& builder) {
  QUERN_ASSIGN(auto rope, builder.readRope(false));
  builder.program().ropes = {std::move(rope)};
  QUERN_ASSIGN(const double embeddings, builder.realOr("embedding_scale", 1.0, 1e-6, 1e6));
  QUERN_ASSIGN(const double residual, builder.realOr("residual_scale", 1.0, 1e-6, 1e6));
  QUERN_ASSIGN(const double attention, builder.realOr("attention.scale", 0.0, 0.0, 1e6));
  QUERN_ASSIGN(const double logits, builder.realOr("logit_scale", 1.0, 1e-6, 1e6));
  Style style;
  style.embedScale = static_cast<float>(embeddings);
  style.residualScale = static_cast<float>(residual);
  style.attentionScale = static_cast<float>(attention);
  style.logitScale = static_cast<float>(1.0 / logits);
  QUERN_ASSIGN(style.mixture, builder.readMixture(builder.program().architecture == "granitemoe"));
  if (style.mixture) style.mixture->choice.normalizes = true;
  return builder.buildTransformer(style);
}

}  // namespace quern::engine::model
