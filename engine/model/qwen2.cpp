// Qwen 1.5 to 2.5: the plain transformer with biases on queries, keys and values.

#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {

base::Result<void> buildQwen2(Builder& builder) {
  QUERN_ASSIGN(auto rope, builder.readRope(true));
  builder.program().ropes = {std::move(rope)};
  return builder.buildTransformer({});
}

}  // namespace quern::engine::model
