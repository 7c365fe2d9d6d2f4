// Cutting text into words: no byte is lost, whatever the patterns do.

#include "engine/tokenizer/pretokenizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

namespace quern::engine::tokenizer {
namespace {

std::string joined(const std::vector<std::string_view>& pieces) {
  std::string text;
  for (const std::string_view piece : pieces) text += piece;
  return text;
}

TEST(Pretokenizer, KeepsWhatNoPatternTakes) {
  const auto cutter = Pretokenizer::compile({"[a-z]+"});
  ASSERT_TRUE(cutter);
  const auto pieces = cutter->split(
      "12ab\xFF\xFE"
      "cd--\xE6");
  EXPECT_EQ(pieces, (std::vector<std::string_view>{"12", "ab", "\xFF\xFE", "cd", "--", "\xE6"}));
}

TEST(Pretokenizer, AppliesEachPatternToThePiecesOfTheOneBefore) {
  const auto cutter = Pretokenizer::compile({"\\p{N}", " ?\\p{L}+"});
  ASSERT_TRUE(cutter);
  EXPECT_EQ(cutter->split("ab12 cd"), (std::vector<std::string_view>{"ab", "1", "2", " cd"}));
}

TEST(Pretokenizer, GoesOnInWindowsWhereAPatternReachesItsLimit) {
  const auto cutter = Pretokenizer::compile({"(?:a+)+b|c+"});
  ASSERT_TRUE(cutter);
  const std::string text =
      std::string(20'000, 'a') + std::string(3'000, '-') + "ccc" + std::string(5'000, 'a');
  const auto start = std::chrono::steady_clock::now();
  const auto pieces = cutter->split(text);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(joined(pieces), text);
  EXPECT_LT(took.count(), 5.0);
  EXPECT_EQ(std::count(pieces.begin(), pieces.end(), "ccc"), 1) << "what follows the limit is still matched";
}

TEST(Pretokenizer, ReportsAPatternThatCannotBeCompiled) {
  EXPECT_FALSE(Pretokenizer::compile({"(unclosed"}));
}

TEST(Pretokenizer, KnowsEveryRuleItNames) {
  for (const char* name :
       {"llama-bpe", "qwen2", "qwen35", "tekken", "deepseek-llm", "gemma4", "youtu", "jais-2"}) {
    const auto rules = pretokenizerRules(name);
    ASSERT_TRUE(rules) << name;
    EXPECT_TRUE(Pretokenizer::compile(rules->patterns)) << name;
  }
  EXPECT_FALSE(pretokenizerRules("scissors"));
  EXPECT_FALSE(pretokenizerRules(""));
}

TEST(Pretokenizer, CutsAsTheModelsDo) {
  const auto cut = [](const char* name, std::string_view text) {
    std::string out;
    const auto cutter = Pretokenizer::compile(pretokenizerRules(name)->patterns);
    for (const std::string_view piece : cutter->split(text)) out += std::string(piece) + "|";
    return out;
  };
  EXPECT_EQ(cut("gpt-2", "It's 1234  ok"), "It|'s| 1234| | ok|");
  EXPECT_EQ(cut("llama-bpe", "It'S 12345  ok\n\n"), "It|'S| |123|45| | ok|\n\n|");
  EXPECT_EQ(cut("qwen2", "a 12"), "a| |1|2|");
  EXPECT_EQ(cut("gpt-4o", "HelloWorld's"), "Hello|World's|");
  EXPECT_EQ(cut("tekken", "HelloWorld 42"), "Hello|World| |4|2|");
  EXPECT_EQ(cut("deepseek-llm", "  x   "), " | x|   |");
  EXPECT_EQ(cut("deepseek-v3", "1234 日本x"), "123|4| |日本|x|");
  EXPECT_EQ(cut("jais-2", "a     b"), "a|    | b|");
}

}  // namespace
}  // namespace quern::engine::tokenizer
