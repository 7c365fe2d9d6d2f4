// The unigram tokenizer beside Hugging Face's tokenizers on XLM-RoBERTa's vocabulary
// (tests/conformance/make_unigram_cases.py), and on vocabularies made by hand.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "engine/gguf/file.h"
#include "engine/tokenizer/tokenizer.h"
#include "tests/tokenizer/tiny_models.h"

namespace quern::engine::tokenizer {
namespace {

TEST(Unigram, GivesTheIdsOfXlmRoberta) {
  const auto path = std::filesystem::path(QUERN_TEST_DATA) / "vocab/ggml-vocab-nomic-bert-moe.gguf";
  if (!std::filesystem::exists(path))
    GTEST_SKIP() << path << " is not here: run packaging/fetch-test-data.sh";
  const auto file = *gguf::File::open(path);
  const auto tokenizer = Tokenizer::fromGguf(*file);
  ASSERT_TRUE(tokenizer) << tokenizer.error().describe();
  std::ifstream stream(std::filesystem::path(QUERN_SOURCE_DIR) / "tests/data/tokenizer/xlm-roberta.json");
  const auto cases = nlohmann::json::parse(stream);
  ASSERT_GT(cases.size(), 50U);
  for (const auto& one : cases) {
    const auto text = one["text"].get<std::string>();
    EXPECT_EQ((*tokenizer)->encode(text, {.addSpecial = false, .parseSpecial = false}),
              one["ids"].get<std::vector<TokenId>>())
        << "text: \"" << text << '"';
  }
  EXPECT_EQ((*tokenizer)->decode((*tokenizer)->encode("Hello, world!", {.addSpecial = true}), false),
            "Hello, world!");
}

using namespace testing_models;

/// A table that turns "X" into "a" and nothing else.
std::vector<std::int32_t> charsmapOfX() {
  // The root's child for 'X' (0x58) is unit 0x100 ^ 0x58; it has a value, one unit further.
  std::vector<std::uint32_t> units(0x15A, 0);
  units[0] = 0x100U << 10;
  units[0x158] = 1U << 10 | 1U << 8 | 0x58U;
  units[0x159] = 0x80000000U;  // the text at 0
  std::vector<std::int32_t> bytes;
  const auto push = [&](std::uint32_t unit) {
    for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<std::int32_t>(unit >> (8 * i) & 0xFF));
  };
  push(static_cast<std::uint32_t>(units.size() * 4));
  for (const std::uint32_t unit : units) push(unit);
  bytes.push_back('a');
  bytes.push_back(0);
  return bytes;
}

/// 0 <pad>, 1 </s>, 2 <unk>, 3 ▁, 4 a, 5 b, 6 ab, 7 c, 8 abc, 9 ▁ab
Metadata unigramModel() {
  Metadata m;
  m.text("tokenizer.ggml.model", "t5");
  m.texts("tokenizer.ggml.tokens", {"<pad>", "</s>", "<unk>", "\xE2\x96\x81", "a", "b", "ab", "c", "abc",
                                    "\xE2\x96\x81"
                                    "ab"});
  m.integers("tokenizer.ggml.token_type", {3, 3, 2, 1, 1, 1, 1, 1, 1, 1});
  m.floats("tokenizer.ggml.scores", {0, 0, 0, -2, -3, -3, -2, -2, -4.5F, -3});
  m.integers("tokenizer.ggml.precompiled_charsmap", charsmapOfX());
  return m;
}

std::vector<TokenId> encoded(const Metadata& model, std::string_view text, bool special = false) {
  const auto tokenizer = load(model);
  EXPECT_TRUE(tokenizer) << tokenizer.error().describe();
  return (*tokenizer)->encode(text, {.addSpecial = special, .parseSpecial = false});
}

using Ids = std::vector<TokenId>;

TEST(Unigram, TakesTheCutWithTheLargestSumAndNotTheLongestToken) {
  Metadata model = unigramModel();
  EXPECT_EQ(encoded(model, "abc"), (Ids{6, 7}));  // -4 beats -4.5 and -8
  model.floats("tokenizer.ggml.scores", {0, 0, 0, -2, -3, -3, -2, -2, -3.5F, -3});
  EXPECT_EQ(encoded(model, "abc"), (Ids{8}));
}

TEST(Unigram, UnknownCharactersBesideEachOtherAreOneToken) {
  EXPECT_EQ(encoded(unigramModel(), "a\xC3\xA9zb"), (Ids{4, 2, 5}));
  EXPECT_EQ(encoded(unigramModel(), "zazb"), (Ids{2, 4, 2, 5}));
  EXPECT_EQ(encoded(unigramModel(), "\xFF"), (Ids{2}));
}

TEST(Unigram, SpacesGoAsTheModelSays) {
  Metadata model = unigramModel();
  EXPECT_EQ(encoded(model, " a  b"), (Ids{3, 4, 3, 3, 5}));
  EXPECT_EQ(encoded(model, "a", true), (Ids{4, 1}));
  model.truth("tokenizer.ggml.remove_extra_whitespaces", true);
  EXPECT_EQ(encoded(model, "  a  b  "), (Ids{4, 3, 5}));
  model.truth("tokenizer.ggml.add_space_prefix", true);
  EXPECT_EQ(encoded(model, "  ab  b  "), (Ids{9, 3, 5}));
  EXPECT_EQ(encoded(model, "   "), Ids{});
  EXPECT_EQ((*load(model))->decode(Ids{9, 3, 5}, false), "ab b");
}

TEST(Unigram, TheModelsTableComesFirst) {
  EXPECT_EQ(encoded(unigramModel(), "Xbc"), (Ids{6, 7}));
  Metadata without = unigramModel();
  without.drop("tokenizer.ggml.precompiled_charsmap");
  EXPECT_EQ(encoded(without, "Xbc"), (Ids{2, 5, 7}));
}

TEST(Unigram, LongTextsAreCutBetweenWords) {
  std::string text;
  while (text.size() < (1U << 20)) text += "ab abc ";
  Metadata model = unigramModel();
  model.truth("tokenizer.ggml.remove_extra_whitespaces", true);
  model.truth("tokenizer.ggml.add_space_prefix", true);
  const Ids ids = encoded(model, text);
  ASSERT_EQ(ids.size() % 3, 0U);
  for (std::size_t i = 0; i < ids.size(); i += 3) {
    ASSERT_EQ((Ids{ids[i], ids[i + 1], ids[i + 2]}), (Ids{9, 9, 7})) << i;
  }
}

TEST(Unigram, RefusesBrokenTables) {
  const auto refused = [](std::vector<std::int32_t> bytes) {
    Metadata model = unigramModel();
    model.integers("tokenizer.ggml.precompiled_charsmap", bytes);
    const auto tokenizer = load(model);
    ASSERT_FALSE(tokenizer);
    EXPECT_EQ(tokenizer.error().code(), base::ErrorCode::kMalformed);
    EXPECT_NE(tokenizer.error().message().find("precompiled_charsmap"), std::string::npos);
  };
  refused({1, 2});
  refused({4, 0, 0, 0, 1, 1});
  refused({3, 0, 0, 0, 1, 1, 1, 1});
  refused({255, 255, 255, 255, 1, 1, 1, 1});
  refused({0, 0, 0, 0, 300});
  Metadata model = unigramModel();
  model.text("tokenizer.ggml.precompiled_charsmap", "text");
  EXPECT_FALSE(load(model));
}

TEST(Unigram, SurvivesTablesAndScoresOfNonsense) {
  std::mt19937 random(7);
  Metadata model = unigramModel();
  for (int round = 0; round < 200; ++round) {
    auto bytes = charsmapOfX();
    for (int i = 0; i < 40; ++i) bytes[4 + random() % (bytes.size() - 4)] = static_cast<int>(random() % 256);
    model.integers("tokenizer.ggml.precompiled_charsmap", bytes);
    std::string text;
    for (int i = 0; i < 200; ++i) text += static_cast<char>(i % 3 == 0 ? 'X' : random() % 256);
    (void)encoded(model, text);
  }
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float score : {infinity, -infinity}) {
    model.floats("tokenizer.ggml.scores", std::vector<float>(10, score));
    (void)encoded(model, "abc abc z abc");
  }
}

}  // namespace
}  // namespace quern::engine::tokenizer
