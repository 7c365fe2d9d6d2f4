// Qwen 3: no biases, a norm on every head's query and key, heads wider than width / heads.

#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {

base::Result<void> buildQwen3(Builder& builder) {
  QUERN_ASSIGN(auto rope, builder.readRope(true));
  builder.program().ropes = {std::move(rope)};
  Style style;
  style.headNorms = true;
  return builder.buildTransformer(style);
}

}  // namespace quern::engine::model
