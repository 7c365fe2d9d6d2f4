// What lies in the cache can be taken out and put back, in any executable of the same arithmetic; hidden
// states are those of the plain model and depend on nothing but the tokens before them.

#include <cmath>

#include "engine/model/program.h"
#include "kernels/cpu/kernels.h"
#include "tests/bench/synthetic/model.h"
#include "tests/runtime/loaded_model.h"
#include "tests/support/folder.h"

namespace quern::engine::runtime {
namespace {

constexpr std::int32_t kTokens = 80;
constexpr std::uint32_t kBlocks = 3;

CompileOptions sized(std::int32_t threads = 2) {
  CompileOptions options;
  options.kvTokens = 256;
  options.batchTokens = kTokens;
  options.logitRows = kTokens;
  options.hiddenRows = kTokens;
  options.threads = threads;
  return options;
}

std::vector<Row> hiddenRows(Executable& executable, std::int32_t count) {
  std::vector<Row> rows;
  for (std::int32_t i = 0; i < count; ++i) {
    const auto state = executable.hidden(i);
    rows.emplace_back(state.begin(), state.end());
  }
  return rows;
}

/// Hidden states of `tokens` from position `first` on.
std::vector<Row> hiddenOf(LoadedModel& model, std::span<const std::int32_t> tokens, std::int32_t first,
                          std::span<const std::uint32_t> table, std::int32_t rows, bool isPrompt = false) {
  const Slice slice{tokens, first, table, 0, isPrompt, rows};
  (void)model.run(std::span(&slice, 1));
  return hiddenRows(model.executable(), rows);
}

/// A model with 4-bit weights and heads of 64 elements, which every type of the cache can keep.
const std::filesystem::path& quantizedModel() {
  static const test::Folder folder;
  static const std::filesystem::path path = [] {
    const auto made = folder / "m.gguf";
    EXPECT_TRUE(bench::writeModel(made, bench::findPreset("tiny")->shape, bench::Mix::kQ4_0, 1));
    return made;
  }();
  return path;
}

using Blocks = testing::TestWithParam<KvCacheType>;

TEST_P(Blocks, GoOnInAnotherExecutableToTheLastBit) {
  CompileOptions options = sized();
  options.kvType = GetParam();
  LoadedModel first(quantizedModel(), options);
  LoadedModel second(quantizedModel(), options);
  Executable& from = first.executable();
  Executable& to = second.executable();
  ASSERT_EQ(from.numerics(), to.numerics());
  ASSERT_EQ(from.blockBytes(), to.blockBytes());
  const auto tokens = someTokens(kTokens, from.vocabularySize());
  const auto all = first.run(tokens, 0, blocks(0, kBlocks), kTokens);
  std::vector<std::byte> contents(from.blockBytes());
  const std::vector<std::uint32_t> elsewhere{6, 1, 4};
  for (std::uint32_t block = 0; block < 2; ++block) {
    from.readBlock(block, contents);
    to.writeBlock(elsewhere[block], contents);
    std::vector<std::byte> back(to.blockBytes());
    to.readBlock(elsewhere[block], back);
    EXPECT_EQ(back, contents);
  }
  const auto rest = second.run(std::span(tokens).subspan(64), 64, elsewhere, kTokens - 64);
  ASSERT_EQ(rest.size(), all.size() - 64);
  for (std::size_t i = 0; i < rest.size(); ++i) ASSERT_EQ(rest[i], all[64 + i]) << i;
}

TEST_P(Blocks, HoldEverythingThatTheNextTokensRead) {
  CompileOptions options = sized();
  options.kvType = GetParam();
  LoadedModel model(quantizedModel(), options);
  Executable& executable = model.executable();
  const auto tokens = someTokens(kTokens, executable.vocabularySize());
  const auto expected = model.run(tokens, 0, blocks(0, kBlocks), 1);
  std::vector<std::byte> contents(executable.blockBytes());
  executable.readBlock(1, contents);
  const std::vector<std::byte> rubbish(executable.blockBytes(), std::byte{0x35});
  executable.writeBlock(1, rubbish);
  EXPECT_NE(model.run(std::span(tokens).subspan(79), 79, blocks(0, kBlocks), 1), expected);
  // Block 3 is nobody's, and blocks 0 and 2 keep what they have.
  executable.writeBlock(3, rubbish);
  executable.writeBlock(1, contents);
  EXPECT_EQ(model.run(std::span(tokens).subspan(79), 79, blocks(0, kBlocks), 1), expected);
}

INSTANTIATE_TEST_SUITE_P(Types, Blocks,
                         testing::Values(KvCacheType::kF32, KvCacheType::kF16, KvCacheType::kQ8_0,
                                         KvCacheType::kQ4_0));

TEST(Hidden, IsTheFinalNormOfTheResidualStream) {
  // The norm's weights of a tiny model are all known: rms(hidden / weight) is 1.
  LoadedModel model(tinyModel("llama"), sized());
  const auto file = *gguf::File::open(tinyModel("llama"));
  const gguf::Tensor* norm = file->tensor("output_norm.weight");
  ASSERT_NE(norm, nullptr);
  const auto* weight = reinterpret_cast<const float*>(norm->data.data());
  const auto tokens = someTokens(9, model.executable().vocabularySize());
  const auto width = static_cast<std::size_t>(model.executable().hiddenWidth());
  ASSERT_EQ(norm->elements(), width);
  const auto rows = hiddenOf(model, tokens, 0, blocks(0, 1), 9);
  ASSERT_EQ(rows.size(), 9U);
  for (const Row& row : rows) {
    ASSERT_EQ(row.size(), width);
    double squares = 0;
    for (std::size_t i = 0; i < width; ++i) squares += std::pow(static_cast<double>(row[i]) / weight[i], 2);
    EXPECT_NEAR(squares / static_cast<double>(width), 1.0, 1e-3);
  }
  EXPECT_NE(rows[0], rows[1]);
}

/// Where embeddings and output matrix are one, a token's logits are hidden · embedding.
TEST(Hidden, GivesTheLogitsWhenItIsMultipliedWithTheOutputMatrix) {
  LoadedModel model(tinyModel("llama"), sized());
  const auto file = *gguf::File::open(tinyModel("llama"));
  const gguf::Tensor* output = file->tensor("output.weight");
  if (output == nullptr) output = file->tensor("token_embd.weight");
  ASSERT_NE(output, nullptr);
  ASSERT_EQ(output->type, kernels::DType::kF32);
  const auto* weights = reinterpret_cast<const float*>(output->data.data());
  const auto tokens = someTokens(5, model.executable().vocabularySize());
  const auto width = static_cast<std::size_t>(model.executable().hiddenWidth());
  const auto table = blocks(0, 1);
  const Slice slice{tokens, 0, table, 2, false, 3};
  const auto logits = model.run(std::span(&slice, 1));
  const auto states = hiddenRows(model.executable(), 3);
  for (std::size_t row = 0; row < 2; ++row) {
    for (std::size_t token = 0; token < logits[row].size(); ++token) {
      double sum = 0;
      for (std::size_t i = 0; i < width; ++i) {
        sum += static_cast<double>(states[row + 1][i]) * weights[token * width + i];
      }
      ASSERT_NEAR(logits[row][token], sum, 1e-4) << row << " " << token;
    }
  }
}

TEST(Hidden, DependsOnNeitherBatchNorThreadsNorLogits) {
  LoadedModel model(tinyModel("gemma3"), sized());
  const auto tokens = someTokens(kTokens, model.executable().vocabularySize());
  const auto other = someTokens(30, model.executable().vocabularySize(), 7);
  const std::span<const std::int32_t> all(tokens);
  const auto mine = blocks(0, kBlocks);
  const auto theirs = blocks(4, 1);
  const auto expected = hiddenOf(model, tokens, 0, mine, kTokens);
  for (const std::int32_t threads : {1, 3}) {
    LoadedModel narrow(tinyModel("gemma3"), sized(threads));
    for (std::int32_t at = 0; at < kTokens; ++at) {
      const auto row = hiddenOf(narrow, all.subspan(static_cast<std::size_t>(at), 1), at, mine, 1);
      ASSERT_EQ(row.at(0), expected.at(static_cast<std::size_t>(at))) << at;
    }
  }
  // Beside another sequence that wants logits only: order of the slices, and not the other's rows.
  LoadedModel busy(tinyModel("gemma3"), sized());
  const Slice slices[] = {{std::span(other).first(20), 0, theirs, 3, true, 0},
                          {all.first(40), 0, mine, 2, false, 40},
                          {std::span(other).subspan(20), 20, theirs, 0, true, 1}};
  (void)busy.run(slices);
  const auto rows = hiddenRows(busy.executable(), 41);
  for (std::size_t i = 0; i < 40; ++i) ASSERT_EQ(rows[i], expected[i]) << i;
  EXPECT_NE(rows[40], expected[39]);
}

TEST(Hidden, IsRefusedBeyondWhatTheModelWasLoadedFor) {
  CompileOptions options = sized();
  options.hiddenRows = 2;
  LoadedModel model(tinyModel("llama"), options);
  const auto tokens = someTokens(5, model.executable().vocabularySize());
  const auto table = blocks(0, 1);
  for (const std::int32_t rows : {-1, 3, 6}) {
    const Slice slice{tokens, 0, table, 0, false, rows};
    const auto ran = model.executable().run({std::span(&slice, 1)});
    ASSERT_FALSE(ran) << rows;
    EXPECT_EQ(ran.error().code(), base::ErrorCode::kInvalidArgument);
  }
  EXPECT_EQ(hiddenOf(model, tokens, 0, table, 2).size(), 2U);
}

TEST(Hidden, TakesMemoryOnlyWhereItIsWanted) {
  CompileOptions options = sized();
  LoadedModel embeds(tinyModel("llama"), options);
  options.hiddenRows = 0;
  LoadedModel answers(tinyModel("llama"), options);
  const auto width = static_cast<std::uint64_t>(answers.executable().hiddenWidth());
  EXPECT_EQ(embeds.executable().memory().workBytes - answers.executable().memory().workBytes,
            kTokens * width * sizeof(float));
}

TEST(PromptsAreDecodes, IsTrueExactlyWhereBothGiveTheSameBits) {
  for (const char* name : {"generic", "avx2", "avxvnni", "avx512vnni"}) {
    if (kernels::cpu::selectKernels(name) == nullptr) continue;
    CompileOptions options = sized();
    options.kernels = name;
    LoadedModel model(quantizedModel(), options);
    const auto tokens = someTokens(40, model.executable().vocabularySize());
    const auto decoded = model.run(tokens, 0, blocks(0, 2), 40, false);
    const auto prompt = model.run(tokens, 0, blocks(2, 2), 40, true);
    EXPECT_EQ(decoded == prompt, model.executable().promptsAreDecodes()) << name;
    EXPECT_NE(model.executable().numerics().find(name), std::string::npos);
  }
}

TEST(PromptsAreDecodes, IsTrueForWeightsThatAreNotRounded) {
  LoadedModel model(tinyModel("llama"), sized());
  EXPECT_TRUE(model.executable().promptsAreDecodes());
  const auto tokens = someTokens(40, model.executable().vocabularySize());
  EXPECT_EQ(model.run(tokens, 0, blocks(0, 2), 40, false), model.run(tokens, 0, blocks(2, 2), 40, true));
}

/// A longer context may choose other rotations for the same tokens.
TEST(Numerics, ChangeWithTheFactorsOfLongRope) {
  CompileOptions options = sized();
  options.contextTokens = 1;
  LoadedModel shortOne(tinyModel("phi3-longrope-long"), options);
  options.contextTokens = 4096;
  LoadedModel longOne(tinyModel("phi3-longrope-long"), options);
  EXPECT_NE(shortOne.executable().numerics(), longOne.executable().numerics());
}

}  // namespace
}  // namespace quern::engine::runtime
