// Masks over the vocabularies of real models: the same as trying every token.

#include "tests/grammar/real_vocabulary.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <random>

#include "engine/grammar/regex.h"
#include "tests/grammar/matchers.h"

namespace quern::engine::grammar {
namespace {

class RealVocabulary : public testing::TestWithParam<const char*> {};

/// Walks that any model might take: tokens at random, long ones as likely as short ones.
void walk(const std::shared_ptr<const Constraint>& constraint, std::mt19937& random, int steps,
          int& compared) {
  const VocabularyIndex& vocabulary = constraint->vocabulary();
  Matcher matcher(constraint);
  std::vector<std::uint64_t> mask(maskWords(vocabulary.size()));
  for (int step = 0; step < steps; ++step) {
    matcher.allowed(mask);
    std::vector<std::int32_t> allowed;
    for (std::size_t i = 0; i < vocabulary.size(); ++i) {
      const auto token = static_cast<std::int32_t>(i);
      const bool isAllowed = (mask[i / 64] >> (i % 64)) & 1;
      if (isAllowed) allowed.push_back(token);
      Matcher next = matcher;
      ASSERT_EQ(isAllowed, next.accept(token))
          << "step " << step << ", token " << token << " \"" << vocabulary.bytes(token) << "\"";
    }
    ++compared;
    ASSERT_FALSE(allowed.empty());
    const auto token = allowed[random() % allowed.size()];
    ASSERT_TRUE(matcher.accept(token));
    if (vocabulary.bytes(token).empty() || matcher.isFinished()) return;
  }
}

TEST_P(RealVocabulary, MasksAreWhatTryingEveryTokenSays) {
  const auto tokenizer = test::realTokenizer(GetParam());
  if (!tokenizer) GTEST_SKIP() << GetParam() << " is not here: run packaging/fetch-test-data.sh";
  const auto vocabulary = std::make_shared<const VocabularyIndex>(tokenizer);
  std::mt19937 random(3);
  int compared = 0;
  for (const char* text : {test::kJsonGrammar, R"(root ::= ("- " [A-Z] [a-z ,]* "\n")+)",
                           R"(root ::= [ぁ-んァ-ヶ一-龠]+ "。")"}) {
    const auto grammar = parseGbnf(text);
    ASSERT_TRUE(grammar) << grammar.error().describe();
    const auto constraint = test::constraintOf(*grammar, vocabulary);
    for (int i = 0; i < 4; ++i) walk(constraint, random, 12, compared);
  }
  const auto date = parseRegex(R"(\d{4}-(0[1-9]|1[0-2])-[0-3]\d(T\d\d:\d\d)?)");
  ASSERT_TRUE(date);
  for (int i = 0; i < 3; ++i) walk(test::constraintOf(*date, vocabulary), random, 20, compared);
  EXPECT_GT(compared, 60);
}

INSTANTIATE_TEST_SUITE_P(All, RealVocabulary,
                         testing::Values("smollm2-135m-instruct-q4_1.gguf", "vocab/ggml-vocab-llama-spm.gguf",
                                         "vocab/ggml-vocab-qwen2.gguf"),
                         [](const auto& each) {
                           std::string name = each.param;
                           std::replace_if(
                               name.begin(), name.end(), [](char c) { return std::isalnum(c) == 0; }, '_');
                           return name;
                         });

}  // namespace
}  // namespace quern::engine::grammar
