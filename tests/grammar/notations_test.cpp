// GBNF and regular expressions: what each grammar or pattern of tests/data/grammar accepts, rejects, or is
// refused for.

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/grammar/gbnf.h"
#include "engine/grammar/regex.h"
#include "tests/grammar/matchers.h"

namespace quern::engine::grammar {
namespace {

nlohmann::json casesOf(const std::string& name) {
  std::ifstream stream(std::string(QUERN_SOURCE_DIR) + "/tests/data/grammar/" + name);
  EXPECT_TRUE(stream) << name;
  return nlohmann::json::parse(stream);
}

/// Parsed and compiled: limits may be found out late.
base::Result<Matcher> matcherFor(const base::Result<Grammar>& grammar) {
  if (!grammar) return grammar.error();
  static const auto vocabulary = test::vocabularyOf();
  QUERN_ASSIGN(auto constraint, Constraint::compile(*grammar, vocabulary));
  return Matcher(std::move(constraint));
}

void check(const nlohmann::json& one, const base::Result<Grammar>& grammar) {
  const auto matcher = matcherFor(grammar);
  if (one.contains("error")) {
    ASSERT_FALSE(matcher) << one;
    EXPECT_NE(matcher.error().message().find(one["error"].get<std::string>()), std::string::npos)
        << one << "\n"
        << matcher.error().describe();
    return;
  }
  ASSERT_TRUE(matcher) << one << "\n" << matcher.error().describe();
  for (const auto& text : one["accepts"]) {
    EXPECT_TRUE(test::matches(*matcher, text.get<std::string>())) << one << "\n" << text;
  }
  for (const auto& text : one["rejects"]) {
    EXPECT_FALSE(test::matches(*matcher, text.get<std::string>())) << one << "\n" << text;
  }
}

TEST(Gbnf, ReadsWhatItsDocumentationSays) {
  const auto cases = casesOf("gbnf.json");
  ASSERT_GT(cases.size(), 40U);
  for (const auto& one : cases) check(one, parseGbnf(one["grammar"].get<std::string>()));
}

TEST(Regex, MatchesAsEcmaScriptDoes) {
  const auto cases = casesOf("regex.json");
  ASSERT_GT(cases.size(), 60U);
  for (const auto& one : cases) {
    const auto pattern = one["pattern"].get<std::string>();
    if (!one.value("search", false)) {
      check(one, parseRegex(pattern));
      continue;
    }
    GrammarBuilder builder;
    RegexOptions options;
    options.whole = false;
    const auto root = regexExpression(builder, pattern, options);
    ASSERT_TRUE(root) << one << root.error().describe();
    check(one, std::move(builder).finish(*root));
  }
}

TEST(Regex, SpellsCharactersAsItIsTold) {
  // As in a JSON string: a line feed is \n there, a quote \".
  GrammarBuilder builder;
  RegexOptions options;
  options.character = [](GrammarBuilder& b, std::span<const CharacterRange> ranges, bool negated) {
    const auto has = [&](char32_t c) {
      bool isIn = negated;
      for (const auto& range : ranges) isIn = isIn != (c >= range.first && c <= range.last);
      return isIn;
    };
    std::vector<CharacterRange> plain;
    for (char32_t c = ' '; c < 0x7F; ++c) {
      if (c != '"' && c != '\\' && has(c)) plain.push_back({c, c});
    }
    std::vector<ExprId> spellings = {b.characters(plain)};
    if (has('\n')) spellings.push_back(b.literal("\\n"));
    if (has('"')) spellings.push_back(b.literal("\\\""));
    return b.choice(std::move(spellings));
  };
  const auto pattern = regexExpression(builder, "a\\s?[^b]\"", options);
  ASSERT_TRUE(pattern);
  const auto grammar = std::move(builder).finish(*pattern);
  ASSERT_TRUE(grammar) << grammar.error().describe();
  const Matcher matcher(test::constraintOf(*grammar));
  EXPECT_TRUE(test::matches(matcher, R"(ac\")"));
  EXPECT_TRUE(test::matches(matcher, R"(a\n\"\")"));
  EXPECT_FALSE(test::matches(matcher, R"(ab\")"));
  EXPECT_FALSE(test::matches(matcher, R"(ac")"));
}

}  // namespace
}  // namespace quern::engine::grammar
