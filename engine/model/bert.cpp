// BERT, RoBERTa and XLM-RoBERTa (files drop the rows of positions that RoBERTa leaves out) and the many
// sentence encoders and rerankers made of them.

#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {

base::Result<void> buildBert(Builder& builder) {
  Style style;
  style.isGated = false;
  style.activation = Activation::kGeluErf;
  style.rope = [](std::int32_t) { return kNoRope; };
  return builder.buildEncoder(style);
}

}  // namespace quern::engine::model
