// What all families' config.json files share, and the rotary embedding.

#include <cmath>
#include <numbers>

#include "engine/base/text.h"
#include "engine/convert/family.h"

namespace quern::engine::convert {
namespace {

const std::vector<KeyRule>& commonKeys() {
  using enum KeyKind;
  static const std::vector<KeyRule> keys = {
      {"context_length",
       kCount,
       {"max_position_embeddings", "n_ctx", "n_positions", "max_length", "max_sequence_length",
        "model_max_length"}},
      {"embedding_length", kCount, {"hidden_size", "n_embd", "dim"}},
      {"feed_forward_length", kCount, {"intermediate_size", "n_inner", "hidden_dim"}},
      {"attention.head_count", kCount, {"num_attention_heads", "n_head", "n_heads"}},
      {"attention.head_count_kv", kCount, {"num_key_value_heads", "n_kv_heads"}},
      {"attention.key_length", kCount, {"head_dim"}},
      {"attention.value_length", kCount, {"head_dim"}},
      {"attention.layer_norm_rms_epsilon", kReal, {"rms_norm_eps", "norm_eps"}},
      {"attention.layer_norm_epsilon", kReal, {"layer_norm_eps", "layer_norm_epsilon", "norm_epsilon"}},
      {"expert_count", kCount, {"num_local_experts", "num_experts", "n_routed_experts"}},
      {"expert_used_count", kCount, {"num_experts_per_tok", "num_experts_per_token", "top_k_experts"}},
      {"expert_group_count", kCount, {"n_group"}},
      {"expert_group_used_count", kCount, {"topk_group"}},
  };
  return keys;
}

base::Result<void> rename(const std::vector<KeyRule>& rules, const Config& config, Metadata& metadata) {
  for (const KeyRule& rule : rules) {
    if (rule.kind == KeyKind::kCount) {
      QUERN_ASSIGN(const auto value, config.count(rule.names));
      if (value) metadata.setCount(rule.suffix, *value);
    } else {
      QUERN_ASSIGN(const auto value, config.real(rule.names));
      if (value) metadata.setReal(rule.suffix, *value);
    }
  }
  return base::ok();
}

/// The numbers of llama.cpp's enumeration of how experts are chosen.
constexpr std::uint64_t kSoftmaxGate = 1;
constexpr std::uint64_t kSigmoidGate = 2;

base::Error missingRope(std::string_view name) {
  return {base::ErrorCode::kMalformed,
          "The model's rotary embedding lacks \"" + std::string(name) + "\" in config.json."};
}

base::Result<double> ropeNumber(const RopeSettings& rope, std::string_view name,
                                std::optional<double> fallback) {
  const Json& value = member(rope.values, name);
  if (value.is_number() && std::isfinite(value.get<double>())) return value.get<double>();
  if (!fallback) return missingRope(name);
  return *fallback;
}

/// Llama 3.1's factors: long waves are stretched, short ones kept, those between them in between. Source:
/// transformers' modeling_rope_utils.py.
base::Result<ComputedTensor> llama3Factors(const Config& config, const RopeSettings& rope) {
  QUERN_ASSIGN(const auto headDim, config.headDim());
  QUERN_ASSIGN(const double factor, ropeNumber(rope, "factor", 8.0));
  QUERN_ASSIGN(const double low, ropeNumber(rope, "low_freq_factor", 1.0));
  QUERN_ASSIGN(const double high, ropeNumber(rope, "high_freq_factor", 4.0));
  const auto original = static_cast<double>(rope.originalContext.value_or(8192));
  if (headDim == 0 || headDim > 4096 || factor <= 0 || low <= 0 || high <= low) {
    return base::Error(base::ErrorCode::kMalformed,
                       "The model's rotary embedding has factors in config.json that make no sense.");
  }
  ComputedTensor tensor{"rope_freqs.weight", {}};
  for (std::uint64_t i = 0; i < headDim; i += 2) {
    const double power = static_cast<double>(i) / static_cast<double>(headDim);
    const double wave = 2 * std::numbers::pi * std::pow(rope.base.value_or(10000.0), power);
    double value = 1;
    if (wave > original / low) {
      value = factor;
    } else if (wave >= original / high) {
      const double smooth = (original / wave - low) / (high - low);
      value = 1 / ((1 - smooth) / factor + smooth);
    }
    tensor.values.push_back(static_cast<float>(value));
  }
  return tensor;
}

base::Result<ComputedTensor> listedFactors(const RopeSettings& rope, std::string_view list,
                                           std::string_view name, std::size_t count) {
  const Json& values = member(rope.values, list);
  ComputedTensor tensor{name, {}};
  if (!values.is_array()) return missingRope(list);
  for (const Json& value : values) {
    if (!value.is_number()) return missingRope(list);
    tensor.values.push_back(value.get<float>());
  }
  if (tensor.values.size() != count) {
    return base::Error(base::ErrorCode::kMalformed, "The model's \"" + std::string(list) + "\" has " +
                                                        std::to_string(tensor.values.size()) +
                                                        " factors for " + std::to_string(count) +
                                                        " frequencies.");
  }
  return tensor;
}

bool isLongRope(const RopeSettings& rope) { return rope.kind == "longrope" || rope.kind == "su"; }

}  // namespace

base::Result<void> describe(const Family& family, const Config& config, Metadata& metadata) {
  QUERN_ASSIGN(const auto layers, config.layers());
  metadata.setCount("block_count", layers);
  QUERN_TRY(rename(commonKeys(), config, metadata));
  const Json& gate = member(config.json(), "scoring_func");
  if (gate == "sigmoid") metadata.setCount("expert_gating_func", kSigmoidGate);
  if (gate == "softmax") metadata.setCount("expert_gating_func", kSoftmaxGate);
  QUERN_TRY(describeRope(config, metadata));
  QUERN_TRY(rename(family.keys, config, metadata));
  if (family.more != nullptr) QUERN_TRY(family.more(config, metadata));
  return base::ok();
}

base::Result<void> describeRope(const Config& config, Metadata& metadata) {
  QUERN_ASSIGN(const RopeSettings rope, config.rope());
  if (rope.base) metadata.setReal("rope.freq_base", *rope.base);
  if (rope.localBase) metadata.setReal("rope.freq_base_swa", *rope.localBase);
  if (rope.kind.empty() || rope.kind == "default" || rope.kind == "llama3") return base::ok();
  if (isLongRope(rope)) {
    metadata.setOwn("rope.scaling.type", std::string("longrope"));
    return base::ok();
  }
  if (rope.kind != "linear" && rope.kind != "yarn") {
    return base::Error(base::ErrorCode::kUnsupported, "The model's rotary embedding is scaled by \"" +
                                                          base::printable(rope.kind) +
                                                          "\", which Quern does not know.");
  }
  QUERN_ASSIGN(const double factor, ropeNumber(rope, "factor", std::nullopt));
  metadata.setOwn("rope.scaling.type", rope.kind);
  metadata.setReal("rope.scaling.factor", factor);
  if (rope.kind != "yarn") return base::ok();
  if (!rope.originalContext) return missingRope("original_max_position_embeddings");
  metadata.setCount("rope.scaling.original_context_length", *rope.originalContext);
  constexpr std::pair<const char*, const char*> kRenamed[] = {{"extrapolation_factor", "yarn_ext_factor"},
                                                              {"attn_factor", "yarn_attn_factor"},
                                                              {"attention_factor", "yarn_attn_factor"},
                                                              {"beta_fast", "yarn_beta_fast"},
                                                              {"beta_slow", "yarn_beta_slow"}};
  for (const auto& [name, suffix] : kRenamed) {
    if (member(rope.values, name).is_null()) continue;
    QUERN_ASSIGN(const double value, ropeNumber(rope, name, std::nullopt));
    metadata.setReal(std::string("rope.scaling.") + suffix, value);
  }
  return base::ok();
}

base::Result<std::vector<ComputedTensor>> ropeTensors(const Config& config) {
  std::vector<ComputedTensor> tensors;
  QUERN_ASSIGN(const RopeSettings rope, config.rope());
  if (rope.kind == "llama3") {
    QUERN_ASSIGN(auto factors, llama3Factors(config, rope));
    tensors.push_back(std::move(factors));
  } else if (isLongRope(rope)) {
    QUERN_ASSIGN(const auto headDim, config.headDim());
    const auto rotary = static_cast<std::size_t>(static_cast<double>(headDim) * rope.partial.value_or(1.0));
    QUERN_ASSIGN(auto longer, listedFactors(rope, "long_factor", "rope_factors_long.weight", rotary / 2));
    QUERN_ASSIGN(auto shorter, listedFactors(rope, "short_factor", "rope_factors_short.weight", rotary / 2));
    tensors.push_back(std::move(longer));
    tensors.push_back(std::move(shorter));
  }
  return tensors;
}

}  // namespace quern::engine::convert
