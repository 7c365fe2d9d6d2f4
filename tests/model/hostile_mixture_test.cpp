// Mixtures of experts and latent attention whose numbers and tensors disagree: refused with a sentence that
// names the place.

#include <gtest/gtest.h>

#include "tests/model/edited.h"

namespace quern::engine::model {
namespace {

TEST(Mixture, TakesItsFilesUnchanged) {
  for (const char* name : {"mixtral", "qwen2moe", "gpt-oss", "deepseek2"}) {
    const auto built = Edited(name).build();
    ASSERT_TRUE(built) << name << ": " << built.error().message();
    EXPECT_GT(built->experts, 0) << name;
  }
}

TEST(Mixture, NamesNumbersOfExpertsThatMakeNoSense) {
  for (const std::uint32_t used : {0U, 5U, 1U << 20, 0xFFFFFFFFU}) {
    EXPECT_TRUE(
        names(Edited("mixtral").set("llama.expert_used_count", used).refusal(), "llama.expert_used_count"))
        << used;
  }
  for (const std::uint32_t count : {1025U, 0xFFFFFFFFU}) {
    EXPECT_TRUE(names(Edited("mixtral").set("llama.expert_count", count).refusal(), "llama.expert_count"));
  }
  // Numbers that could be true, but not of these tensors.
  EXPECT_TRUE(names(Edited("mixtral").set("llama.expert_count", 3U).refusal(), "blk.0.ffn_gate_inp.weight"));
  EXPECT_TRUE(names(Edited("mixtral").set("llama.expert_count", 0U).refusal(), "blk.0.ffn_gate.weight"));
  EXPECT_TRUE(names(Edited("qwen3moe").set("qwen3moe.expert_count", 0U).refusal(), "qwen3moe.expert_count"));
  EXPECT_TRUE(names(Edited("qwen3moe").set("qwen3moe.expert_feed_forward_length", 21U).refusal(),
                    "blk.0.ffn_gate_exps.weight"));
  EXPECT_TRUE(names(Edited("qwen2moe").set("qwen2moe.expert_shared_feed_forward_length", 41U).refusal(),
                    "blk.0.ffn_gate_shexp.weight"));
}

TEST(Mixture, NamesTensorsOfAnotherShape) {
  EXPECT_TRUE(names(Edited("mixtral").setDim("blk.0.ffn_gate_exps.weight", 1, 16).refusal(),
                    "blk.0.ffn_gate_exps.weight"));
  EXPECT_TRUE(names(Edited("mixtral").setDim("blk.1.ffn_down_exps.weight", 2, 3).refusal(),
                    "blk.1.ffn_down_exps.weight"));
  EXPECT_TRUE(names(Edited("mixtral").setDim("blk.1.ffn_up_exps.weight", 0, 16).refusal(),
                    "blk.1.ffn_up_exps.weight"));
  EXPECT_TRUE(names(Edited("gpt-oss").setDim("blk.0.ffn_down_exps.bias", 1, 2).refusal(),
                    "blk.0.ffn_down_exps.bias"));
  EXPECT_TRUE(
      names(Edited("gpt-oss").setDim("blk.1.attn_sinks.weight", 0, 2).refusal(), "blk.1.attn_sinks.weight"));
  EXPECT_TRUE(names(Edited("qwen2moe").setDim("blk.0.ffn_gate_inp_shexp.weight", 0, 16).refusal(),
                    "blk.0.ffn_gate_inp_shexp.weight"));
  EXPECT_TRUE(
      names(Edited("deepseek2").setDim("blk.1.exp_probs_b.bias", 0, 4).refusal(), "blk.1.exp_probs_b.bias"));
  EXPECT_TRUE(
      names(Edited("deepseek2").setDim("blk.2.attn_v_b.weight", 1, 6).refusal(), "blk.2.attn_v_b.weight"));
}

TEST(Mixture, NamesTensorsThatAreMissing) {
  for (const std::string tensor : {"blk.0.ffn_gate_inp.weight", "blk.1.ffn_gate_exps.weight",
                                   "blk.0.ffn_up_exps.weight", "blk.1.ffn_down_exps.weight"}) {
    std::string other = tensor;
    other.replace(other.size() - 6, 6, "WEIGHT");
    EXPECT_TRUE(names(Edited("mixtral").replace(tensor, other).refusal(), tensor));
  }
  EXPECT_TRUE(names(Edited("gpt-oss").replace("blk.0.attn_sinks.weight", "blk.0.attn_SINKS.weight").refusal(),
                    "blk.0.attn_sinks.weight"));
}

TEST(Mixture, NamesGroupsThatCannotBe) {
  EXPECT_TRUE(names(Edited("deepseek2").set("deepseek2.expert_group_count", 3U).refusal(), "groups"));
  EXPECT_TRUE(names(Edited("deepseek2").set("deepseek2.expert_group_used_count", 5U).refusal(),
                    "deepseek2.expert_group_used_count"));
  // Two groups of two have no five experts.
  EXPECT_TRUE(names(Edited("deepseek2").set("deepseek2.expert_used_count", 5U).refusal(), "5"));
  EXPECT_TRUE(names(Edited("deepseek2").set("deepseek2.leading_dense_block_count", 4U).refusal(),
                    "deepseek2.leading_dense_block_count"));
  EXPECT_TRUE(names(Edited("deepseek2").set("deepseek2.expert_gating_func", 9U).refusal(),
                    "deepseek2.expert_gating_func"));
}

TEST(LatentAttention, NamesSizesThatMakeNoSense) {
  for (const std::uint32_t rank : {0U, 5000U, 0xFFFFFFFFU}) {
    EXPECT_TRUE(names(Edited("deepseek2").set("deepseek2.attention.kv_lora_rank", rank).refusal(),
                      "deepseek2.attention.kv_lora_rank"));
  }
  EXPECT_TRUE(names(Edited("deepseek2").set("deepseek2.attention.kv_lora_rank", 15U).refusal(),
                    "blk.0.attn_kv_a_mqa.weight"));
  EXPECT_TRUE(names(Edited("deepseek2").set("deepseek2.attention.q_lora_rank", 23U).refusal(),
                    "blk.0.attn_q_a.weight"));
  EXPECT_TRUE(names(Edited("deepseek2").set("deepseek2.attention.key_length_mla", 8U).refusal(),
                    "deepseek2.rope.dimension_count"));
  EXPECT_TRUE(names(Edited("deepseek2").set("deepseek2.attention.value_length_mla", 0U).refusal(),
                    "deepseek2.attention.value_length_mla"));
}

/// Files from before attn_kv_b was taken apart are told what to do.
TEST(LatentAttention, AsksForANewFileOfAnOldOne) {
  const std::string sentence = Edited("deepseek2")
                                   .replace("blk.0.attn_k_b.weight", "blk.0.attn_K_B.weight")
                                   .refusal(base::ErrorCode::kUnsupported);
  EXPECT_TRUE(names(sentence, "blk.0.attn_k_b.weight"));
}

}  // namespace
}  // namespace quern::engine::model
