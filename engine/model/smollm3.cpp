// SmolLM 3: Llama whose every fourth layer rotates nothing.

#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {

base::Result<void> buildSmolLm3(Builder& builder) {
  QUERN_ASSIGN(auto rope, builder.readRope(false));
  builder.program().ropes = {std::move(rope)};
  Style style;
  style.rope = [](std::int32_t layer) { return layer % 4 == 3 ? kNoRope : 0; };
  return builder.buildTransformer(style);
}

}  // namespace quern::engine::model
