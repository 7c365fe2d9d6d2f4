// Greedy answers beside llama.cpp's: the data is made by make_greedy_cases.py. Every position is computed
// after the peer's own tokens, so that one near tie does not hide what follows it.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "engine/gguf/file.h"
#include "engine/model/architecture.h"
#include "engine/model/program.h"
#include "engine/runtime/backend.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::engine {
namespace {

struct Model {
  const char* file;
  const char* cases;
};

/// The choice is only held against the peer's where its two likeliest tokens are this far apart, in nats:
/// both sides round activations to eight bits, in blocks of their own.
constexpr double kNearTie = 0.15;

class Greedy : public testing::TestWithParam<Model> {};

TEST_P(Greedy, ChoosesWhatLlamaCppChooses) {
  const std::filesystem::path path = std::filesystem::path(QUERN_TEST_DATA) / GetParam().file;
  if (!std::filesystem::exists(path))
    GTEST_SKIP() << path << " is not here: run packaging/fetch-test-data.sh";
  std::ifstream stream(std::string(QUERN_SOURCE_DIR) + "/tests/data/conformance/" + GetParam().cases);
  const auto cases = nlohmann::json::parse(stream);
  ASSERT_EQ(cases.size(), 12U);

  const auto file = *gguf::File::open(path);
  const auto program = *model::buildProgram(*file);
  const auto tokenizer = *tokenizer::Tokenizer::fromGguf(*file);
  runtime::CompileOptions options;
  options.kvTokens = 512;
  options.threads = 2;
  const auto executable = *runtime::makeCpuBackend()->compile(file, program, options, {});

  std::vector<std::uint32_t> blocks(static_cast<std::size_t>(executable->kvBlocks()));
  std::iota(blocks.begin(), blocks.end(), 0U);
  int compared = 0;
  for (const auto& one : cases) {
    const std::string prompt = one["prompt"];
    auto tokens = tokenizer->encode(prompt, {.addSpecial = true, .parseSpecial = true});
    ASSERT_EQ(tokens, one["tokens"].get<std::vector<std::int32_t>>()) << prompt;
    const auto answer = one["answer"].get<std::vector<std::int32_t>>();
    const auto gaps = one["gaps"].get<std::vector<double>>();
    tokens.insert(tokens.end(), answer.begin(), answer.end() - 1);
    const runtime::Slice slice{tokens, 0, blocks, static_cast<std::int32_t>(answer.size())};
    ASSERT_TRUE(executable->run({std::span(&slice, 1)}));
    for (std::size_t i = 0; i < answer.size(); ++i) {
      if (gaps[i] <= kNearTie) continue;
      const auto logits = executable->logits(static_cast<std::int32_t>(i));
      const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
      EXPECT_EQ(best, answer[i]) << "token " << i << " after " << prompt << ", gap " << gaps[i];
      ++compared;
    }
  }
  EXPECT_GT(compared, 12 * 48 / 2);
}

INSTANTIATE_TEST_SUITE_P(Models, Greedy,
                         testing::Values(Model{"smollm2-135m-instruct-q4_1.gguf", "greedy_smollm2.json"},
                                         Model{"gemma-3-270m-q4_k_m.gguf", "greedy_gemma3.json"}),
                         [](const auto& test) { return test.index == 0 ? "SmolLM2" : "Gemma3"; });

}  // namespace
}  // namespace quern::engine
