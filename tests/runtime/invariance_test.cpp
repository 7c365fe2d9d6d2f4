// A token's result depends on the tokens before it in its sequence and on nothing else: not on the batch, the
// chunks, the threads or the cache blocks. All comparisons here are exact.

#include "tests/runtime/loaded_model.h"

namespace quern::engine::runtime {
namespace {

/// Several shares of attention in a prompt, and long enough for decoding to be shared out along the sequence.
constexpr std::int32_t kTokens = 600;
/// Cache blocks that they take.
constexpr std::uint32_t kBlocks = 19;

CompileOptions sized(std::int32_t threads = 2) {
  CompileOptions options;
  options.kvTokens = 2048;
  options.batchTokens = kTokens;
  options.logitRows = kTokens;
  options.threads = threads;
  return options;
}

std::span<const std::int32_t> part(const std::vector<std::int32_t>& tokens, std::size_t at,
                                   std::size_t count) {
  return std::span<const std::int32_t>(tokens).subspan(at, count);
}

class Invariance : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    LoadedModel model = load();
    vocabulary_ = model.executable().vocabularySize();
    tokens_ = someTokens(kTokens, vocabulary_);
    expected_ = model.inChunks(tokens_, 1, blocks(0, kBlocks));
  }
  LoadedModel load(std::int32_t threads = 2) const { return {tinyModel(GetParam()), sized(threads)}; }

  std::int32_t vocabulary_ = 0;
  std::vector<std::int32_t> tokens_;
  std::vector<Row> expected_;  ///< token by token
};

TEST_P(Invariance, ChunksOfAPromptGiveWhatTokenByTokenGives) {
  LoadedModel model = load();
  for (const std::size_t chunk : {2U, 3U, 7U, 31U, 64U, 200U, 600U}) {
    const auto rows = model.inChunks(tokens_, chunk, blocks(kBlocks, kBlocks));
    ASSERT_EQ(rows.size(), expected_.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ASSERT_EQ(rows[i], expected_[i]) << "chunk " << chunk << " token " << i;
    }
  }
}

TEST_P(Invariance, ThreadsChangeNothing) {
  for (const std::int32_t threads : {1, 3, 5}) {
    LoadedModel model = load(threads);
    EXPECT_EQ(model.executable().threads(), threads);
    EXPECT_EQ(model.inChunks(tokens_, 50, blocks(0, kBlocks)), expected_) << threads << " threads";
    for (const std::int32_t at : {599, 400, 130}) {
      const auto rows = model.run(part(tokens_, static_cast<std::size_t>(at), 1), at, blocks(0, kBlocks), 1);
      EXPECT_EQ(rows.at(0), expected_.at(static_cast<std::size_t>(at))) << threads << " threads";
    }
  }
}

TEST_P(Invariance, NeighboursInTheBatchChangeNothing) {
  LoadedModel model = load();
  const auto other = someTokens(kTokens, vocabulary_, 99);
  // Blocks in no order, so that a block is not taken for its number.
  std::vector<std::uint32_t> mine;
  std::vector<std::uint32_t> theirs;
  for (std::uint32_t b = 0; b < kBlocks; ++b) {
    mine.push_back(b * 17 % 40);
    theirs.push_back((b + 20) * 17 % 40);
  }
  // The other's prompt goes in pieces beside my decoding.
  (void)model.run(part(tokens_, 0, 20), 0, mine, 0);
  for (std::size_t i = 20; i < 40; ++i) {
    const auto at = static_cast<std::int32_t>(i);
    const Slice slices[] = {{part(tokens_, i, 1), at, mine, 1},
                            {part(other, (i - 20) * 5, 5), (at - 20) * 5, theirs, 0}};
    ASSERT_EQ(model.run(slices), std::vector<Row>{expected_[i]}) << i;
  }
  // Both decode together; what the other computes is right as well.
  LoadedModel alone = load();
  const auto otherExpected = alone.inChunks(other, 64, blocks(0, kBlocks));
  (void)model.run(part(tokens_, 40, 460), 40, mine, 0);
  (void)model.run(part(other, 100, 400), 100, theirs, 0);
  for (std::size_t i = 500; i < 530; ++i) {
    const auto at = static_cast<std::int32_t>(i);
    const Slice slices[] = {{part(other, i, 1), at, theirs, 1}, {part(tokens_, i, 1), at, mine, 1}};
    const auto rows = model.run(slices);
    ASSERT_EQ(rows.size(), 2U);
    ASSERT_EQ(rows[0], otherExpected[i]) << i;
    ASSERT_EQ(rows[1], expected_[i]) << i;
  }
}

/// A few tokens far into a sequence, which are shared out along it as well.
TEST_P(Invariance, AFewTokensLateGiveTheSame) {
  LoadedModel model = load(5);
  (void)model.run(part(tokens_, 0, 590), 0, blocks(0, kBlocks), 0);
  const auto rows = model.run(part(tokens_, 590, 10), 590, blocks(0, kBlocks), 10);
  ASSERT_EQ(rows.size(), 10U);
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(rows[i], expected_[590 + i]) << i;
}

TEST_P(Invariance, CopiedBlocksContinueASequence) {
  LoadedModel model = load();
  (void)model.run(part(tokens_, 0, 40), 0, blocks(0, 2), 0);
  model.executable().copyBlock(0, 20);
  model.executable().copyBlock(1, 21);
  // The original goes another way; the copy must not see it.
  (void)model.run(someTokens(24, vocabulary_, 5), 40, blocks(0, 2), 0);
  const auto rows = model.run(part(tokens_, 40, 24), 40, blocks(20, 2), 24);
  ASSERT_EQ(rows.size(), 24U);
  for (std::size_t i = 0; i < rows.size(); ++i) ASSERT_EQ(rows[i], expected_[40 + i]);
}

