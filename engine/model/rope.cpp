// Rotary embeddings, worked out at load: plain, linear, YaRN, and per-frequency factors (Llama 3, LongRoPE).
//
// Sources: Su et al. 2021 (RoPE); Peng et al. 2023 (YaRN, arXiv:2309.00071, eqs. 17–22); Ding et al. 2024
// (LongRoPE); the GGUF specification for the keys.

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/model/builder.h"

namespace quern::engine::model {
namespace {

std::vector<float> plainFrequencies(std::int32_t rotary, double base) {
  std::vector<float> frequencies(static_cast<std::size_t>(rotary / 2));
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    frequencies[i] = static_cast<float>(std::pow(base, -2.0 * static_cast<double>(i) / rotary));
  }
  return frequencies;
}

struct Yarn {
  double factor, original, extrapolation, betaFast, betaSlow;
  bool rounds;  ///< the ramp begins and ends at whole frequencies
};

/// Low frequencies are interpolated (divided by the factor), high ones kept, a ramp between them.
void applyYarn(std::vector<float>& frequencies, std::int32_t rotary, double base, const Yarn& yarn) {
  const auto dimension = [&](double rotations) {
    return rotary * std::log(yarn.original / (rotations * 2 * std::numbers::pi)) / (2 * std::log(base));
  };
  const double fast = dimension(yarn.betaFast);
  const double slow = dimension(yarn.betaSlow);
  const double low = std::max(0.0, yarn.rounds ? std::floor(fast) : fast);
  const double high = std::min<double>(rotary - 1, yarn.rounds ? std::ceil(slow) : slow);
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / std::max(0.001, high - low), 0.0, 1.0);
    const double kept = (1.0 - ramp) * yarn.extrapolation;
    frequencies[i] = static_cast<float>(frequencies[i] * ((1.0 - kept) / yarn.factor + kept));
  }
}

void divide(std::vector<float>& frequencies, const std::vector<float>& factors) {
  for (std::size_t i = 0; i < frequencies.size(); ++i) frequencies[i] /= factors[i];
}

}  // namespace

Rope Builder::plainRope(double base, bool neox) const {
  Rope rope;
  rope.rotary = program_.headDim;
  rope.neox = neox;
  rope.frequencies = plainFrequencies(rope.rotary, base);
  return rope;
}

base::Result<Rope> Builder::readRope(bool neox, bool roundsYarn) const {
  const auto headDim = static_cast<std::uint64_t>(program_.headDim);
  QUERN_ASSIGN(const auto rotary, numberOr("rope.dimension_count", headDim, 2, headDim));
  if (rotary % 2 != 0) {
    return base::Error(base::ErrorCode::kMalformed,
                       "The model's \"" + key("rope.dimension_count") + "\" is odd.");
  }
  QUERN_ASSIGN(const double base, realOr("rope.freq_base", 10000.0, 1.0001, 1e12));
  QUERN_ASSIGN(const auto kind, file_.optionalString(key("rope.scaling.type")));
  QUERN_ASSIGN(const double factor, realOr("rope.scaling.factor", 1.0, 1e-3, 1e6));
  QUERN_ASSIGN(const double attention, realOr("rope.scaling.attn_factor", 1.0, 1e-3, 1e3));
  QUERN_ASSIGN(const auto original,
               numberOr("rope.scaling.original_context_length",
                        static_cast<std::uint64_t>(program_.trainedContext), 1, 1U << 27));

  Rope rope;
  rope.rotary = static_cast<std::int32_t>(rotary);
  rope.neox = neox;
  rope.frequencies = plainFrequencies(rope.rotary, base);
  rope.magnitude = static_cast<float>(attention);
  const auto factorsOf = [&](const char* tensor) -> base::Result<std::vector<float>> {
    QUERN_ASSIGN(auto values, factors(tensor));
    if (values.size() != rope.frequencies.size()) {
      return base::Error(base::ErrorCode::kMalformed,
                         "The model's tensor \"" + std::string(tensor) + "\" has " +
                             std::to_string(values.size()) + " factors for " +
                             std::to_string(rope.frequencies.size()) + " frequencies.");
    }
    return values;
  };
  if (kind == "yarn") {
    QUERN_ASSIGN(const double fast, realOr("rope.scaling.yarn_beta_fast", 32.0, 1e-3, 1e6));
    QUERN_ASSIGN(const double slow, realOr("rope.scaling.yarn_beta_slow", 1.0, 1e-3, 1e6));
    QUERN_ASSIGN(const double extrapolation, realOr("rope.scaling.yarn_ext_factor", 1.0, 0.0, 1.0));
    QUERN_ASSIGN(const double yarnAttention, realOr("rope.scaling.yarn_attn_factor", 1.0, 1e-3, 1e3));
    applyYarn(rope.frequencies, rope.rotary, base,
              {factor, static_cast<double>(original), extrapolation, fast, slow, roundsYarn});
    rope.magnitude *= static_cast<float>(yarnAttention);
    if (extrapolation > 0) rope.magnitude *= static_cast<float>(1.0 + 0.1 * std::log(std::max(1.0, factor)));
  } else if (!kind || *kind == "linear" || *kind == "none" || *kind == "longrope") {
    if (kind == "linear")
      divide(rope.frequencies, std::vector<float>(rope.frequencies.size(), static_cast<float>(factor)));
  } else {
    return base::Error(base::ErrorCode::kUnsupported, "The model's rotary embedding is scaled by \"" +
                                                          std::string(*kind) +
                                                          "\", which Quern does not know.");
  }
  if (has("rope_freqs.weight")) {
    QUERN_ASSIGN(const auto values, factorsOf("rope_freqs.weight"));
    divide(rope.frequencies, values);
  }
  if (has("rope_factors_long.weight") && has("rope_factors_short.weight")) {
    QUERN_ASSIGN(const auto longer, factorsOf("rope_factors_long.weight"));
    QUERN_ASSIGN(const auto shorter, factorsOf("rope_factors_short.weight"));
    rope.longFrequencies = rope.frequencies;
    rope.longFrom = static_cast<std::int64_t>(original);
    divide(rope.longFrequencies, longer);
    divide(rope.frequencies, shorter);
  }
  return rope;
}

}  // namespace quern::engine::model
