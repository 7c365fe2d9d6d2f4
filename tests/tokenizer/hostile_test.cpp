// Files from strangers: every broken field is a sentence; what is odd but harmless still works.

#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "tests/tokenizer/tiny_models.h"

namespace quern::engine::tokenizer {
namespace {

using namespace testing_models;

struct Case {
  const char* name;
  std::function<void(Metadata&)> bend;
  base::ErrorCode code;
  const char* mentions;
};

void expectRefused(const Metadata& good, const std::vector<Case>& cases) {
  ASSERT_TRUE(load(good));
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    Metadata bent = good;
    c.bend(bent);
    const auto tokenizer = load(bent);
    ASSERT_FALSE(tokenizer);
    EXPECT_EQ(tokenizer.error().code(), c.code) << tokenizer.error().describe();
    EXPECT_NE(tokenizer.error().message().find(c.mentions), std::string::npos) << tokenizer.error().message();
  }
}

const std::vector<Case> kSharedCases = {
    {"no model", [](Metadata& m) { m.drop("tokenizer.ggml.model"); }, base::ErrorCode::kNotFound,
     "tokenizer.ggml.model"},
    {"model is a number", [](Metadata& m) { m.number("tokenizer.ggml.model", 7); },
     base::ErrorCode::kMalformed, "tokenizer.ggml.model"},
    {"unknown model", [](Metadata& m) { m.text("tokenizer.ggml.model", "abacus"); },
     base::ErrorCode::kUnsupported, "abacus"},
    {"no tokens", [](Metadata& m) { m.drop("tokenizer.ggml.tokens"); }, base::ErrorCode::kNotFound,
     "tokenizer.ggml.tokens"},
    {"zero tokens", [](Metadata& m) { m.texts("tokenizer.ggml.tokens", {}); }, base::ErrorCode::kMalformed,
     "0 tokens"},
    {"tokens are numbers",
     [](Metadata& m) {
       m.integers("tokenizer.ggml.tokens", {1, 2});
     },
     base::ErrorCode::kMalformed, "tokenizer.ggml.tokens"},
    {"tokens are one text", [](Metadata& m) { m.text("tokenizer.ggml.tokens", "a"); },
     base::ErrorCode::kMalformed, "tokenizer.ggml.tokens"},
    {"too few kinds",
     [](Metadata& m) {
       m.integers("tokenizer.ggml.token_type", {1, 1});
     },
     base::ErrorCode::kMalformed, "tokenizer.ggml.token_type"},
    {"kinds are texts",
     [](Metadata& m) { m.texts("tokenizer.ggml.token_type", std::vector<std::string>(5, "x")); },
     base::ErrorCode::kMalformed, "tokenizer.ggml.token_type"},
    {"too few scores", [](Metadata& m) { m.floats("tokenizer.ggml.scores", {1.0F}); },
     base::ErrorCode::kMalformed, "tokenizer.ggml.scores"},
    {"BOS out of range", [](Metadata& m) { m.number("tokenizer.ggml.bos_token_id", 1U << 31); },
     base::ErrorCode::kMalformed, "bos_token_id"},
    {"EOS out of range", [](Metadata& m) { m.number("tokenizer.ggml.eos_token_id", 9999); },
     base::ErrorCode::kMalformed, "eos_token_id"},
    {"EOT is a text", [](Metadata& m) { m.text("tokenizer.ggml.eot_token_id", "x"); },
     base::ErrorCode::kMalformed, "eot_token_id"},
    {"add_bos is a text", [](Metadata& m) { m.text("tokenizer.ggml.add_bos_token", "yes"); },
     base::ErrorCode::kMalformed, "add_bos_token"},
};

TEST(HostileVocabulary, IsRefusedWithASentence) {
  expectRefused(bytePairModel(), kSharedCases);
  expectRefused(sentencePieceModel(), kSharedCases);
}

TEST(HostileVocabulary, BadMergesAreRefused) {
  expectRefused(bytePairModel(),
                {{"no merges", [](Metadata& m) { m.drop("tokenizer.ggml.merges"); },
                  base::ErrorCode::kMalformed, "merges"},
                 {"merges are numbers", [](Metadata& m) { m.integers("tokenizer.ggml.merges", {1}); },
                  base::ErrorCode::kMalformed, "merges"},
                 {"merges are one text", [](Metadata& m) { m.text("tokenizer.ggml.merges", "a b"); },
                  base::ErrorCode::kMalformed, "merges"},
                 {"a merge of one",
                  [](Metadata& m) {
                    m.texts("tokenizer.ggml.merges", {"a a", "ab"});
                  },
                  base::ErrorCode::kMalformed, "merge 1"},
                 {"an empty merge", [](Metadata& m) { m.texts("tokenizer.ggml.merges", {""}); },
                  base::ErrorCode::kMalformed, "merge 0"},
                 {"half a merge", [](Metadata& m) { m.texts("tokenizer.ggml.merges", {"a "}); },
                  base::ErrorCode::kMalformed, "merge 0"},
                 {"unknown pre-tokenizer", [](Metadata& m) { m.text("tokenizer.ggml.pre", "scissors"); },
                  base::ErrorCode::kUnsupported, "scissors"},
                 {"pre-tokenizer is a number", [](Metadata& m) { m.number("tokenizer.ggml.pre", 1); },
                  base::ErrorCode::kMalformed, "tokenizer.ggml.pre"}});
}

TEST(HostileVocabulary, BadScoresAreRefused) {
  const std::size_t size = 3 + 256 + 15;
  std::vector<float> scores(size, 0.0F);
  scores[5] = std::numeric_limits<float>::quiet_NaN();
  expectRefused(sentencePieceModel(),
                {{"no scores", [](Metadata& m) { m.drop("tokenizer.ggml.scores"); },
                  base::ErrorCode::kMalformed, "scores"},
                 {"not a number", [&](Metadata& m) { m.floats("tokenizer.ggml.scores", scores); },
                  base::ErrorCode::kMalformed, "scores"},
                 {"scores are whole numbers",
                  [&](Metadata& m) { m.integers("tokenizer.ggml.scores", std::vector<std::int32_t>(size)); },
                  base::ErrorCode::kMalformed, "scores"}});
}

TEST(HostileVocabulary, MergesIntoTextsThatAreNoTokensLoseNothing) {
  Metadata m = bytePairModel();
  m.texts("tokenizer.ggml.merges", {"x y", "xy z", "q nothing", "a a", "a a", "nothing nothing"});
  const auto tokenizer = load(m);
  ASSERT_TRUE(tokenizer) << tokenizer.error().describe();
  const std::string text = "xyz xyxyz aaaa q";
  EXPECT_EQ((*tokenizer)->decode((*tokenizer)->encode(text)), text);
}

TEST(HostileVocabulary, ByteTokensWithStrangeTextsAreHarmless) {
  Metadata m = bytePairModel();
  m.texts("tokenizer.ggml.tokens", {"", "<0xZZ>", "<0x41>", "\xFF\xFE", "dup", "dup", "<s>"});
  m.integers("tokenizer.ggml.token_type", {6, 6, 6, 6, 1, 5, 3});
  m.texts("tokenizer.ggml.merges", {});
  m.number("tokenizer.ggml.bos_token_id", 6);
  m.number("tokenizer.ggml.eos_token_id", 6);
  const auto tokenizer = load(m);
  ASSERT_TRUE(tokenizer) << tokenizer.error().describe();
  EXPECT_EQ((*tokenizer)->tokenBytes(2), "A");
  EXPECT_EQ((*tokenizer)->tokenBytes(0), "");
  EXPECT_EQ((*tokenizer)->tokenBytes(1), "");
  EXPECT_EQ((*tokenizer)->tokenBytes(3), "");
  for (TokenId id = 0; id < 7; ++id) (void)(*tokenizer)->tokenBytes(id, true);
  (void)(*tokenizer)->encode("dup <s> \xFF");
}

TEST(Tokens, OutOfRangeGiveNothing) {
  const auto tokenizer = *load(bytePairModel());
  for (const TokenId id :
       {-1, 268, std::numeric_limits<TokenId>::max(), std::numeric_limits<TokenId>::min()}) {
    EXPECT_EQ(tokenizer->tokenBytes(id, true), "");
    EXPECT_EQ(tokenizer->tokenText(id), "");
    EXPECT_FALSE(tokenizer->endsGeneration(id));
    EXPECT_EQ(tokenizer->kind(id), TokenKind::kUnused);
  }
}

TEST(Tokens, WrittenOutAreRecognisedWhereAsked) {
  const auto tokenizer = *load(bytePairModel());
  const auto parsed = tokenizer->encode("<s>hello[tool]", {.addSpecial = false, .parseSpecial = true});
  EXPECT_EQ(parsed, (std::vector<TokenId>{264, 262, 266}));
  const auto plain = tokenizer->encode("<s>hello[tool]", {.addSpecial = false, .parseSpecial = false});
  EXPECT_EQ(plain, (std::vector<TokenId>{'<', 's', '>', 262, 266}));
  EXPECT_EQ(tokenizer->decode(parsed), "hello[tool]");
  EXPECT_EQ(tokenizer->decode(parsed, true), "<s>hello[tool]");
}

TEST(Tokens, SpecialOnesAreAddedByTheModelsRules) {
  constexpr EncodeOptions kAdd{.addSpecial = true, .parseSpecial = true};
  EXPECT_EQ((*load(bytePairModel("gpt-2")))->encode("hello", kAdd), (std::vector<TokenId>{262}));
  EXPECT_EQ((*load(bytePairModel("llama-bpe")))->encode("hello", kAdd), (std::vector<TokenId>{264, 262}));
  Metadata m = bytePairModel("llama-bpe");
  m.truth("tokenizer.ggml.add_bos_token", false);
  m.truth("tokenizer.ggml.add_eos_token", true);
  EXPECT_EQ((*load(m))->encode("hello", kAdd), (std::vector<TokenId>{262, 265}));
  const auto pieces = (*load(sentencePieceModel()))->encode("hello", kAdd);
  ASSERT_EQ(pieces.size(), 2U);
  EXPECT_EQ(pieces.front(), 1);
}

TEST(Tokens, SentencePieceHasItsUsualRolesUnlessTheFileSaysOtherwise) {
  Metadata m = sentencePieceModel();
  m.drop("tokenizer.ggml.bos_token_id");
  m.drop("tokenizer.ggml.eos_token_id");
  const auto tokenizer = *load(m);
  EXPECT_EQ(tokenizer->special().unknown, 0);
  EXPECT_EQ(tokenizer->special().bos, 1);
  EXPECT_EQ(tokenizer->special().eos, 2);
  EXPECT_TRUE(tokenizer->endsGeneration(2));
}

TEST(Tokens, EndAnAnswer) {
  const auto tokenizer = *load(bytePairModel());
  EXPECT_TRUE(tokenizer->endsGeneration(265));   // EOS by its role
  EXPECT_TRUE(tokenizer->endsGeneration(267));   // <|im_end|> by its text
  EXPECT_FALSE(tokenizer->endsGeneration(264));  // BOS
  EXPECT_FALSE(tokenizer->endsGeneration('a'));
}

TEST(Tokens, EndOfAHarmonyMessageIsNotTheEndOfTheAnswer) {
  Metadata m = bytePairModel();
  m.texts("tokenizer.ggml.tokens", {"a", "<|end|>", "<|return|>", "<|call|>"});
  m.integers("tokenizer.ggml.token_type", {1, 3, 3, 3});
  m.texts("tokenizer.ggml.merges", {});
  m.number("tokenizer.ggml.bos_token_id", 2);
  m.number("tokenizer.ggml.eos_token_id", 2);
  const auto tokenizer = *load(m);
  EXPECT_FALSE(tokenizer->endsGeneration(1));
  EXPECT_TRUE(tokenizer->endsGeneration(2));
  EXPECT_TRUE(tokenizer->endsGeneration(3));
}

}  // namespace
}  // namespace quern::engine::tokenizer
