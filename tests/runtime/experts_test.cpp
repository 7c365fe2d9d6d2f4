// Mixtures of experts: prompts with packed weights give the same however they are cut and whoever is beside
// them, and what was read is counted.

#include "tests/runtime/loaded_model.h"

namespace quern::engine::runtime {
namespace {

CompileOptions sized(std::int32_t threads = 2) {
  CompileOptions options;
  options.kvTokens = 1024;
  options.batchTokens = 256;
  options.logitRows = 256;
  options.threads = threads;
  return options;
}

std::span<const std::int32_t> part(const std::vector<std::int32_t>& tokens, std::size_t at,
                                   std::size_t count) {
  return std::span<const std::int32_t>(tokens).subspan(at, count);
}

/// All rows of a prompt, a chunk at a time.
std::vector<Row> prompted(LoadedModel& model, const std::vector<std::int32_t>& tokens, std::size_t chunk) {
  std::vector<Row> all;
  for (std::size_t at = 0; at < tokens.size(); at += chunk) {
    const std::size_t count = std::min(chunk, tokens.size() - at);
    for (Row& row : model.run(part(tokens, at, count), static_cast<std::int32_t>(at), blocks(0, 8),
                              static_cast<std::int32_t>(count), true)) {
      all.push_back(std::move(row));
    }
  }
  return all;
}

TEST(MixtureOfExperts, CutsAndThreadsOfAPromptChangeNothing) {
  LoadedModel model(tinyModel("gpt-oss-mxfp4"), sized());
  const auto tokens = someTokens(240, model.executable().vocabularySize());
  const auto expected = prompted(model, tokens, 240);
  ASSERT_EQ(expected.size(), tokens.size());
  for (const std::size_t chunk : {1U, 2U, 5U, 12U, 31U, 100U}) {
    EXPECT_EQ(prompted(model, tokens, chunk), expected) << chunk;
  }
  for (const std::int32_t threads : {1, 3, 7}) {
    LoadedModel other(tinyModel("gpt-oss-mxfp4"), sized(threads));
    EXPECT_EQ(prompted(other, tokens, 90), expected) << threads;
  }
}

TEST(MixtureOfExperts, PromptsAndDecodesBesideEachOtherChangeNothing) {
  for (const char* name : {"gpt-oss-mxfp4", "qwen2moe"}) {
    LoadedModel model(tinyModel(name), sized(3));
    const std::int32_t vocabulary = model.executable().vocabularySize();
    const auto mine = someTokens(60, vocabulary);
    const auto other = someTokens(60, vocabulary, 7);
    const auto expected = model.inChunks(mine, 1, blocks(0, 2));
    const auto otherExpected = prompted(model, other, 60);
    const auto myBlocks = blocks(8, 2);
    const auto otherBlocks = blocks(10, 2);
    for (std::size_t i = 0; i < 10; ++i) {
      const auto at = static_cast<std::int32_t>(i);
      const Slice slices[] = {{part(other, i * 6, 2), at * 6, otherBlocks, 2, true},
                              {part(mine, i, 1), at, myBlocks, 1, false},
                              {part(other, i * 6 + 2, 4), at * 6 + 2, otherBlocks, 4, true}};
      const auto rows = model.run(slices);
      ASSERT_EQ(rows.size(), 7U);
      EXPECT_EQ(rows[2], expected[i]) << name << " " << i;
      EXPECT_EQ(rows[0], otherExpected[i * 6]) << name << " " << i;
      EXPECT_EQ(rows[6], otherExpected[i * 6 + 5]) << name << " " << i;
    }
  }
}

/// Four experts, two for a token: one token reads two of them, many tokens all.
TEST(MixtureOfExperts, OnlyTheChosenAreReadAndCounted) {
  LoadedModel model(tinyModel("mixtral"), sized());
  Executable& executable = model.executable();
  const auto tokens = someTokens(64, executable.vocabularySize());
  (void)model.run(part(tokens, 0, 1), 0, blocks(0, 1), 1);
  EXPECT_EQ(executable.bytesOfLastRun(), executable.bytesPerToken(0));
  // 2 layers × 2 of 4 experts × 3 matrices of 32 × 48 floats
  const std::uint64_t idle = 2ULL * 2 * 3 * 32 * 48 * sizeof(float);
  EXPECT_LT(executable.bytesPerToken(0), executable.memory().weightBytes);
  (void)model.run(part(tokens, 0, 64), 0, blocks(0, 2), 1);
  EXPECT_EQ(executable.bytesOfLastRun(), executable.bytesPerToken(0) + idle);
  // The same token again and again has the same experts.
  const std::vector<std::int32_t> same(3, tokens[0]);
  const std::vector<std::vector<std::uint32_t>> tables = {blocks(4, 1), blocks(5, 1), blocks(6, 1)};
  std::vector<Slice> slices;
  for (std::size_t i = 0; i < 3; ++i) slices.push_back({part(same, i, 1), 0, tables[i], 1});
  (void)model.run(slices);
  EXPECT_EQ(executable.bytesOfLastRun(), executable.bytesPerToken(0));
}

}  // namespace
}  // namespace quern::engine::runtime
