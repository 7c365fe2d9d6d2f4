// Gemma (the first): embeddings scaled by √width, a gelu in the gate, heads wider than width / heads. The
// files' norm weights have their +1 already.

#include <cmath>

#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {

base::Result<void> buildGemma(Builder& builder) {
  QUERN_ASSIGN(auto rope, builder.readRope(true));
  Program& program = builder.program();
  program.ropes = {std::move(rope)};
  Style style;
  style.activation = Activation::kGeluTanh;
  style.embedScale = std::sqrt(static_cast<float>(program.width));
  return builder.buildTransformer(style);
}

}  // namespace quern::engine::model
