// What a family's config.json says that is no renaming. Source of every convention: llama.cpp's converter.

#include <cmath>

#include "engine/base/text.h"
#include "engine/convert/family.h"

namespace quern::engine::convert {
namespace {

base::Error unsupported(std::string sentence) { return {base::ErrorCode::kUnsupported, std::move(sentence)}; }

/// Whether each layer has a sliding window, as "layer_types" says; empty where it says nothing.
std::vector<bool> slidingLayers(const Config& config) {
  std::vector<bool> sliding;
  const Json& types = member(config.json(), "layer_types");
  if (!types.is_array()) return sliding;
  for (const Json& type : types) sliding.push_back(type == "sliding_attention");
  return sliding;
}

/// An error where the layers with a window are not those that readers of the file will take them for.
base::Result<void> requireEveryNth(const Config& config, std::uint64_t period) {
  QUERN_ASSIGN(const auto layers, config.layers());
  std::vector<bool> sliding = slidingLayers(config);
  if (sliding.empty()) {
    QUERN_ASSIGN(const auto stated, config.count({"sliding_window_pattern", "_sliding_window_pattern"}));
    for (std::uint64_t i = 0; i < layers; ++i) sliding.push_back((i + 1) % stated.value_or(period) != 0);
  }
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(layers, sliding.size()); ++i) {
    if (sliding[i] != ((i + 1) % period != 0)) {
      return unsupported("The model's layer " + std::to_string(i) + (sliding[i] ? " has" : " has no") +
                         " sliding window, other than in all models of its kind; no GGUF file can say that.");
    }
  }
  return base::ok();
}

/// Gemma multiplies q·k by 1/√query_pre_attn_scalar. Readers take a head's length for it, or width / heads in
/// the 27B models, which they know by their number of layers.
base::Result<void> requireGemmaScale(const Config& config, std::uint64_t layersOf27B) {
  QUERN_ASSIGN(const auto scalar, config.real({"query_pre_attn_scalar"}));
  QUERN_ASSIGN(const auto layers, config.layers());
  QUERN_ASSIGN(const auto heads, config.heads());
  QUERN_ASSIGN(const auto width, config.neededCount({"hidden_size"}));
  QUERN_ASSIGN(const auto headDim, config.headDim());
  const double readAs = static_cast<double>(layers == layersOf27B ? width / heads : headDim);
  if (scalar.value_or(256.0) == readAs) return base::ok();
  return unsupported("The model scales its attention by the root of " +
                     std::to_string(scalar.value_or(256.0)) + ", where readers of GGUF files take " +
                     std::to_string(readAs) + "; no GGUF file can say that.");
}

base::Result<void> setRotary(const Config& config, Metadata& metadata, double share) {
  QUERN_ASSIGN(const auto headDim, config.headDim());
  metadata.setCount("rope.dimension_count", static_cast<std::uint64_t>(static_cast<double>(headDim) * share));
  return base::ok();
}

base::Result<void> setVocabulary(const Config& config, Metadata& metadata) {
  QUERN_ASSIGN(const auto size, config.count({"vocab_size"}));
  if (size) metadata.setCount("vocab_size", *size);
  return base::ok();
}

base::Result<void> setWindow(const Config& config, Metadata& metadata) {
  QUERN_ASSIGN(const auto window, config.count({"sliding_window"}));
  if (window) metadata.setCount("attention.sliding_window", *window);
  return base::ok();
}

base::Result<void> setReals(const Config& config, Metadata& metadata,
                            std::initializer_list<std::pair<const char*, const char*>> renamed) {
  for (const auto& [name, suffix] : renamed) {
    QUERN_ASSIGN(const auto value, config.real({name}));
    if (value) metadata.setReal(suffix, *value);
  }
  return base::ok();
}

}  // namespace

base::Result<void> describeLlama(const Config& config, Metadata& metadata) {
  QUERN_TRY(setVocabulary(config, metadata));
  return setRotary(config, metadata, 1.0);
}

base::Result<void> describeMistral(const Config& config, Metadata& metadata) {
  QUERN_TRY(setWindow(config, metadata));
  return describeLlama(config, metadata);
}

base::Result<void> describeGemma2(const Config& config, Metadata&) { return requireGemmaScale(config, 46); }

base::Result<void> describeQwen3Moe(const Config& config, Metadata&) {
  // Readers always make the chosen experts' weights add up to one.
  if (config.flag("norm_topk_prob").value_or(true)) return base::ok();
  return unsupported(
      "The model does not norm the weights of its chosen experts (\"norm_topk_prob\"), other than all models "
      "of its "
      "kind; no GGUF file can say that.");
}

base::Result<void> describeGemma3(const Config& config, Metadata& metadata) {
  QUERN_TRY(requireGemmaScale(config, 62));
  QUERN_TRY(requireEveryNth(config, 6));
  if (!member(config.json(), "attn_logit_softcapping").is_null()) {
    return unsupported("The model caps its attention, which no Gemma 3 does; no GGUF file can say that.");
  }
  QUERN_ASSIGN(const auto cap, config.real({"final_logit_softcapping"}));
  if (cap && *cap > 0) metadata.setReal("final_logit_softcapping", *cap);
  return setWindow(config, metadata);
}