/// Plain attention, biases, norms on heads, soft caps and windows; experts, alone and shared, and sinks.
INSTANTIATE_TEST_SUITE_P(Families, Invariance,
                         testing::Values("llama", "llama-tied-bias", "qwen3", "gemma2", "gemma3",
                                         "phi3-window", "mixtral", "qwen2moe", "gpt-oss"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

/// The same with caches of other types, on a tiny model with heads of whole vectors.
TEST(InvarianceOfCaches, ChunksAndThreadsChangeNothing) {
  CompileOptions options = sized(3);
  options.kvType = KvCacheType::kF32;
  LoadedModel model(tinyModel("qwen3"), options);
  const auto tokens = someTokens(kTokens, model.executable().vocabularySize());
  const auto expected = model.inChunks(tokens, 1, blocks(0, kBlocks));
  EXPECT_EQ(model.inChunks(tokens, 600, blocks(kBlocks, kBlocks)), expected);
  EXPECT_EQ(model.inChunks(tokens, 41, blocks(0, kBlocks)), expected);
  options.threads = 1;
  LoadedModel single(tinyModel("qwen3"), options);
  EXPECT_EQ(single.inChunks(tokens, 77, blocks(0, kBlocks)), expected);
}

/// The same for int8 activations and packed 4-bit weights, and for a cache of int8.
TEST(InvarianceOfSmolLM2, ChunksAndThreadsChangeNothing) {
  const auto path = std::filesystem::path(QUERN_TEST_DATA) / "smollm2-135m-instruct-q4_1.gguf";
  if (!std::filesystem::exists(path)) {
    GTEST_SKIP() << path << " is not here: run packaging/fetch-test-data.sh";
  }
  struct Way {
    KvCacheType type;
    bool isPrompt;
  };
  for (const auto& [type, isPrompt] : {Way{KvCacheType::kF16, false}, Way{KvCacheType::kF16, true},
                                       Way{KvCacheType::kQ8_0, false}, Way{KvCacheType::kQ4_0, false}}) {
    CompileOptions options = sized();
    options.kvType = type;
    options.logitRows = 1;
    LoadedModel model(path, options);
    // Beyond the first chunk of attention, so that decoding is shared out along the sequence.
    const auto tokens = someTokens(280, model.executable().vocabularySize());
    const auto last = [&, isPrompt = isPrompt](LoadedModel& of, std::size_t chunk, std::size_t chunkFromEnd) {
      Row row;
      for (std::size_t at = 0; at < tokens.size();) {
        const std::size_t count = std::min(at < 250 ? chunk : chunkFromEnd, tokens.size() - at);
        const auto position = static_cast<std::int32_t>(at);
        row = of.run(part(tokens, at, count), position, blocks(0, kBlocks), 1, isPrompt).at(0);
        at += count;
      }
      return row;
    };
    const Row expected = last(model, 9, 1);
    EXPECT_EQ(last(model, 280, 280), expected);
    EXPECT_EQ(last(model, 73, 5), expected);
    options.threads = 1;
    LoadedModel single(path, options);
    EXPECT_EQ(last(single, 140, 1), expected);
  }
}

/// A prompt beside sequences that decode: both get what they get alone.
TEST(InvarianceOfSmolLM2, PromptsAndDecodesInOneBatchChangeNothing) {
  const auto path = std::filesystem::path(QUERN_TEST_DATA) / "smollm2-135m-instruct-q4_1.gguf";
  if (!std::filesystem::exists(path)) {
    GTEST_SKIP() << path << " is not here: run packaging/fetch-test-data.sh";
  }
  CompileOptions options = sized();
  options.logitRows = 4;
  LoadedModel model(path, options);
  const std::int32_t vocabulary = model.executable().vocabularySize();
  const auto mine = someTokens(60, vocabulary);
  const auto other = someTokens(60, vocabulary, 7);
  const auto myBlocks = blocks(0, 4);
  const auto otherBlocks = blocks(4, 4);
  // Alone: a prompt of 50 tokens, then ten decoded.
  const auto run = [&](const std::vector<std::int32_t>& tokens, const auto& table) {
    std::vector<Row> rows = model.run(part(tokens, 0, 50), 0, table, 1, true);
    for (std::size_t i = 50; i < 60; ++i) {
      rows.push_back(model.run(part(tokens, i, 1), static_cast<std::int32_t>(i), table, 1).at(0));
    }
    return rows;
  };
  const auto expected = run(mine, myBlocks);
  const auto otherExpected = run(other, otherBlocks);
  // Together: the other's prompt comes in fives between two halves of a batch while mine decodes.
  ASSERT_EQ(model.run(part(mine, 0, 50), 0, myBlocks, 1, true).at(0), expected[0]);
  for (std::size_t i = 0; i < 10; ++i) {
    const auto at = static_cast<std::int32_t>(i);
    const Slice slices[] = {{part(other, i * 5, 2), at * 5, otherBlocks, 0, true},
                            {part(mine, 50 + i, 1), 50 + at, myBlocks, 1, false},
                            {part(other, i * 5 + 2, 3), at * 5 + 2, otherBlocks, 1, true}};
    const auto rows = model.run(slices);
    ASSERT_EQ(rows.size(), 2U);
    ASSERT_EQ(rows[0], expected[i + 1]) << i;
    if (i == 9) {
      ASSERT_EQ(rows[1], otherExpected[0]);
    }
  }
}

}  // namespace
}  // namespace quern::engine::runtime
