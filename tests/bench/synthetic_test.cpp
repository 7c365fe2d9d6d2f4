// Random models must be what they claim: right formats, weights of the promised size, loadable, and numbers
// that stay finite through every layer.

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>

#include "engine/evaluation/direct_model.h"
#include "engine/gguf/file.h"
#include "engine/tokenizer/tokenizer.h"
#include "kernels/reference/dequantize.h"
#include "tests/bench/synthetic/blocks.h"
#include "tests/bench/synthetic/model.h"
#include "tests/bench/synthetic/vocabulary.h"
#include "tests/support/folder.h"

namespace quern::bench {
namespace {

using kernels::DType;

std::string bytesOf(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::string nameOf(DType type) { return std::string(kernels::dtypeInfo(type)->name); }

TEST(Synthetic, WeightsHaveTheDeviationAskedForAndNoMean) {
  constexpr std::size_t kElements = 64 * 1024;
  for (std::uint32_t id = 0; id < 64; ++id) {
    if (kernels::dtypeInfo(id) == nullptr || !kernels::dtypeInfo(id)->decodable) continue;
    const auto type = static_cast<DType>(id);
    ASSERT_TRUE(canFill(type)) << nameOf(type);
    const kernels::DTypeInfo& info = *kernels::dtypeInfo(type);
    std::vector<std::byte> bytes(kElements / info.blockElements * info.blockBytes);
    std::mt19937_64 random(3);
    constexpr float kDeviation = 0.02F;
    fillBlocks(type, kDeviation, random, bytes);
    std::vector<float> weights(kElements);
    ASSERT_TRUE(kernels::reference::dequantizeRow(type, bytes.data(), weights.data(), kElements));
    double sum = 0;
    double squares = 0;
    for (const float weight : weights) {
      sum += weight;
      squares += static_cast<double>(weight) * weight;
    }
    EXPECT_NEAR(sum / kElements / kDeviation, 0, 0.03) << nameOf(type);
    EXPECT_NEAR(std::sqrt(squares / kElements) / kDeviation, 1, 0.04) << nameOf(type);
  }
  EXPECT_FALSE(canFill(DType::kIQ1_S));
}

TEST(Synthetic, Q4KMGivesMoreBitsWhereLlamaCppDoes) {
  const Shape& shape = findPreset("1b")->shape;
  std::string favoured;
  for (std::uint32_t layer = 0; layer < shape.layers; ++layer) {
    const std::string block = "blk." + std::to_string(layer) + ".";
    const DType down = formatOf(Mix::kQ4_K_M, shape, block + "ffn_down.weight", layer, shape.hidden);
    EXPECT_EQ(down, formatOf(Mix::kQ4_K_M, shape, block + "attn_v.weight", layer, shape.width));
    EXPECT_EQ(formatOf(Mix::kQ4_K_M, shape, block + "ffn_up.weight", layer, shape.width), DType::kQ4_K);
    if (down == DType::kQ6_K) favoured += std::to_string(layer) + " ";
  }
  EXPECT_EQ(favoured, "0 1 4 7 10 13 14 15 ");
  EXPECT_EQ(formatOf(Mix::kQ4_K_M, shape, "token_embd.weight", 0, shape.width), DType::kQ6_K);  // tied
  const Shape& untied = findPreset("8b")->shape;
  EXPECT_EQ(formatOf(Mix::kQ4_K_M, untied, "token_embd.weight", 0, untied.width), DType::kQ4_K);
  EXPECT_EQ(formatOf(Mix::kQ4_0, untied, "output.weight", 0, untied.width), DType::kQ6_K);
  const Shape& mixture = findPreset("8x7b")->shape;
  EXPECT_EQ(formatOf(Mix::kQ4_K_M, mixture, "blk.3.attn_k.weight", 3, mixture.width), DType::kQ8_0);
}

TEST(Synthetic, RowsThatMakeNoSuperBlocksGetBlocksOf32) {
  const Shape& shape = findPreset("135m")->shape;
  EXPECT_EQ(formatOf(Mix::kQ4_K_M, shape, "blk.5.attn_q.weight", 5, 576), DType::kQ5_0);
  EXPECT_EQ(formatOf(Mix::kQ4_0, shape, "token_embd.weight", 0, 576), DType::kQ8_0);
  EXPECT_EQ(formatOf(Mix::kQ4_1, shape, "blk.5.attn_q.weight", 5, 576), DType::kQ4_1);
}

TEST(Synthetic, EveryTypeLoadsAndRunsWithFiniteLogits) {
  const test::Folder folder;
  for (const char* type : {"f16", "q4_0", "q4_1", "q8_0", "q4_k_m"}) {
    const auto path = folder / type;
    ASSERT_TRUE(writeModel(path, findPreset("tiny")->shape, *mixOf(type), 1)) << type;
    engine::runtime::CompileOptions options;
    options.threads = 1;
    options.batchTokens = 64;
    const auto model = engine::evaluation::DirectModel::load(path, 1, 64, options, {});
    ASSERT_TRUE(model) << type << ": " << model.error().message();
    const std::vector<std::int32_t> tokens = {1, 300, 7, 511, 42};
    ASSERT_TRUE((*model)->advance(0, tokens, 0, 1)) << type;
    double squares = 0;
    for (const float logit : (*model)->executable().logits(0)) squares += static_cast<double>(logit) * logit;
    // Weights of 1/√width on a normalized vector: logits of about 1.
    EXPECT_NEAR(std::sqrt(squares / 512), 1, 0.3) << type;
  }
}

TEST(Synthetic, AMixtureHasItsExperts) {
  const test::Folder folder;
  const auto path = folder / "m.gguf";
  ASSERT_TRUE(writeModel(path, findPreset("tiny-moe")->shape, Mix::kQ4_K_M, 1));
  const auto file = engine::gguf::File::open(path);
  ASSERT_TRUE(file) << file.error().message();
  const engine::gguf::Tensor* experts = (*file)->tensor("blk.1.ffn_down_exps.weight");
  ASSERT_NE(experts, nullptr);
  EXPECT_EQ(experts->dims, (std::vector<std::uint64_t>{256, 256, 8}));
  EXPECT_EQ((*file)->tensor("blk.1.ffn_gate_inp.weight")->type, DType::kF32);
  EXPECT_NE((*file)->tensor("output.weight"), nullptr);
}

TEST(Synthetic, TheSeedIsTheFile) {
  const test::Folder folder;
  const Shape& shape = findPreset("tiny")->shape;
  ASSERT_TRUE(writeModel(folder / "a", shape, Mix::kQ4_0, 1));
  ASSERT_TRUE(writeModel(folder / "b", shape, Mix::kQ4_0, 1));
  ASSERT_TRUE(writeModel(folder / "c", shape, Mix::kQ4_0, 2));
  EXPECT_TRUE(bytesOf(folder / "a") == bytesOf(folder / "b"));
  EXPECT_FALSE(bytesOf(folder / "a") == bytesOf(folder / "c"));
}

TEST(Synthetic, TheVocabularyMergesAndSurvivesARoundTrip) {
  const test::Folder folder;
  Shape shape = findPreset("tiny")->shape;
  shape.vocabulary = 40000;
  ASSERT_TRUE(writeModel(folder / "m", shape, Mix::kQ4_0, 1));
  const auto file = engine::gguf::File::open(folder / "m");
  ASSERT_TRUE(file);
  const auto tokenizer = engine::tokenizer::Tokenizer::fromGguf(**file);
  ASSERT_TRUE(tokenizer) << tokenizer.error().message();
  EXPECT_EQ((*tokenizer)->vocabularySize(), 40000U);
  const std::string text = "Grind corn finely, näh?\n\xFF";
  const auto ids = (*tokenizer)->encode(text);
  EXPECT_EQ((*tokenizer)->decode(ids), text);
  EXPECT_LT(ids.size(), text.size() * 3 / 4);
}

TEST(Synthetic, ShapesThatNoModelHasAreRefused) {
  const test::Folder folder;
  const auto refusal = [&](void (*change)(Shape&)) {
    Shape shape = findPreset("tiny")->shape;
    change(shape);
    const auto written = writeModel(folder / "m", shape, Mix::kQ4_0, 1);
    return written ? "" : written.error().message();
  };
  EXPECT_NE(refusal([](Shape& shape) { shape.layers = 0; }).find("layers"), std::string::npos);
  EXPECT_NE(refusal([](Shape& shape) { shape.kvHeads = 3; }).find("evenly"), std::string::npos);
  EXPECT_NE(refusal([](Shape& shape) { shape.headDim = 63; }).find("even"), std::string::npos);
  EXPECT_NE(refusal([](Shape& shape) { shape.vocabulary = kLeastVocabulary - 1; }).find("259"),
            std::string::npos);
  EXPECT_NE(refusal([](Shape& shape) { shape.width = 250; }).find("multiples of 32"), std::string::npos);
  EXPECT_NE(refusal([](Shape& shape) { shape.experts = 2; }).find("experts"), std::string::npos);
  EXPECT_EQ(folder.entries(), 0U);
}

}  // namespace
}  // namespace quern::bench
