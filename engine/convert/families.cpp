// The families as data. Names on the left are canonical (see checkpoint.h).

#include <algorithm>

#include "engine/base/text.h"
#include "engine/convert/family.h"

namespace quern::engine::convert {
namespace {

constexpr TensorRule kEnds[] = {
    {"embed_tokens", "token_embd"},
    {"norm", "output_norm"},
    {"lm_head", "output", Move::kCopy, false},
};
/// For families whose output matrix is always the embedding.
constexpr TensorRule kTiedEnds[] = {{"embed_tokens", "token_embd"}, {"norm", "output_norm"}};
constexpr TensorRule kGemmaTiedEnds[] = {{"embed_tokens", "token_embd"},
                                         {"norm", "output_norm", Move::kPlusOne}};
constexpr TensorRule kGemmaEnds[] = {
    {"embed_tokens", "token_embd"},
    {"norm", "output_norm", Move::kPlusOne},
    {"lm_head", "output", Move::kCopy, false},
};
constexpr TensorRule kAttention[] = {
    {"layers.{L}.self_attn.q_proj", "blk.{L}.attn_q"},
    {"layers.{L}.self_attn.k_proj", "blk.{L}.attn_k"},
    {"layers.{L}.self_attn.v_proj", "blk.{L}.attn_v"},
    {"layers.{L}.self_attn.o_proj", "blk.{L}.attn_output"},
};
constexpr TensorRule kPairedAttention[] = {
    {"layers.{L}.self_attn.q_proj", "blk.{L}.attn_q", Move::kPermuteQuery},
    {"layers.{L}.self_attn.k_proj", "blk.{L}.attn_k", Move::kPermuteKey},
    {"layers.{L}.self_attn.v_proj", "blk.{L}.attn_v"},
    {"layers.{L}.self_attn.o_proj", "blk.{L}.attn_output"},
};
constexpr TensorRule kHeadNorms[] = {
    {"layers.{L}.self_attn.q_norm", "blk.{L}.attn_q_norm"},
    {"layers.{L}.self_attn.k_norm", "blk.{L}.attn_k_norm"},
};
constexpr TensorRule kOptionalHeadNorms[] = {
    {"layers.{L}.self_attn.q_norm", "blk.{L}.attn_q_norm", Move::kCopy, false},
    {"layers.{L}.self_attn.k_norm", "blk.{L}.attn_k_norm", Move::kCopy, false},
};
constexpr TensorRule kNorms[] = {
    {"layers.{L}.input_layernorm", "blk.{L}.attn_norm"},
    {"layers.{L}.post_attention_layernorm", "blk.{L}.ffn_norm"},
};
constexpr TensorRule kGated[] = {
    {"layers.{L}.mlp.gate_proj", "blk.{L}.ffn_gate"},
    {"layers.{L}.mlp.up_proj", "blk.{L}.ffn_up"},
    {"layers.{L}.mlp.down_proj", "blk.{L}.ffn_down"},
};
/// Of models with experts, some of whose layers have none.
constexpr TensorRule kSomeGated[] = {
    {"layers.{L}.mlp.gate_proj", "blk.{L}.ffn_gate", Move::kCopy, false},
    {"layers.{L}.mlp.up_proj", "blk.{L}.ffn_up", Move::kCopy, false},
    {"layers.{L}.mlp.down_proj", "blk.{L}.ffn_down", Move::kCopy, false},
};
constexpr TensorRule kFusedGated[] = {
    {"layers.{L}.mlp.gate_up_proj", "blk.{L}.ffn_up"},
    {"layers.{L}.mlp.down_proj", "blk.{L}.ffn_down"},
};
constexpr TensorRule kGemmaNorms[] = {
    {"layers.{L}.input_layernorm", "blk.{L}.attn_norm", Move::kPlusOne},
    {"layers.{L}.post_attention_layernorm", "blk.{L}.ffn_norm", Move::kPlusOne},
};
constexpr TensorRule kGemma2Norms[] = {
    {"layers.{L}.input_layernorm", "blk.{L}.attn_norm", Move::kPlusOne},
    {"layers.{L}.post_attention_layernorm", "blk.{L}.post_attention_norm", Move::kPlusOne},
    {"layers.{L}.pre_feedforward_layernorm", "blk.{L}.ffn_norm", Move::kPlusOne},
    {"layers.{L}.post_feedforward_layernorm", "blk.{L}.post_ffw_norm", Move::kPlusOne},
};
constexpr TensorRule kGemma3HeadNorms[] = {
    {"layers.{L}.self_attn.q_norm", "blk.{L}.attn_q_norm", Move::kPlusOne},
    {"layers.{L}.self_attn.k_norm", "blk.{L}.attn_k_norm", Move::kPlusOne},
};
constexpr TensorRule kPhi3Attention[] = {
    {"layers.{L}.self_attn.qkv_proj", "blk.{L}.attn_qkv"},
    {"layers.{L}.self_attn.o_proj", "blk.{L}.attn_output"},
};
constexpr TensorRule kOlmo2Norms[] = {
    {"layers.{L}.post_attention_layernorm", "blk.{L}.post_attention_norm"},
    {"layers.{L}.post_feedforward_layernorm", "blk.{L}.post_ffw_norm"},
};
constexpr TensorRule kStarcoder2Mlp[] = {
    {"layers.{L}.mlp.c_fc", "blk.{L}.ffn_up"},
    {"layers.{L}.mlp.c_proj", "blk.{L}.ffn_down"},
};
constexpr TensorRule kCohereNorm[] = {{"layers.{L}.input_layernorm", "blk.{L}.attn_norm"}};
constexpr TensorRule kGlm4Norms[] = {
    {"layers.{L}.input_layernorm", "blk.{L}.attn_norm"},
    {"layers.{L}.post_attention_layernorm", "blk.{L}.ffn_norm"},
    {"layers.{L}.post_self_attn_layernorm", "blk.{L}.post_attention_norm"},
    {"layers.{L}.post_mlp_layernorm", "blk.{L}.post_ffw_norm"},
};
constexpr TensorRule kMixtralExperts[] = {
    {"layers.{L}.block_sparse_moe.gate", "blk.{L}.ffn_gate_inp"},
    {"layers.{L}.block_sparse_moe.experts.{E}.w1", "blk.{L}.ffn_gate_exps", Move::kExperts},
    {"layers.{L}.block_sparse_moe.experts.{E}.w3", "blk.{L}.ffn_up_exps", Move::kExperts},
    {"layers.{L}.block_sparse_moe.experts.{E}.w2", "blk.{L}.ffn_down_exps", Move::kExperts},
};
constexpr TensorRule kQwenExperts[] = {
    {"layers.{L}.mlp.gate", "blk.{L}.ffn_gate_inp", Move::kCopy, false},
    {"layers.{L}.mlp.experts.{E}.gate_proj", "blk.{L}.ffn_gate_exps", Move::kExperts, false},
    {"layers.{L}.mlp.experts.{E}.up_proj", "blk.{L}.ffn_up_exps", Move::kExperts, false},
    {"layers.{L}.mlp.experts.{E}.down_proj", "blk.{L}.ffn_down_exps", Move::kExperts, false},
};
constexpr TensorRule kQwenSharedExpert[] = {
    {"layers.{L}.mlp.shared_expert_gate", "blk.{L}.ffn_gate_inp_shexp", Move::kCopy, false},
    {"layers.{L}.mlp.shared_expert.gate_proj", "blk.{L}.ffn_gate_shexp", Move::kCopy, false},
    {"layers.{L}.mlp.shared_expert.up_proj", "blk.{L}.ffn_up_shexp", Move::kCopy, false},
    {"layers.{L}.mlp.shared_expert.down_proj", "blk.{L}.ffn_down_shexp", Move::kCopy, false},
};
constexpr TensorRule kGraniteExperts[] = {
    {"layers.{L}.block_sparse_moe.router.layer", "blk.{L}.ffn_gate_inp"},
    {"layers.{L}.block_sparse_moe.input_linear", "blk.{L}.ffn_gate_exps", Move::kFirstHalf},
    {"layers.{L}.block_sparse_moe.input_linear", "blk.{L}.ffn_up_exps", Move::kSecondHalf},
    {"layers.{L}.block_sparse_moe.output_linear", "blk.{L}.ffn_down_exps"},
    {"layers.{L}.shared_mlp.input_linear", "blk.{L}.ffn_gate_shexp", Move::kFirstHalf, false},
    {"layers.{L}.shared_mlp.input_linear", "blk.{L}.ffn_up_shexp", Move::kSecondHalf, false},
    {"layers.{L}.shared_mlp.output_linear", "blk.{L}.ffn_down_shexp", Move::kCopy, false},
};
constexpr TensorRule kGptOss[] = {
    {"layers.{L}.input_layernorm", "blk.{L}.attn_norm"},
    {"layers.{L}.post_attention_layernorm", "blk.{L}.post_attention_norm"},
    {"layers.{L}.self_attn.sinks", "blk.{L}.attn_sinks.weight", Move::kCopy, true, true},
    {"layers.{L}.mlp.router", "blk.{L}.ffn_gate_inp"},
    // The experts come as MXFP4 blocks, or decoded and transposed.
    {"layers.{L}.mlp.experts.gate_up_proj", "blk.{L}.ffn_gate_exps.weight", Move::kMxfp4EvenRows, false,
     true},
    {"layers.{L}.mlp.experts.gate_up_proj", "blk.{L}.ffn_up_exps.weight", Move::kMxfp4OddRows, false, true},
    {"layers.{L}.mlp.experts.down_proj", "blk.{L}.ffn_down_exps.weight", Move::kMxfp4, false, true},
    {"layers.{L}.mlp.experts.gate_up_proj", "blk.{L}.ffn_gate_exps.weight", Move::kEvenColumns, false, true},
    {"layers.{L}.mlp.experts.gate_up_proj", "blk.{L}.ffn_up_exps.weight", Move::kOddColumns, false, true},
    {"layers.{L}.mlp.experts.down_proj", "blk.{L}.ffn_down_exps.weight", Move::kTransposed, false, true},
    {"layers.{L}.mlp.experts.gate_up_proj_bias", "blk.{L}.ffn_gate_exps.bias", Move::kEvenElements, true,
     true},
    {"layers.{L}.mlp.experts.gate_up_proj_bias", "blk.{L}.ffn_up_exps.bias", Move::kOddElements, true, true},
    {"layers.{L}.mlp.experts.down_proj_bias", "blk.{L}.ffn_down_exps.bias", Move::kCopy, true, true},
};
constexpr TensorRule kDeepseek2[] = {
    {"layers.{L}.self_attn.q_proj", "blk.{L}.attn_q", Move::kCopy, false},
    {"layers.{L}.self_attn.q_a_proj", "blk.{L}.attn_q_a", Move::kCopy, false},
    {"layers.{L}.self_attn.q_a_layernorm", "blk.{L}.attn_q_a_norm", Move::kCopy, false},
    {"layers.{L}.self_attn.q_b_proj", "blk.{L}.attn_q_b", Move::kCopy, false},
    {"layers.{L}.self_attn.kv_a_proj_with_mqa", "blk.{L}.attn_kv_a_mqa"},
    {"layers.{L}.self_attn.kv_a_layernorm", "blk.{L}.attn_kv_a_norm"},
    {"layers.{L}.self_attn.kv_b_proj", "blk.{L}.attn_k_b", Move::kLatentKeys},
    {"layers.{L}.self_attn.kv_b_proj", "blk.{L}.attn_v_b", Move::kLatentValues},
    {"layers.{L}.self_attn.o_proj", "blk.{L}.attn_output"},
    {"layers.{L}.mlp.gate.e_score_correction.bias", "blk.{L}.exp_probs_b.bias", Move::kCopy, false, true},
    {"layers.{L}.mlp.shared_experts.gate_proj", "blk.{L}.ffn_gate_shexp", Move::kCopy, false},
    {"layers.{L}.mlp.shared_experts.up_proj", "blk.{L}.ffn_up_shexp", Move::kCopy, false},
    {"layers.{L}.mlp.shared_experts.down_proj", "blk.{L}.ffn_down_shexp", Move::kCopy, false},
};
constexpr TensorRule kBert[] = {
    {"embeddings.word_embeddings", "token_embd"},
    {"embeddings.token_type_embeddings", "token_types", Move::kCopy, false},
    {"embeddings.LayerNorm", "token_embd_norm"},
    {"encoder.layer.{L}.attention.self.query", "blk.{L}.attn_q"},
    {"encoder.layer.{L}.attention.self.key", "blk.{L}.attn_k"},
    {"encoder.layer.{L}.attention.self.value", "blk.{L}.attn_v"},
    {"encoder.layer.{L}.attention.output.dense", "blk.{L}.attn_output"},
    {"encoder.layer.{L}.attention.output.LayerNorm", "blk.{L}.attn_output_norm"},
    {"encoder.layer.{L}.intermediate.dense", "blk.{L}.ffn_up"},
    {"encoder.layer.{L}.output.dense", "blk.{L}.ffn_down"},
    {"encoder.layer.{L}.output.LayerNorm", "blk.{L}.layer_output_norm"},
};
/// The layer with the tanh, then the one that scores.
constexpr TensorRule kBertClassifier[] = {{"pooler.dense", "cls"}, {"classifier", "cls.output"}};
constexpr TensorRule kRobertaClassifier[] = {
    {"classifier.dense", "cls", Move::kCopy, false},
    {"classifier.out_proj", "cls.output", Move::kCopy, false},
};
constexpr TensorRule kBertPositions[] = {{"embeddings.position_embeddings", "position_embd"}};
constexpr TensorRule kRobertaPositions[] = {
    {"embeddings.position_embeddings", "position_embd", Move::kSkipPositions}};
constexpr TensorRule kNomicBert[] = {
    {"embeddings.word_embeddings", "token_embd"},
    {"embeddings.token_type_embeddings", "token_types", Move::kCopy, false},
    {"emb_ln", "token_embd_norm"},
    {"encoder.layers.{L}.attn.Wqkv", "blk.{L}.attn_qkv"},
    {"encoder.layers.{L}.attn.out_proj", "blk.{L}.attn_output"},
    {"encoder.layers.{L}.norm1", "blk.{L}.attn_output_norm"},
    {"encoder.layers.{L}.norm2", "blk.{L}.layer_output_norm"},
    {"encoder.layers.{L}.mlp.fc11", "blk.{L}.ffn_up"},
    {"encoder.layers.{L}.mlp.fc12", "blk.{L}.ffn_gate"},
    {"encoder.layers.{L}.mlp.fc2", "blk.{L}.ffn_down"},
};

const std::vector<KeyRule> kQwenExpertKeys = {
    {"expert_feed_forward_length", KeyKind::kCount, {"moe_intermediate_size"}},
    {"expert_shared_feed_forward_length", KeyKind::kCount, {"shared_expert_intermediate_size"}},
};
const std::vector<KeyRule> kGemma2Keys = {
    {"attn_logit_softcapping", KeyKind::kReal, {"attn_logit_softcapping"}},
    {"final_logit_softcapping", KeyKind::kReal, {"final_logit_softcapping"}},
    {"attention.sliding_window", KeyKind::kCount, {"sliding_window"}},
};
const Names kBertLeftOut = {"embeddings.position_ids", "pooler.", "cls.predictions", "cls.seq_relationship",
                            "lm_head."};

const std::vector<Family>& table() {
  static const std::vector<Family> families = {
      {{"LlamaForCausalLM", "LLaMAForCausalLM", "LlamaModel"},
       {"llama"},
       "llama",
       {kEnds, kPairedAttention, kNorms, kGated},
       {},
       "",
       describeLlama,
       {}},
      {{"MistralForCausalLM", "MistralModel", "Mistral3ForConditionalGeneration"},
       {"mistral"},
       "llama",
       {kEnds, kPairedAttention, kNorms, kGated},
       {},
       "",
       describeMistral,
       {}},
      {{"MixtralForCausalLM"},
       {"mixtral"},
       "llama",
       {kEnds, kPairedAttention, kNorms, kMixtralExperts},
       {},
       "",
       describeMistral,
       {}},
      {{"Qwen2ForCausalLM", "Qwen2Model"},
       {"qwen2"},
       "qwen2",
       {kEnds, kAttention, kNorms, kGated},
       {},
       "",
       nullptr,
       {}},
      {{"Qwen2MoeForCausalLM"},
       {"qwen2_moe"},
       "qwen2moe",
       {kEnds, kAttention, kNorms, kSomeGated, kQwenExperts, kQwenSharedExpert},
       kQwenExpertKeys,
       "",
       nullptr,
       {}},
      {{"Qwen3ForCausalLM", "Qwen3Model"},
       {"qwen3"},
       "qwen3",
       {kEnds, kAttention, kHeadNorms, kNorms, kGated},
       {},
       "",
       nullptr,
       {}},
      {{"Qwen3MoeForCausalLM"},
       {"qwen3_moe"},
       "qwen3moe",
       {kEnds, kAttention, kHeadNorms, kNorms, kSomeGated, kQwenExperts},
       kQwenExpertKeys,
       "",
       describeQwen3Moe,
       {}},
      {{"GemmaForCausalLM"},
       {"gemma"},
       "gemma",
       {kGemmaTiedEnds, kAttention, kGemmaNorms, kGated},
       {},
       R"({"head_dim": 256, "rms_norm_eps": 1e-6})",
       nullptr,
       {"lm_head."}},
      {{"Gemma2ForCausalLM"},
       {"gemma2"},
       "gemma2",
       {kGemmaTiedEnds, kAttention, kGemma2Norms, kGated},
       kGemma2Keys,
       R"({"head_dim": 256, "rms_norm_eps": 1e-6, "sliding_window": 4096, "attn_logit_softcapping": 50.0,
           "final_logit_softcapping": 30.0})",
       describeGemma2,
       {"lm_head."}},
      {{"Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"},
       {"gemma3_text", "gemma3"},
       "gemma3",
       {kGemmaEnds, kAttention, kGemma3HeadNorms, kGemma2Norms, kGated},
       {},
       R"({"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "rms_norm_eps": 1e-6,
           "max_position_embeddings": 131072, "sliding_window": 4096, "rope_theta": 1000000.0,
           "rope_local_base_freq": 10000.0})",
       describeGemma3,
       {}},
      {{"Phi3ForCausalLM"},
       {"phi3"},
       "phi3",
       {kEnds, kPhi3Attention, kNorms, kFusedGated},
       {},
       R"({"rope_theta": 10000.0})",
       describePhi3,
       {}},
      {{"Olmo2ForCausalLM", "Olmo3ForCausalLM"},
       {"olmo2", "olmo3"},
       "olmo2",
       {kEnds, kAttention, kHeadNorms, kOlmo2Norms, kGated},
       {},
       "",
       describeOlmo2,
       {}},
      {{"SmolLM3ForCausalLM"},
       {"smollm3"},
       "smollm3",
       {kEnds, kPairedAttention, kNorms, kGated},
       {},
       "",
       describeSmolLm3,
       {}},
      {{"GraniteForCausalLM"},
       {"granite"},
       "granite",
       {kEnds, kPairedAttention, kNorms, kGated},
       {},
       "",
       describeGranite,
       {}},
      {{"GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM"},
       {"granitemoe", "granitemoeshared"},
       "granitemoe",
       {kEnds, kPairedAttention, kNorms, kGraniteExperts},
       {{"expert_shared_feed_forward_length", KeyKind::kCount, {"shared_intermediate_size"}}},
       "",
       describeGranite,
       {}},
      {{"Starcoder2ForCausalLM"},
       {"starcoder2"},
       "starcoder2",
       {kEnds, kAttention, kNorms, kStarcoder2Mlp},
       {},
       "",
       describeStarcoder2,
       {}},
      {{"CohereForCausalLM"},
       {"cohere"},
       "command-r",
       {kTiedEnds, kAttention, kOptionalHeadNorms, kCohereNorm, kGated},
       {},
       R"({"logit_scale": 0.0625})",
       describeCommandR,
       {"lm_head."}},
      {{"Cohere2ForCausalLM"},
       {"cohere2"},
       "cohere2",
       {kTiedEnds, kAttention, kCohereNorm, kGated},
       {},
       R"({"logit_scale": 0.0625, "sliding_window": 4096})",
       describeCohere2,
       {"lm_head."}},
      {{"Glm4ForCausalLM"},
       {"glm4"},
       "glm4",
       {kEnds, kAttention, kGlm4Norms, kFusedGated},
       {},
       "",
       describeGlm4,
       {}},
      {{"GptOssForCausalLM"},
       {"gpt_oss"},
       "gpt-oss",
       {kEnds, kAttention, kGptOss},
       {{"expert_feed_forward_length", KeyKind::kCount, {"intermediate_size"}}},
       "",
       describeGptOss,
       {}},
      {{"DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM"},
       {"deepseek_v2", "deepseek_v3"},
       "deepseek2",
       {kEnds, kDeepseek2, kNorms, kSomeGated, kQwenExperts},
       {},
       R"({"rms_norm_eps": 1e-6})",
       describeDeepseek2,
       {}},
      {{"BertForSequenceClassification"},
       {},
       "bert",
       {kBert, kBertPositions, kBertClassifier},
       {},
       R"({"layer_norm_eps": 1e-12})",
       describeBert,
       kBertLeftOut},
      {{"BertModel", "BertForMaskedLM"},
       {"bert"},
       "bert",
       {kBert, kBertPositions},
       {},
       R"({"layer_norm_eps": 1e-12})",
       describeBert,
       kBertLeftOut},
      {{"XLMRobertaModel", "XLMRobertaForSequenceClassification", "XLMRobertaForMaskedLM", "RobertaModel",
        "RobertaForSequenceClassification"},
       {"xlm-roberta", "roberta"},
       "bert",
       {kBert, kRobertaPositions, kRobertaClassifier},
       {},
       R"({"layer_norm_eps": 1e-5, "pad_token_id": 1})",
       describeXlmRoberta,
       kBertLeftOut},
      {{"NomicBertModel"},
       {"nomic_bert"},
       "nomic-bert",
       {kNomicBert},
       {},
       "",
       describeNomicBert,
       kBertLeftOut},
  };
  return families;
}

bool among(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

base::Result<const Family*> findFamily(const Config& config) {
  for (const Family& family : table()) {
    if (among(family.architectures, config.architecture())) return &family;
  }
  if (config.architecture().empty()) {
    for (const Family& family : table()) {
      if (among(family.modelTypes, config.modelType())) return &family;
    }
  }
  std::string known;
  for (const Family& family : table()) {
    if (known.find(family.gguf) == std::string::npos)
      known += (known.empty() ? "" : ", ") + std::string(family.gguf);
  }
  const std::string& name = config.architecture().empty() ? config.modelType() : config.architecture();
  return base::Error(base::ErrorCode::kUnsupported, "The model's architecture \"" + base::printable(name) +
                                                        "\" is not one that Quern converts (" + known + ").");
}

}  // namespace quern::engine::convert
