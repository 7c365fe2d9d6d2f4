// Tiny random models of every family beside transformers' float32 logits
// (tests/conformance/make_tiny_models.py, make_tiny_mixtures.py).

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "engine/gguf/file.h"
#include "engine/model/architecture.h"
#include "engine/model/program.h"
#include "engine/runtime/backend.h"

namespace quern::engine {
namespace {

namespace fs = std::filesystem;

const fs::path kFolder = fs::path(QUERN_SOURCE_DIR) / "tests/data/model";

struct Comparison {
  double worstCosine = 1;
  int topMismatches = 0;
};

Comparison compare(std::span<const float> logits, const std::vector<double>& expected, Comparison so) {
  double dot = 0;
  double a = 0;
  double b = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    dot += logits[i] * expected[i];
    a += logits[i] * logits[i];
    b += expected[i] * expected[i];
  }
  so.worstCosine = std::min(so.worstCosine, dot / std::sqrt(a * b));
  const auto top = std::max_element(logits.begin(), logits.end()) - logits.begin();
  const auto wanted = std::max_element(expected.begin(), expected.end()) - expected.begin();
  so.topMismatches += top != wanted ? 1 : 0;
  return so;
}

class TinyModel : public testing::TestWithParam<std::string> {};

TEST_P(TinyModel, GivesTheLogitsOfTransformers) {
  const auto file = *gguf::File::open(kFolder / (GetParam() + ".gguf"));
  std::ifstream stream(kFolder / (GetParam() + ".json"));
  const auto data = nlohmann::json::parse(stream);
  const auto tokens = data["tokens"].get<std::vector<std::int32_t>>();
  const auto expected = data["logits"].get<std::vector<std::vector<double>>>();
  ASSERT_EQ(tokens.size(), expected.size());

  // Weights in blocks are multiplied with activations of 8 bits.
  const double leastCosine = GetParam().ends_with("mxfp4") ? 0.999 : 0.9999;
  const auto program = *model::buildProgram(*file);
  runtime::CompileOptions options;
  options.kvTokens = 32;  // LongRoPE's original lengths are 16 and 32: one on each side
  options.kvType = runtime::KvCacheType::kF32;
  options.threads = 2;
  for (const char* kernels : {"generic", ""}) {
    options.kernels = kernels;
    const auto executable = *runtime::makeCpuBackend()->compile(file, program, options, {});
    const std::uint32_t blocks[] = {0};

    const runtime::Slice whole{tokens, 0, blocks, static_cast<std::int32_t>(tokens.size())};
    ASSERT_TRUE(executable->run({std::span(&whole, 1)}));
    Comparison prefill;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      prefill = compare(executable->logits(static_cast<std::int32_t>(i)), expected[i], prefill);
    }
    EXPECT_GE(prefill.worstCosine, leastCosine) << executable->description();
    EXPECT_EQ(prefill.topMismatches, 0) << executable->description();

    Comparison decode;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const runtime::Slice one{std::span(tokens).subspan(i, 1), static_cast<std::int32_t>(i), blocks, 1};
      ASSERT_TRUE(executable->run({std::span(&one, 1)}));
      decode = compare(executable->logits(0), expected[i], decode);
    }
    EXPECT_GE(decode.worstCosine, leastCosine) << executable->description();
    EXPECT_EQ(decode.topMismatches, 0) << executable->description();
  }
}

/// Every family that Quern knows must be among these, or the test below fails.
const std::vector<std::string> kNames = {"llama",
                                         "llama-tied-bias",
                                         "llama-llama3",
                                         "llama-linear",
                                         "llama-yarn",
                                         "mistral",
                                         "qwen2",
                                         "qwen3",
                                         "gemma2",
                                         "gemma3",
                                         "gemma3-linear",
                                         "phi3",
                                         "phi3-window",
                                         "phi3-longrope-short",
                                         "phi3-longrope-long",
                                         "mixtral",
                                         "qwen2moe",
                                         "qwen3moe",
                                         "granitemoe",
                                         "granitemoe-shared",
                                         "gpt-oss",
                                         "gpt-oss-mxfp4"};

INSTANTIATE_TEST_SUITE_P(Families, TinyModel, testing::ValuesIn(kNames), [](const auto& test) {
  std::string name = test.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(Architectures, EachHasATinyModelToBeHeldAgainst) {
  for (const std::string_view name : model::supportedArchitectures()) {
    EXPECT_TRUE(std::find(kNames.begin(), kNames.end(), name) != kNames.end()) << name;
  }
}

}  // namespace
}  // namespace quern::engine
