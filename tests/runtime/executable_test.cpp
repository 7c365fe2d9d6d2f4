// What an executable promises beside exactness: kernels and cache types agree, limits are refused with a
// sentence, loads can be cancelled, and a real model says what it should.

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/cpu/kernels.h"
#include "tests/runtime/loaded_model.h"

namespace quern::engine::runtime {
namespace {

CompileOptions small() {
  CompileOptions options;
  options.kvTokens = 128;
  options.batchTokens = 64;
  options.logitRows = 16;
  options.threads = 2;
  return options;
}

double cosine(const Row& a, const Row& b) {
  double dot = 0;
  double aa = 0;
  double bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    dot += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  return dot / std::sqrt(aa * bb);
}

std::filesystem::path smolLm() {
  return std::filesystem::path(QUERN_TEST_DATA) / "smollm2-135m-instruct-q4_1.gguf";
}

std::string refusal(Executable& executable, const Slice& slice) {
  const auto ran = executable.run({std::span(&slice, 1)});
  if (ran) return "";
  EXPECT_EQ(ran.error().code(), base::ErrorCode::kInvalidArgument);
  return ran.error().message();
}

base::Result<std::unique_ptr<Executable>> compile(const CompileOptions& options,
                                                  const Progress& progress = {}) {
  const auto file = *gguf::File::open(tinyModel("llama"));
  return makeCpuBackend()->compile(file, *model::buildProgram(*file), options, progress);
}

TEST(Executable, KernelsOfEveryInstructionSetAgree) {
  if (!std::filesystem::exists(smolLm())) GTEST_SKIP() << smolLm() << " is not here";
  CompileOptions options = small();
  options.kernels = "generic";
  LoadedModel plain(smolLm(), options);
  const auto tokens = someTokens(12, plain.executable().vocabularySize());
  const auto expected = plain.run(tokens, 0, blocks(0, 4), 4);
  for (const char* name : {"avx2", "avxvnni", "avx512vnni"}) {
    if (kernels::cpu::selectKernels(name) == nullptr) continue;
    options.kernels = name;
    LoadedModel model(smolLm(), options);
    const auto rows = model.run(tokens, 0, blocks(0, 4), 4);
    ASSERT_EQ(rows.size(), expected.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      // Sums differ in their last bits, and then some activations round to the next int8.
      EXPECT_GT(cosine(rows[i], expected[i]), 0.999) << name;
    }
  }
}

TEST(Executable, CacheTypesAgreeToTheirPrecision) {
  if (!std::filesystem::exists(smolLm())) GTEST_SKIP() << smolLm() << " is not here";
  CompileOptions options = small();
  options.kvType = KvCacheType::kF32;
  LoadedModel exact(smolLm(), options);
  const auto tokens = someTokens(40, exact.executable().vocabularySize());
  const auto expected = exact.run(tokens, 0, blocks(0, 4), 1);
  const std::uint64_t full = exact.executable().memory().kvBytes;
  for (const auto& [type, least] :
       {std::pair(KvCacheType::kF16, 0.9999), std::pair(KvCacheType::kQ8_0, 0.995),
        std::pair(KvCacheType::kQ4_0, 0.9)}) {
    options.kvType = type;
    LoadedModel model(smolLm(), options);
    EXPECT_GT(cosine(model.run(tokens, 0, blocks(0, 4), 1).at(0), expected.at(0)), least);
    EXPECT_LT(model.executable().memory().kvBytes, full * 6 / 10);
  }
}

/// The first cases of the greedy comparison with llama.cpp, from token ids. Both sides round activations to
/// eight bits and are 0.12 (RMS) from the logits of float arithmetic with the same weights, so two likely
/// tokens may change places; where one leads by kClearLead, they must not.
constexpr double kClearLead = 0.6;
TEST(Executable, SmolLM2AnswersAsLlamaCppDoes) {
  if (!std::filesystem::exists(smolLm())) GTEST_SKIP() << smolLm() << " is not here";
  std::ifstream stream(std::string(QUERN_SOURCE_DIR) + "/tests/data/conformance/greedy_smollm2.json");
  const auto cases = nlohmann::json::parse(stream);
  CompileOptions options = small();
  options.kvTokens = 512;
  options.batchTokens = 512;
  options.logitRows = 64;
  LoadedModel model(smolLm(), options);
  int all = 0;
  int same = 0;
  int clear = 0;
  for (std::size_t c = 0; c < 4; ++c) {
    auto tokens = cases[c]["tokens"].get<std::vector<std::int32_t>>();
    const auto answer = cases[c]["answer"].get<std::vector<std::int32_t>>();
    const auto gaps = cases[c]["gaps"].get<std::vector<double>>();
    tokens.insert(tokens.end(), answer.begin(), answer.end() - 1);
    const auto rows = model.run(tokens, 0, blocks(0, 16), static_cast<std::int32_t>(answer.size()));
    ASSERT_EQ(rows.size(), answer.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto best = std::max_element(rows[i].begin(), rows[i].end()) - rows[i].begin();
      same += best == answer[i] ? 1 : 0;
      ++all;
      if (gaps[i] < kClearLead) continue;
      ++clear;
      EXPECT_EQ(best, answer[i]) << "case " << c << " token " << i << " lead " << gaps[i];
    }
  }
  EXPECT_GT(clear, 100);
  EXPECT_GE(same, all * 93 / 100);
}

TEST(Executable, RefusesWhatIsBeyondItsLimitsAndGoesOnAfterwards) {
  LoadedModel model(tinyModel("llama"), small());
  Executable& executable = model.executable();
  const auto table = blocks(0, 4);
  const auto tokens = someTokens(65, executable.vocabularySize());
  const std::span<const std::int32_t> all(tokens);
  EXPECT_NE(refusal(executable, {all, 0, table, 0}).find("65"), std::string::npos);
  EXPECT_NE(refusal(executable, {all.first(20), 0, table, 17}).find("17"), std::string::npos);
  EXPECT_NE(refusal(executable, {all.first(2), 0, table, 3}), "");
  EXPECT_NE(refusal(executable, {all.first(1), -1, table, 1}), "");
  EXPECT_NE(refusal(executable, {all.first(1), 32, std::span(table).first(1), 1}).find("33"),
            std::string::npos);
  const std::uint32_t outside[] = {4};
  EXPECT_NE(refusal(executable, {all.first(1), 0, outside, 1}), "");
  EXPECT_NE(refusal(executable, {all.first(1), INT32_MAX, table, 1}), "");
  const std::int32_t tooLarge[] = {executable.vocabularySize()};
  EXPECT_NE(refusal(executable, {tooLarge, 0, table, 1}), "");
  const std::int32_t negative[] = {-1};
  EXPECT_NE(refusal(executable, {negative, 0, table, 1}), "");
  EXPECT_FALSE(executable.run({}));
  EXPECT_EQ(model.run(all.first(3), 0, table, 1).size(), 1U);
}

TEST(Executable, RefusesASliceWithoutTokens) {
  LoadedModel model(tinyModel("llama"), small());
  const auto table = blocks(0, 4);
  const auto tokens = someTokens(2, model.executable().vocabularySize());
  const Slice slices[] = {{tokens, 0, table, 1}, {{}, 0, table, 0}};
  EXPECT_FALSE(model.executable().run({slices}));
}

TEST(Executable, WantsNoLogitsInTheMiddleOfAPrompt) {
  LoadedModel model(tinyModel("qwen2"), small());
  const auto tokens = someTokens(10, model.executable().vocabularySize());
  const auto table = blocks(0, 1);
  const auto whole = model.run(tokens, 0, table, 1);
  EXPECT_TRUE(model.run(std::span(tokens).first(9), 0, table, 0).empty());
  EXPECT_EQ(model.run(std::span(tokens).subspan(9), 9, table, 1), whole);
}

TEST(Executable, TellsItsSizes) {
  LoadedModel model(tinyModel("mistral"), small());
  const Executable& executable = model.executable();
  EXPECT_EQ(executable.kvBlocks(), 4);
  EXPECT_GT(executable.memory().weightBytes, 0U);
  EXPECT_GT(executable.memory().workBytes, 0U);
  EXPECT_GE(executable.bytesPerToken(0), executable.memory().weightBytes);
  EXPECT_GT(executable.bytesPerToken(4), executable.bytesPerToken(0));
  EXPECT_NE(executable.description().find("2 threads"), std::string::npos);
}

TEST(Backend, LoadsReportTheirProgressAndCanBeCancelled) {
  double last = -1;
  bool rises = true;
  ASSERT_TRUE(compile(small(), [&](double fraction) {
    rises = rises && fraction >= last && fraction <= 1.0;
    last = fraction;
    return true;
  }));
  EXPECT_TRUE(rises);
  EXPECT_EQ(last, 1.0);
  const auto cancelled = compile(small(), [](double) { return false; });
  ASSERT_FALSE(cancelled);
  EXPECT_EQ(cancelled.error().code(), base::ErrorCode::kCancelled);
}

TEST(Backend, NamesNeedAndFreeMemoryWhenTheModelDoesNotFit) {
  CompileOptions options = small();
  options.kvTokens = 1 << 28;
  const auto refused = compile(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), base::ErrorCode::kOutOfMemory);
  EXPECT_NE(refused.error().message().find("GiB"), std::string::npos) << refused.error().message();
  EXPECT_NE(refused.error().message().find("free"), std::string::npos);
}

TEST(Backend, RefusesOptionsThatMakeNoSense) {
  for (int field = 0; field < 6; ++field) {
    CompileOptions options = small();
    if (field == 0) options.kvTokens = 0;
    if (field == 1) options.batchTokens = 0;
    if (field == 2) options.logitRows = -1;
    if (field == 3) options.threads = -1;
    if (field == 4) options.kernels = "abacus";
    if (field == 5) options.kvTokens = INT32_MAX;
    EXPECT_FALSE(compile(options)) << field;
  }
}

}  // namespace
}  // namespace quern::engine::runtime
