// Files whose parameters and tensors disagree: a tiny model is changed in one place, and must be refused with
// a sentence that names the place.

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "tests/model/edited.h"

namespace quern::engine::model {
namespace {

TEST(Architecture, TakesTheFileUnchanged) {
  const auto built = Edited("llama").build();
  ASSERT_TRUE(built);
  EXPECT_EQ(built->architecture, "llama");
  EXPECT_GT(built->layers, 0);
}

TEST(Architecture, NamesAnArchitectureThatItDoesNotKnow) {
  // Keys begin with the architecture's name, so the value alone is changed: its length stands before it.
  std::string from("\x05\0\0\0\0\0\0\0llama", 13);
  std::string to("\x05\0\0\0\0\0\0\0mamba", 13);
  const std::string sentence = Edited("llama").replace(from, to).refusal(base::ErrorCode::kUnsupported);
  EXPECT_TRUE(names(sentence, "mamba"));
}

TEST(Architecture, NamesTensorsThatAreMissing) {
  for (const std::string tensor :
       {"token_embd.weight", "output_norm.weight", "blk.0.attn_norm.weight", "blk.0.attn_q.weight",
        "blk.1.attn_k.weight", "blk.0.attn_v.weight", "blk.1.attn_output.weight", "blk.0.ffn_norm.weight",
        "blk.0.ffn_gate.weight", "blk.1.ffn_up.weight", "blk.0.ffn_down.weight"}) {
    std::string other = tensor;
    other.replace(other.size() - 6, 6, "WEIGHT");
    EXPECT_TRUE(names(Edited("llama").replace(tensor, other).refusal(), tensor));
  }
  EXPECT_TRUE(names(Edited("qwen3").replace("blk.0.attn_q_norm.weight", "blk.0.attn_Q_norm.weight").refusal(),
                    "blk.0.attn_q_norm.weight"));
  EXPECT_TRUE(
      names(Edited("gemma2").replace("blk.1.post_ffw_norm.weight", "blk.1.post_FFW_norm.weight").refusal(),
            "blk.1.post_ffw_norm.weight"));
  EXPECT_TRUE(names(Edited("phi3").replace("blk.0.attn_qkv.weight", "blk.0.attn_QKV.weight").refusal(),
                    "blk.0.attn_qkv.weight"));
}

TEST(Architecture, NamesWhatNewerFamiliesMiss) {
  const auto without = [](const std::string& model, const std::string& tensor) {
    std::string other = tensor;
    other.back() = other.back() == 't' ? 'T' : 'S';
    return names(Edited(model).replace(tensor, other).refusal(), tensor);
  };
  EXPECT_TRUE(without("olmo2", "blk.1.attn_k_norm.weight"));
  EXPECT_TRUE(without("glm4", "blk.0.post_attention_norm.weight"));
  EXPECT_TRUE(without("starcoder2", "blk.1.ffn_up.weight"));
  EXPECT_TRUE(without("command-r-plus", "blk.1.attn_k_norm.weight"));
  EXPECT_TRUE(without("gptneox", "blk.0.attn_qkv.weight"));
  EXPECT_TRUE(without("gptneox-sequential", "blk.0.ffn_norm.weight"));
  EXPECT_TRUE(without("bert", "token_embd_norm.weight"));
  EXPECT_TRUE(without("bert", "blk.1.layer_output_norm.weight"));
  EXPECT_TRUE(without("nomic-bert", "blk.0.ffn_gate.weight"));
  EXPECT_TRUE(names(Edited("cohere2")
                        .replace("cohere2.attention.sliding_window", "cohere2.attention.sliding_WINDOW")
                        .refusal(),
                    "sliding_window"));
}

TEST(Architecture, RefusesFactorsThatMakeNoSense) {
  for (const float value :
       {0.0F, -1.0F, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    for (const std::string key :
         {"granite.embedding_scale", "granite.residual_scale", "granite.logit_scale"}) {
      EXPECT_TRUE(names(Edited("granite").set(key, value).refusal(), key)) << value;
    }
    EXPECT_TRUE(names(Edited("cohere2").set("cohere2.logit_scale", value).refusal(), "logit_scale")) << value;
    EXPECT_TRUE(
        names(Edited("bert").set("bert.attention.layer_norm_epsilon", value == 0 ? 1.0F : value).refusal(),
              "layer_norm_epsilon"))
        << value;
  }
}

TEST(Architecture, RefusesTablesOfPositionsAndNormsOfAnotherShape) {
  EXPECT_TRUE(names(Edited("bert").setDim("position_embd.weight", 0, 16).refusal(), "position_embd.weight"));
  EXPECT_TRUE(names(Edited("bert").setDim("token_types.weight", 0, 16).refusal(), "token_types.weight"));
  EXPECT_TRUE(names(Edited("command-r-plus").setDim("blk.0.attn_q_norm.weight", 1, 3).refusal(),
                    "blk.0.attn_q_norm.weight"));
  EXPECT_TRUE(
      names(Edited("olmo2").setDim("blk.0.attn_q_norm.weight", 0, 8).refusal(), "blk.0.attn_q_norm.weight"));
}

TEST(Architecture, AnEncodersContextIsNotLongerThanItsPositions) {
  const auto built = Edited("bert").set("bert.context_length", std::uint32_t{100000}).build();
  ASSERT_TRUE(built);
  EXPECT_EQ(built->mostPositions, 128);
  EXPECT_EQ(built->trainedContext, 128);
}

TEST(Architecture, NamesKeysThatAreMissing) {
  for (const std::string key : {"llama.block_count", "llama.embedding_length", "llama.feed_forward_length",
                                "llama.attention.head_count"}) {
    std::string other = key;
    other.back() = 'T';
    // head_count is also the beginning of head_count_kv.
    EXPECT_TRUE(names(Edited("llama").replace(key, other).refusal(), key)) << key;
  }
}

TEST(Architecture, RefusesNumbersOutsideOfWhatAModelCanHave) {
  for (const std::string key :
       {"llama.block_count", "llama.embedding_length", "llama.feed_forward_length", "llama.context_length"}) {
    for (const std::uint32_t value : {0U, 0x7FFFFFFFU, 0xFFFFFFFFU}) {
      EXPECT_NE(Edited("llama").set(key, value).refusal(), "") << key << " = " << value;
    }
  }
  for (const std::uint32_t value : {0U, 1U, 3U, 7U, 1000000U}) {
    EXPECT_NE(Edited("llama").set("llama.attention.head_count", value).refusal(), "") << value;
  }
  for (const std::uint32_t value : {0U, 3U, 4096U}) {
    EXPECT_NE(Edited("llama").set("llama.attention.head_count_kv", value).refusal(), "") << value;
  }
  for (const float value : {-1.0F, 5.0F, std::numeric_limits<float>::quiet_NaN()}) {
    EXPECT_NE(Edited("llama").set("llama.attention.layer_norm_rms_epsilon", value).refusal(), "") << value;
  }
}

TEST(Architecture, NamesBothSidesWhenBlockCountsDisagree) {
  const std::uint32_t layers = static_cast<std::uint32_t>(Edited("llama").build()->layers);
  ASSERT_GE(layers, 2U);
  EXPECT_TRUE(names(Edited("llama").set("llama.block_count", layers - 1).refusal(),
                    "blk." + std::to_string(layers - 1) + "."));
  EXPECT_TRUE(names(Edited("llama").set("llama.block_count", layers + 1).refusal(),
                    "blk." + std::to_string(layers) + "."));
}

TEST(Architecture, RefusesHeadCountsThatDoNotFitTheTensors) {
  const auto built = Edited("llama").build();
  ASSERT_TRUE(built);
  const auto heads = static_cast<std::uint32_t>(built->heads);
  const auto kvHeads = static_cast<std::uint32_t>(built->kvHeads);
  EXPECT_TRUE(names(Edited("llama").set("llama.attention.head_count_kv", heads).refusal(), "attn_k"));
  ASSERT_NE(heads, kvHeads);
  EXPECT_TRUE(names(Edited("gemma3")
                        .set("gemma3.attention.key_length", std::uint32_t{8})
                        .set("gemma3.attention.value_length", std::uint32_t{8})
                        .set("gemma3.rope.dimension_count", std::uint32_t{8})
                        .refusal(),
                    "attn_q"));
}

TEST(Architecture, RefusesRotationsThatDoNotFitTheHead) {
  for (const std::uint32_t value : {0U, 1U, 3U, 100000U}) {
    EXPECT_TRUE(
        names(Edited("llama").set("llama.rope.dimension_count", value).refusal(), "rope.dimension_count"));
  }
  EXPECT_TRUE(names(Edited("llama").set("llama.rope.freq_base", 0.0F).refusal(), "rope.freq_base"));
  EXPECT_TRUE(
      names(Edited("llama-linear").set("llama.rope.scaling.factor", 0.0F).refusal(), "scaling.factor"));
  const std::string from("\x04\0\0\0\0\0\0\0yarn", 12);
  const std::string to("\x04\0\0\0\0\0\0\0yawn", 12);
  const std::string sentence = Edited("llama-yarn").replace(from, to).refusal(base::ErrorCode::kUnsupported);
  EXPECT_TRUE(names(sentence, "yawn"));
}

TEST(Architecture, EveryFamilySurvivesEveryNumberSetToNonsense) {
  // No crash, no hang, no memory without bounds: what comes out is a program or a sentence.
  for (const std::string name : {"llama",       "llama-yarn", "qwen2",      "qwen3",
                                 "gemma2",      "gemma3",     "phi3",       "phi3-longrope-long",
                                 "phi3-window", "gemma",      "olmo3",      "granite",
                                 "smollm3",     "glm4",       "starcoder2", "command-r-plus",
                                 "cohere2",     "phi2",       "gptneox",    "stablelm-parallel",
                                 "bert",        "nomic-bert"}) {
    const auto file =
        *gguf::File::open(std::filesystem::path(QUERN_SOURCE_DIR) / "tests/data/model" / (name + ".gguf"));
    int tried = 0;
    for (const gguf::Entry& entry : file->metadata()) {
      const auto type = entry.value.type();
      if (type != gguf::ValueType::kU32 && type != gguf::ValueType::kI32 && type != gguf::ValueType::kF32)
        continue;
      if (entry.key.starts_with("general.")) continue;
      for (const std::uint32_t bits : {0U, 1U, 2U, 5U, 0x7FFFFFFFU, 0x80000000U, 0xFFFFFFFFU, 0x7F800000U}) {
        const auto built = Edited(name).set(std::string(entry.key), bits).build();
        EXPECT_TRUE(built || built.error().message().size() > 10) << entry.key;
        ++tried;
      }
    }
    EXPECT_GT(tried, 40) << name;
  }
}

}  // namespace
}  // namespace quern::engine::model
