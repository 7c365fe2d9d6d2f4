// Encoders: a text is one slice, its tokens see each other, and nothing else has a part in what comes out.

#include "tests/runtime/loaded_model.h"

namespace quern::engine::runtime {
namespace {

constexpr std::int32_t kTokens = 100;
constexpr std::uint32_t kBlocks = 4;

CompileOptions sized(std::int32_t threads = 2) {
  CompileOptions options;
  options.kvTokens = 512;
  options.batchTokens = 2 * kTokens;
  options.hiddenRows = 2 * kTokens;
  options.threads = threads;
  return options;
}

Slice wholeText(std::span<const std::int32_t> tokens, std::span<const std::uint32_t> table) {
  return {tokens, 0, table, 0, true, static_cast<std::int32_t>(tokens.size())};
}

std::vector<Row> hiddenOf(LoadedModel& model, std::span<const Slice> slices) {
  (void)model.run(slices);
  std::int32_t count = 0;
  for (const Slice& slice : slices) count += slice.hiddenRows;
  std::vector<Row> rows;
  for (std::int32_t i = 0; i < count; ++i) {
    const auto state = model.executable().hidden(i);
    rows.emplace_back(state.begin(), state.end());
  }
  return rows;
}

class Encoder : public testing::TestWithParam<std::string> {};

TEST_P(Encoder, SaysThatItReadsWholeTexts) {
  LoadedModel model(tinyModel(GetParam()), sized());
  EXPECT_TRUE(model.executable().readsWholeTexts());
  EXPECT_FALSE(LoadedModel(tinyModel("llama"), sized()).executable().readsWholeTexts());
}

TEST_P(Encoder, EveryTokenSeesTheLast) {
  LoadedModel model(tinyModel(GetParam()), sized());
  auto tokens = someTokens(kTokens, model.executable().vocabularySize());
  const auto table = blocks(0, kBlocks);
  const Slice slice = wholeText(tokens, table);
  const auto before = hiddenOf(model, std::span(&slice, 1));
  tokens.back() = (tokens.back() + 1) % model.executable().vocabularySize();
  const auto after = hiddenOf(model, std::span(&slice, 1));
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_NE(before[i], after[i]) << i;
}

TEST_P(Encoder, NeighboursThreadsAndBlocksChangeNothing) {
  for (const std::size_t length : {std::size_t{1}, std::size_t{3}, std::size_t{30}, std::size_t{kTokens}}) {
    LoadedModel alone(tinyModel(GetParam()), sized(1));
    const auto tokens = someTokens(length, alone.executable().vocabularySize());
    const auto other = someTokens(40, alone.executable().vocabularySize(), 7);
    const auto mine = blocks(0, kBlocks);
    const Slice slice = wholeText(tokens, mine);
    const auto expected = hiddenOf(alone, std::span(&slice, 1));
    for (const std::int32_t threads : {2, 3}) {
      LoadedModel model(tinyModel(GetParam()), sized(threads));
      const auto theirs = blocks(9, 2);
      const auto elsewhere = blocks(4, kBlocks);
      const Slice slices[] = {wholeText(other, theirs), wholeText(tokens, elsewhere)};
      const auto rows = hiddenOf(model, slices);
      ASSERT_EQ(rows.size(), 40 + length);
      for (std::size_t i = 0; i < length; ++i) ASSERT_EQ(rows[40 + i], expected[i]) << length << " " << i;
    }
  }
}

TEST_P(Encoder, RefusesPartsOfTextsAndLogits) {
  LoadedModel model(tinyModel(GetParam()), sized());
  const auto tokens = someTokens(10, model.executable().vocabularySize());
  const auto table = blocks(0, 1);
  Slice slice = wholeText(tokens, table);
  slice.firstPosition = 5;
  const auto part = model.executable().run({std::span(&slice, 1)});
  ASSERT_FALSE(part);
  EXPECT_NE(part.error().message().find("as a whole"), std::string::npos) << part.error().message();
  slice.firstPosition = 0;
  slice.logitRows = 1;
  const auto logits = model.executable().run({std::span(&slice, 1)});
  ASSERT_FALSE(logits);
  EXPECT_NE(logits.error().message().find("no logits"), std::string::npos) << logits.error().message();
  slice.logitRows = 0;
  EXPECT_TRUE(model.executable().run({std::span(&slice, 1)}));
}

INSTANTIATE_TEST_SUITE_P(Families, Encoder, testing::Values("bert", "nomic-bert"), [](const auto& test) {
  return test.param == "bert" ? std::string("bert") : std::string("nomic_bert");
});

TEST(EncoderOfPositions, RefusesATextThatIsLongerThanItsPositions) {
  CompileOptions options = sized();
  LoadedModel model(tinyModel("bert"), options);  // 128 positions
  const auto tokens = someTokens(129, model.executable().vocabularySize());
  const auto table = blocks(0, 5);
  const Slice fits = wholeText(std::span(tokens).first(128), table);
  EXPECT_TRUE(model.executable().run({std::span(&fits, 1)}));
  const Slice slice = wholeText(tokens, table);
  const auto ran = model.executable().run({std::span(&slice, 1)});
  ASSERT_FALSE(ran);
  EXPECT_NE(ran.error().message().find("128 positions"), std::string::npos) << ran.error().message();
}

}  // namespace
}  // namespace quern::engine::runtime
