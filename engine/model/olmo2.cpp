// OLMo 2 and 3: no norms before the blocks but after them, and queries and keys normed over all heads
// together. OLMo 3 adds a sliding window to three layers of four; only the fourth takes part in the scaling
// of its rotary embedding.

#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {

base::Result<void> buildOlmo2(Builder& builder) {
  QUERN_ASSIGN(auto global, builder.readRope(true));
  QUERN_ASSIGN(const auto window, builder.numberOr("attention.sliding_window", 0, 0, 1U << 27));
  QUERN_ASSIGN(const double base, builder.realOr("rope.freq_base", 10000.0, 1.0001, 1e12));
  builder.program().ropes = {std::move(global), builder.plainRope(base, true)};
  constexpr std::int32_t kPattern = 4;
  const auto isLocal = [window](std::int32_t layer) { return window > 0 && layer % kPattern < kPattern - 1; };
  Style style;
  style.preNorms = false;
  style.postNorms = true;
  style.wideNorms = true;
  style.window = [=](std::int32_t layer) { return isLocal(layer) ? static_cast<std::int32_t>(window) : 0; };
  style.rope = [=](std::int32_t layer) { return isLocal(layer) ? 1 : 0; };
  return builder.buildTransformer(style);
}

}  // namespace quern::engine::model
