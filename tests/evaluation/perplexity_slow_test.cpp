// Perplexity of both real models beside llama-perplexity's, over the same text (tests/data/evaluation).

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "engine/evaluation/perplexity.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::engine::evaluation {
namespace {

const std::filesystem::path kData = std::filesystem::path(QUERN_SOURCE_DIR) / "tests/data/evaluation";
/// Both sides round activations to eight bits in their own way; more than this is a mistake.
constexpr double kAllowed = 0.005;

std::string readAll(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

class PerplexityOf : public testing::TestWithParam<const char*> {};

TEST_P(PerplexityOf, IsLlamaPerplexitys) {
  const std::filesystem::path path = std::filesystem::path(QUERN_TEST_DATA) / GetParam();
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is missing: run packaging/fetch-test-data.sh";
  const auto expected = nlohmann::json::parse(readAll(kData / "perplexity.json"));
  const auto& theirs = expected["models"][GetParam()];
  const std::int32_t context = expected["context"];
  std::string text = readAll(kData / expected["text"].get<std::string>());
  ASSERT_GT(text.size(), 10'000U);
  text.pop_back();  // the newline at the end, as llama-perplexity does

  runtime::CompileOptions options;
  auto model = DirectModel::load(path, 1, context, options, {});
  ASSERT_TRUE(model) << model.error().describe();
  const auto tokenizer = tokenizer::Tokenizer::fromGguf((*model)->file());
  ASSERT_TRUE(tokenizer) << tokenizer.error().describe();
  const auto tokens = (*tokenizer)->encode(text, {.addSpecial = true, .parseSpecial = false});
  EXPECT_GE(tokens.size(), 3000U);
  const auto& special = (*tokenizer)->special();
  const auto result =
      measurePerplexity(**model, tokens, context, special.addBos ? special.bos : std::nullopt);
  ASSERT_TRUE(result) << result.error().describe();
  EXPECT_EQ(result->windows, theirs["windows"].get<int>());
  const double perplexity = theirs["perplexity"];
  EXPECT_NEAR(result->perplexity / perplexity, 1.0, kAllowed)
      << result->perplexity << " beside " << perplexity;
  EXPECT_NEAR(result->standardError / theirs["standard_error"].get<double>(), 1.0, 0.03);
}

INSTANTIATE_TEST_SUITE_P(Models, PerplexityOf,
                         testing::Values("smollm2-135m-instruct-q4_1.gguf", "gemma-3-270m-q4_k_m.gguf"),
                         [](const auto& param) { return param.index == 0 ? "SmolLM2" : "Gemma3"; });

}  // namespace
}  // namespace quern::engine::evaluation