base::Result<void> describePhi3(const Config& config, Metadata& metadata) {
  QUERN_ASSIGN(const RopeSettings rope, config.rope());
  QUERN_ASSIGN(const auto context, config.neededCount({"max_position_embeddings", "n_positions"}));
  const std::uint64_t original = rope.originalContext.value_or(context);
  QUERN_TRY(setRotary(config, metadata, rope.partial.value_or(1.0)));
  metadata.setCount("rope.scaling.original_context_length", original);
  // 0 tells Phi 4 from the Phi 3 models with a window.
  QUERN_ASSIGN(const auto window, config.count({"sliding_window"}));
  metadata.setCount("attention.sliding_window", window.value_or(0));
  if (!member(rope.values, "long_factor").is_array()) return base::ok();
  if (original < 2)
    return base::Error(base::ErrorCode::kMalformed, "The model's original context has no length.");
  const double ratio = static_cast<double>(context) / static_cast<double>(original);
  const double magnitude =
      ratio > 1 ? std::sqrt(1 + std::log(ratio) / std::log(static_cast<double>(original))) : 1.0;
  metadata.setReal("rope.scaling.attn_factor", magnitude);
  return base::ok();
}

base::Result<void> describeOlmo2(const Config& config, Metadata& metadata) {
  if (!config.has("sliding_window")) return base::ok();
  QUERN_TRY(setWindow(config, metadata));
  std::vector<bool> sliding = slidingLayers(config);
  QUERN_ASSIGN(const auto layers, config.layers());
  for (std::uint64_t i = sliding.size(); i < layers; ++i) sliding.push_back((i + 1) % 4 != 0);
  metadata.setOwn("attention.sliding_window_pattern", std::move(sliding));
  return base::ok();
}

base::Result<void> describeSmolLm3(const Config& config, Metadata& metadata) {
  // Readers of these files leave positions out of every fourth layer, whatever config.json says.
  QUERN_ASSIGN(const auto layers, config.layers());
  const Json& rotated = member(config.json(), "no_rope_layers");
  for (std::uint64_t i = 0; rotated.is_array() && i < std::min<std::uint64_t>(layers, rotated.size()); ++i) {
    if (rotated[i] != Json((i + 1) % 4 != 0 ? 1 : 0)) {
      return unsupported(
          "The model's layers without positions are not every fourth; no GGUF file can say that.");
    }
  }
  return describeLlama(config, metadata);
}

base::Result<void> describeGranite(const Config& config, Metadata& metadata) {
  QUERN_TRY(setReals(config, metadata,
                     {{"attention_multiplier", "attention.scale"},
                      {"embedding_multiplier", "embedding_scale"},
                      {"residual_multiplier", "residual_scale"},
                      {"logits_scaling", "logit_scale"}}));
  return describeLlama(config, metadata);
}

base::Result<void> describeStarcoder2(const Config& config, Metadata& metadata) {
  return setWindow(config, metadata);
}

base::Result<void> describeCommandR(const Config& config, Metadata& metadata) {
  // The first models were trained on longer contexts than "max_position_embeddings" says.
  QUERN_ASSIGN(const auto context, config.neededCount({"model_max_length", "max_position_embeddings"}));
  metadata.setCount("context_length", context);
  metadata.setOwn("rope.scaling.type", std::string("none"));
  return setReals(config, metadata, {{"logit_scale", "logit_scale"}});
}

base::Result<void> describeCohere2(const Config& config, Metadata& metadata) {
  QUERN_TRY(requireEveryNth(config, 4));
  QUERN_TRY(setReals(config, metadata, {{"logit_scale", "logit_scale"}}));
  QUERN_TRY(setWindow(config, metadata));
  QUERN_TRY(setVocabulary(config, metadata));
  QUERN_ASSIGN(const auto share, config.real({"rotary_pct"}));
  metadata.setOwn("rope.scaling.type", std::string("none"));
  return setRotary(config, metadata, share.value_or(1.0));
}

base::Result<void> describeGlm4(const Config& config, Metadata& metadata) {
  QUERN_ASSIGN(const RopeSettings rope, config.rope());
  return setRotary(config, metadata, rope.partial.value_or(0.5));
}

base::Result<void> describeGptOss(const Config& config, Metadata& metadata) {
  QUERN_ASSIGN(const auto layers, config.layers());
  const std::vector<bool> sliding = slidingLayers(config);
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(layers, sliding.size()); ++i) {
    if (sliding[i] != (i % 2 == 0)) {
      return unsupported(
          "The model's layers with a sliding window are not every other; no GGUF file can say that.");
    }
  }
  return setWindow(config, metadata);
}

