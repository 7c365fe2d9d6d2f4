// gpt-oss: experts with biases and an activation of their own, weights from a softmax over the scores of
// those chosen, an attention sink for every head, a sliding window in every other layer (the even ones), YaRN
// whose ramp is not rounded to whole frequencies. The norm in front of the experts is called
// post_attention_norm.

#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {

base::Result<void> buildGptOss(Builder& builder) {
  QUERN_ASSIGN(auto rope, builder.readRope(true, false));
  builder.program().ropes = {std::move(rope)};
  QUERN_ASSIGN(const auto window, builder.numberOr("attention.sliding_window", 128, 1, 1U << 27));
  Style style;
  style.hasSinks = true;
  style.hiddenNorm = "post_attention_norm";
  style.activation = Activation::kSwigluOai;
  style.window = [window](std::int32_t layer) {
    return layer % 2 == 0 ? static_cast<std::int32_t>(window) : 0;
  };
  QUERN_ASSIGN(style.mixture, builder.readMixture(true));
  style.mixture->choice.gating = Gating::kSoftmaxOfChosen;
  return builder.buildTransformer(style);
}

}  // namespace quern::engine::model
