// LoRA adapters at run time: the model with an adapter is the model that the adapter was merged into, and a
// token's logits hang on its own sequence's adapters and on nobody else's, to the last bit.

#include <cmath>

#include "tests/bench/synthetic/model.h"
#include "tests/runtime/loaded_model.h"
#include "tests/support/crafted_adapter.h"
#include "tests/support/folder.h"

namespace quern::engine::runtime {
namespace {

using test::adapterOfAll;
using test::CraftedAdapter;
using test::writeMerged;

constexpr std::int32_t kTokens = 24;

struct Difference {
  double leastCosine = 1;
  double mostError = 0;
};

Difference between(const std::vector<Row>& ours, const std::vector<Row>& theirs) {
  Difference found;
  EXPECT_EQ(ours.size(), theirs.size());
  for (std::size_t row = 0; row < std::min(ours.size(), theirs.size()); ++row) {
    double dot = 0;
    double a = 0;
    double b = 0;
    double off = 0;
    for (std::size_t i = 0; i < ours[row].size(); ++i) {
      const double x = ours[row][i];
      const double y = theirs[row][i];
      dot += x * y;
      a += x * x;
      b += y * y;
      off += (x - y) * (x - y);
    }
    found.leastCosine = std::min(found.leastCosine, dot / std::sqrt(a * b));
    found.mostError = std::max(found.mostError, std::sqrt(off / b));
  }
  return found;
}

/// A model and adapters for it, and ways to run them.
class Adapted {
 public:
  Adapted(const std::filesystem::path& path, const CompileOptions& options) : model_(path, options) {}

  const Adapter* load(const CraftedAdapter& crafted, const std::string& name) {
    crafted.write(folder_ / name);
    const auto file = *gguf::File::open(folder_ / name);
    auto made = model_.executable().compileAdapter(*file);
    EXPECT_TRUE(made) << made.error().describe();
    if (!made) return nullptr;
    adapters_.push_back(*made);
    const auto room = model_.executable().makeRoomFor(*adapters_.back());
    EXPECT_TRUE(room) << room.error().describe();
    return adapters_.back().get();
  }
  /// What comes out for every token: logits, or an encoder's hidden states.
  std::vector<Row> rows(std::span<const std::int32_t> tokens, std::span<const AdapterUse> uses,
                        std::size_t chunk, bool isPrompt = false, std::uint32_t firstBlock = 0) {
    std::vector<Row> all;
    const auto table = blocks(firstBlock, static_cast<std::uint32_t>(tokens.size()) / kKvBlockTokens + 1);
    const bool isEncoder = model_.executable().readsWholeTexts();
    for (std::size_t at = 0; at < tokens.size(); at += chunk) {
      Slice slice{tokens.subspan(at, std::min(chunk, tokens.size() - at)), static_cast<std::int32_t>(at),
                  table};
      const auto count = static_cast<std::int32_t>(slice.tokens.size());
      (isEncoder ? slice.hiddenRows : slice.logitRows) = count;
      slice.isPrompt = isPrompt;
      slice.adapters = uses;
      for (Row& row : run(std::span(&slice, 1))) all.push_back(std::move(row));
    }
    return all;
  }
  std::vector<Row> run(std::span<const Slice> slices) {
    if (!model_.executable().readsWholeTexts()) return model_.run(slices);
    EXPECT_TRUE(model_.executable().run({slices}));
    std::vector<Row> all;
    for (std::int32_t i = 0; i < slices[0].hiddenRows; ++i) {
      const auto hidden = model_.executable().hidden(i);
      all.emplace_back(hidden.begin(), hidden.end());
    }
    return all;
  }
  Executable& executable() { return model_.executable(); }