base::Result<void> describeDeepseek2(const Config& config, Metadata& metadata) {
  // Latent attention is stored as if all heads shared one key and value: the latent vector itself.
  metadata.setCount("attention.head_count_kv", 1);
  QUERN_ASSIGN(const auto layers, config.layers());
  QUERN_ASSIGN(const auto experts, config.experts());
  QUERN_ASSIGN(const auto dense, config.count({"first_k_dense_replace"}));
  metadata.setCount("leading_dense_block_count", dense.value_or(experts > 0 ? 0 : layers));
  QUERN_TRY(setVocabulary(config, metadata));
  QUERN_ASSIGN(const auto queryRank, config.count({"q_lora_rank"}));
  if (queryRank) metadata.setCount("attention.q_lora_rank", *queryRank);
  QUERN_ASSIGN(const auto rank, config.count({"kv_lora_rank"}));
  QUERN_ASSIGN(const auto rotary, config.neededCount({"qk_rope_head_dim"}));
  QUERN_ASSIGN(const auto plain, config.neededCount({"qk_nope_head_dim"}));
  QUERN_ASSIGN(const auto values, config.neededCount({"v_head_dim"}));
  metadata.setCount("attention.kv_lora_rank", rank.value_or(512));
  metadata.setCount("attention.key_length", rank.value_or(512) + rotary);
  metadata.setCount("attention.value_length", rank.value_or(512));
  metadata.setCount("attention.key_length_mla", plain + rotary);
  metadata.setCount("attention.value_length_mla", values);
  QUERN_ASSIGN(const auto hidden, config.neededCount({"moe_intermediate_size", "intermediate_size"}));
  metadata.setCount("expert_feed_forward_length", hidden);
  QUERN_ASSIGN(const auto shared, config.count({"n_shared_experts"}));
  metadata.setCount("expert_shared_count", shared.value_or(0));
  QUERN_TRY(setReals(config, metadata, {{"routed_scaling_factor", "expert_weights_scale"}}));
  if (config.flag("norm_topk_prob").value_or(false)) metadata.setOwn("expert_weights_norm", true);
  // transformers' own files of V3 do not say that experts are chosen by a sigmoid.
  if (config.modelType() == "deepseek_v3" && !config.has("scoring_func"))
    metadata.setCount("expert_gating_func", 2);
  // V2's plain method takes the best of all experts, whatever groups config.json speaks of.
  if (textOf(config.json(), "topk_method") == "greedy") {
    metadata.setCount("expert_group_count", 1);
    metadata.setCount("expert_group_used_count", 1);
  }
  metadata.setCount("rope.dimension_count", rotary);
  QUERN_ASSIGN(const RopeSettings rope, config.rope());
  if (const Json& scale = member(rope.values, "mscale_all_dim"); scale.is_number()) {
    metadata.setReal("rope.scaling.yarn_log_multiplier", 0.1 * scale.get<double>());
  }
  return base::ok();
}

base::Result<void> describeBert(const Config& config, Metadata& metadata) {
  metadata.setOwn("attention.causal", false);
  QUERN_ASSIGN(const auto types, config.count({"type_vocab_size"}));
  metadata.set("tokenizer.ggml.token_type_count", static_cast<std::uint32_t>(types.value_or(1)));
  const Json& labels = member(config.json(), "id2label");
  // transformers writes these two for every model.
  if (!labels.is_object() || (labels.size() == 2 && member(labels, "0") == "LABEL_0")) return base::ok();
  std::vector<std::string> names;
  for (const auto& [id, label] : labels.items()) {
    if (label.is_string()) names.push_back(label.get<std::string>());
  }
  metadata.setOwn("classifier.output_labels", std::move(names));
  return base::ok();
}

base::Result<void> describeXlmRoberta(const Config& config, Metadata& metadata) {
  QUERN_ASSIGN(const auto padding, config.neededCount({"pad_token_id"}));
  QUERN_ASSIGN(const auto positions, config.neededCount({"max_position_embeddings"}));
  if (positions <= padding + 1) return unsupported("The model has no positions.");
  metadata.setCount("context_length", positions - padding - 1);
  return describeBert(config, metadata);
}

base::Result<void> describeNomicBert(const Config& config, Metadata& metadata) {
  const auto must = [&](const char* name, const Json& wanted) -> base::Result<void> {
    const Json& value = member(config.json(), name);
    if (value == wanted) return base::ok();
    return unsupported("The model's config.json says \"" + std::string(name) +
                       "\": " + base::printable(value.dump()) + "; Quern converts models where it is " +
                       wanted.dump() + ".");
  };
  QUERN_TRY(must("activation_function", "swiglu"));
  QUERN_TRY(must("prenorm", false));
  QUERN_TRY(must("rotary_emb_fraction", 1.0));
  QUERN_TRY(must("rotary_emb_interleaved", false));
  QUERN_TRY(must("rotary_emb_scale_base", nullptr));
  // v1 and v1.5 promise 8,192 positions and were trained on 2,048.
  QUERN_ASSIGN(const auto positions, config.neededCount({"n_positions"}));
  QUERN_ASSIGN(const auto trained, config.count({"max_trained_positions"}));
  metadata.setCount("context_length", std::min<std::uint64_t>(positions, trained.value_or(2048)));
  return describeBert(config, metadata);
}

}  // namespace quern::engine::convert