 private:
  test::Folder folder_;
  std::vector<std::shared_ptr<const Adapter>> adapters_;
  LoadedModel model_;
};

CompileOptions small(const char* kernels = "") {
  CompileOptions options;
  options.kvTokens = 256;
  options.kvType = KvCacheType::kF32;
  options.contextTokens = 32;
  options.threads = 2;
  options.hiddenRows = kTokens;
  options.kernels = kernels;
  return options;
}

class MergedAdapters : public testing::TestWithParam<std::string> {};

TEST_P(MergedAdapters, GiveWhatTheAdaptersGiveWhileTheModelRuns) {
  const auto file = *gguf::File::open(tinyModel(GetParam()));
  const auto program = *model::buildProgram(*file);
  const CraftedAdapter first = adapterOfAll(*file, program, 3, 1);
  CraftedAdapter second = adapterOfAll(*file, program, 19, 2, 0.15);
  second.alpha.reset();
  test::Folder folder;
  const auto tokens = someTokens(kTokens, program.vocabulary);
  for (const char* kernels : {"generic", ""}) {
    Adapted model(tinyModel(GetParam()), small(kernels));
    const Adapter* one = model.load(first, "one.gguf");
    const Adapter* two = model.load(second, "two.gguf");
    ASSERT_TRUE(one != nullptr && two != nullptr);
    const std::size_t chunk = program.isCausal ? 1 : kTokens;
    const auto plain = model.rows(tokens, {}, kTokens);

    writeMerged(*file, {{&first, 0.7}}, folder / "merged.gguf");
    Adapted merged(folder / "merged.gguf", small(kernels));
    const AdapterUse alone[] = {{one, 0.7F}};
    const auto expected = merged.rows(tokens, {}, kTokens);
    for (const auto& rows : {model.rows(tokens, alone, kTokens), model.rows(tokens, alone, chunk),
                             model.rows(tokens, alone, kTokens, true)}) {
      const Difference found = between(rows, expected);
      EXPECT_GE(found.leastCosine, 0.99999);
      EXPECT_LE(found.mostError, 1e-3);
    }
    EXPECT_LT(between(plain, expected).leastCosine, 0.99) << "the adapter hardly changes anything";

    writeMerged(*file, {{&first, 0.7}, {&second, -0.4}}, folder / "both.gguf");
    Adapted both(folder / "both.gguf", small(kernels));
    const AdapterUse together[] = {{one, 0.7F}, {two, -0.4F}};
    const Difference found = between(model.rows(tokens, together, chunk), both.rows(tokens, {}, kTokens));
    EXPECT_GE(found.leastCosine, 0.99999);
    EXPECT_LE(found.mostError, 1e-3);
    EXPECT_EQ(model.rows(tokens, {}, kTokens), plain) << "what has no adapter is as it was";
  }
}

/// Separate and fused matrices, biases, factors in front of outputs, tied heads, norms behind blocks, blocks
/// beside each other, routers and shared experts, latent attention, encoders.
INSTANTIATE_TEST_SUITE_P(Families, MergedAdapters,
                         testing::Values("llama", "llama-tied-bias", "qwen3", "gemma2", "gemma3", "phi3",
                                         "phi2", "olmo2", "granite", "glm4", "starcoder2", "command-r",
                                         "gptneox", "stablelm", "mixtral", "qwen2moe", "granitemoe-shared",
                                         "gpt-oss", "deepseek2", "deepseek2-lite", "bert", "nomic-bert"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

/// A model of 4-bit weights, whose prompts go through kernels of their own, wide enough for several shares.
class AdaptersInABatch : public testing::Test {
 protected:
  static constexpr std::int32_t kLength = 70;

  void SetUp() override {
    const bench::Shape shape{.layers = 2,
                             .width = 128,
                             .hidden = 256,
                             .heads = 4,
                             .kvHeads = 2,
                             .headDim = 32,
                             .vocabulary = 1000,
                             .context = 256};
    const auto written = bench::writeModel(path_, shape, bench::Mix::kQ4_0, 7);
    ASSERT_TRUE(written) << written.error().describe();
    const auto file = *gguf::File::open(path_);
    const auto program = *model::buildProgram(*file);
    vocabulary_ = program.vocabulary;
    first_ = adapterOfAll(*file, program, 4, 3);
    second_ = adapterOfAll(*file, program, 17, 4, 0.15);
    // Nothing of the second layer, and one of three that share an input.
    std::erase_if(second_.matrices, [](const auto& one) {
      return one.first.starts_with("blk.1.") || one.first.ends_with("attn_q.weight");
    });
  }
  std::unique_ptr<Adapted> load(std::int32_t threads) {
    CompileOptions options;
    options.kvTokens = 1024;
    options.batchTokens = 4 * kLength;
    options.logitRows = 4 * kLength;
    options.threads = threads;
    auto model = std::make_unique<Adapted>(path_, options);
    one_ = {model->load(first_, "one.gguf"), 0.8F};
    two_ = {model->load(second_, "two.gguf"), -1.5F};
    return model;
  }

  test::Folder folder_;
  const std::filesystem::path path_ = folder_ / "model.gguf";
  std::int32_t vocabulary_ = 0;
  CraftedAdapter first_, second_;
  AdapterUse one_, two_;
};

TEST_F(AdaptersInABatch, ChangeNothingOfEachOther) {
  auto model = load(2);
  const std::vector<std::vector<AdapterUse>> sets = {{one_}, {}, {two_, one_}, {two_}};
  std::vector<std::vector<std::int32_t>> tokens;
  std::vector<std::vector<Row>> prompts;
  std::vector<std::vector<Row>> decodes;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    tokens.push_back(someTokens(kLength, vocabulary_, static_cast<std::uint32_t>(i) + 1));
    prompts.push_back(model->rows(tokens[i], sets[i], kLength, true));
    decodes.push_back(model->rows(tokens[i], sets[i], 1));
    EXPECT_NE(prompts[i], model->rows(tokens[i], sets[(i + 1) % sets.size()], kLength, true)) << i;
  }
  EXPECT_NE(model->rows(tokens[2], std::vector<AdapterUse>{one_, one_}, kLength, true), prompts[2]);

  // All prompts in one batch, then all decodes of the same tokens, a row of each.
  std::vector<std::vector<std::uint32_t>> tables;
  std::vector<Slice> slices;
  for (std::size_t i = 0; i < sets.size(); ++i)
    tables.push_back(blocks(static_cast<std::uint32_t>(3 * i), 3));
  for (std::size_t i = 0; i < sets.size(); ++i) {
    slices.push_back({tokens[i], 0, tables[i], kLength, true, 0, sets[i]});
  }
  std::vector<Row> expected;
  for (const auto& rows : prompts) expected.insert(expected.end(), rows.begin(), rows.end());
  EXPECT_EQ(model->run(slices), expected);
  for (std::size_t t = 0; t < static_cast<std::size_t>(kLength); ++t) {
    slices.clear();
    expected.clear();
    for (std::size_t i = 0; i < sets.size(); ++i) {
      slices.push_back({std::span(tokens[i]).subspan(t, 1), static_cast<std::int32_t>(t), tables[i], 1, false,
                        0, sets[i]});
      expected.push_back(decodes[i][t]);
    }
    ASSERT_EQ(model->run(slices), expected) << "token " << t;
  }
  // Prompts and decodes beside each other.
  slices = {{std::span(tokens[0]).subspan(69, 1), 69, tables[0], 1, false, 0, sets[0]},
            {tokens[2], 0, tables[2], 1, true, 0, sets[2]},
            {std::span(tokens[1]).subspan(69, 1), 69, tables[1], 1, false, 0, sets[1]}};
  EXPECT_EQ(model->run(slices), (std::vector<Row>{decodes[0][69], prompts[2][69], decodes[1][69]}));
}

TEST_F(AdaptersInABatch, GiveTheSameHoweverAPromptIsCutAndForAnyThreads) {
  std::vector<Row> prompt;
  std::vector<Row> decode;
  for (const std::int32_t threads : {2, 1, 3, 5}) {
    auto model = load(threads);
    const AdapterUse uses[] = {one_, two_};
    const auto tokens = someTokens(kLength, vocabulary_);
    if (prompt.empty()) {
      prompt = model->rows(tokens, uses, kLength, true);
      decode = model->rows(tokens, uses, kLength);
    }
    for (const std::size_t chunk : {1U, 3U, 4U, 5U, 31U, 70U}) {
      EXPECT_EQ(model->rows(tokens, uses, chunk, true), prompt) << threads << " threads, chunks of " << chunk;
      EXPECT_EQ(model->rows(tokens, uses, chunk), decode) << threads << " threads, chunks of " << chunk;
    }
  }
}

TEST_F(AdaptersInABatch, OfHalfTheBitsGiveWhatTheSameNumbersGiveInFloats) {
  auto model = load(2);
  CraftedAdapter floats = first_;
  floats.round();
  CraftedAdapter halves = floats;
  halves.isHalf = true;
  const AdapterUse wide[] = {{model->load(floats, "floats.gguf"), 1.0F}};
  const AdapterUse narrow[] = {{model->load(halves, "halves.gguf"), 1.0F}};
  EXPECT_LT(narrow[0].adapter->sizeBytes(), wide[0].adapter->sizeBytes() * 2 / 3);
  const auto tokens = someTokens(kLength, vocabulary_);
  EXPECT_EQ(model->rows(tokens, narrow, kLength, true), model->rows(tokens, wide, kLength, true));
  EXPECT_EQ(model->rows(tokens, narrow, 1), model->rows(tokens, wide, 1));
}

TEST_F(AdaptersInABatch, CountAsBytesReadAndAreRefusedWithoutRoom) {
  auto model = load(1);
  const auto tokens = someTokens(1, vocabulary_);
  const auto table = blocks(0, 1);
  const std::vector<AdapterUse> twice = {one_, two_, one_};
  const Slice plain{tokens, 0, table, 1};
  ASSERT_TRUE(model->executable().run({std::span(&plain, 1)}));
  const auto before = model->executable().bytesOfLastRun();
  const Slice adapted{tokens, 0, table, 1, false, 0, twice};
  ASSERT_TRUE(model->executable().run({std::span(&adapted, 1)}));
  EXPECT_EQ(model->executable().bytesOfLastRun(),
            before + one_.adapter->sizeBytes() + two_.adapter->sizeBytes());

  const std::vector<AdapterUse> many(kMostAdapters + 1, one_);
  const Slice tooMany{tokens, 0, table, 1, false, 0, many};
  EXPECT_FALSE(model->executable().run({std::span(&tooMany, 1)}));
  const std::vector<AdapterUse> endless = {{one_.adapter, INFINITY}};
  const Slice infinite{tokens, 0, table, 1, false, 0, endless};
  EXPECT_FALSE(model->executable().run({std::span(&infinite, 1)}));
  const AdapterUse mine[] = {one_};
  auto other = load(1);
  const Slice foreign{tokens, 0, table, 1, false, 0, mine};
  EXPECT_FALSE(other->executable().run({std::span(&foreign, 1)}));
  EXPECT_EQ(other->executable().makeRoomFor(*mine[0].adapter).error().code(),
            base::ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace quern::engine::runtime
