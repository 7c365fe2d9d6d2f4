// Grammars and patterns that are made to hurt: refused, or at least over soon.

#include <gtest/gtest.h>

#include "engine/grammar/gbnf.h"
#include "engine/grammar/regex.h"
#include "tests/grammar/matchers.h"
#include "tests/grammar/processor_time.h"

namespace quern::engine::grammar {
namespace {

base::Result<std::shared_ptr<const Constraint>> compiled(const base::Result<Grammar>& grammar) {
  if (!grammar) return grammar.error();
  static const auto vocabulary = test::vocabularyOf();
  return Constraint::compile(*grammar, vocabulary);
}

std::string repeated(std::string_view text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

/// Less than a second; sanitizers take their own.
class Soon {
 public:
  ~Soon() { EXPECT_LT(time_.seconds(), test::kSlower) << "seconds"; }

 private:
  test::ProcessorTime time_;
};

TEST(HostileGrammar, SixtyThousandParentheses) {
  const Soon soon;
  const auto gbnf = parseGbnf("root ::= " + repeated("(", 60'000) + "\"a\"" + repeated(")", 60'000));
  ASSERT_FALSE(gbnf);
  EXPECT_EQ(gbnf.error().code(), base::ErrorCode::kLimit);
  EXPECT_NE(gbnf.error().message().find("groups within each other"), std::string::npos);
  const auto regex = parseRegex(repeated("(", 30'000) + "a" + repeated(")", 30'000));
  ASSERT_FALSE(regex);
  EXPECT_EQ(regex.error().code(), base::ErrorCode::kLimit);
  EXPECT_FALSE(parseGbnf("root ::= " + repeated("(", 60'000)));
}

TEST(HostileGrammar, RepetitionsOfRepetitions) {
  const Soon soon;
  for (const char* grammar :
       {"root ::= \"a\"{1,1000000000}", "root ::= ((\"a\"{1000}){1000}){1000}",
        "root ::= [a-z]{100000} [a-z]{100000} [a-z]{100000} [a-z]{100000} \"x\"{100000}"}) {
    const auto constraint = compiled(parseGbnf(grammar));
    ASSERT_FALSE(constraint) << grammar;
    EXPECT_EQ(constraint.error().code(), base::ErrorCode::kLimit) << constraint.error().describe();
  }
}

TEST(HostileGrammar, OptionsThatAreOpenAllTheTime) {
  const Soon soon;
  // Ways to match grow with the square of the number, or as 2^n, when they are written out.
  (void)compiled(parseGbnf("root ::= (\"a\"?){20000}"));
}

TEST(HostileGrammar, SetsOfStatesThatDouble) {
  const Soon soon;
  // Deterministic, it has 2^50 states.
  const auto constraint = compiled(parseRegex("(a|b)*a(a|b){50}"));
  ASSERT_TRUE(constraint) << constraint.error().describe();
  const Matcher matcher(*constraint);
  EXPECT_TRUE(test::matches(matcher, "ba" + repeated("ab", 25)));
  EXPECT_FALSE(test::matches(matcher, "bb" + repeated("ab", 25)));
}

TEST(HostileGrammar, RulesThatDoubleEachOther) {
  const Soon soon;
  std::string grammar = "root ::= r0\n";
  for (int i = 0; i < 60; ++i) {
    const std::string next = "r" + std::to_string(i + 1);
    grammar += "r" + std::to_string(i) + " ::= " + next + " " + next + "\n";
  }
  const auto constraint = compiled(parseGbnf(grammar + "r60 ::= \"a\" | \"b\"\n"));
  ASSERT_TRUE(constraint) << constraint.error().describe();
  Matcher matcher(*constraint);
  EXPECT_TRUE(matcher.acceptBytes(repeated("ab", 5000)));
}

TEST(HostileGrammar, WaysThroughRulesThatDouble) {
  const Soon soon;
  std::string grammar = "root ::= a0\n";
  for (int i = 0; i < 40; ++i) {
    const std::string own = std::to_string(i);
    const std::string next = std::to_string(i + 1);
    // Large enough to be called, and used twice.
    const std::string tail = " [a-z]{20} | \"" + repeated("q", 20) + "\" [0-9]{9}\n";
    grammar += "a" + own + " ::= b" + own + " \"x\" | c" + own + " \"y\"" + " | b" + own + " c" + own + "\n";
    grammar += "b" + own + " ::= a" + next + tail + "c" + own + " ::= a" + next + " \"1\"" + tail;
  }
  const auto constraint = compiled(parseGbnf(grammar + "a40 ::= \"z\"\n"));
  if (!constraint) return;
  Matcher matcher(*constraint);
  std::vector<std::uint64_t> mask(maskWords(matcher.constraint().vocabulary().size()));
  matcher.allowed(mask);
  (void)matcher.acceptBytes("z");
}

TEST(HostileGrammar, AChainOfManyRules) {
  const Soon soon;
  std::string grammar = "root ::= r0\n";
  for (int i = 0; i < 20'000; ++i) {
    grammar += "r" + std::to_string(i) + " ::= \"a\" r" + std::to_string(i + 1) + "\n";
  }
  const auto constraint = compiled(parseGbnf(grammar + "r20000 ::= \"b\"\n"));
  ASSERT_TRUE(constraint) << constraint.error().describe();
  EXPECT_TRUE(test::matches(Matcher(*constraint), repeated("a", 20'000) + "b"));
}

TEST(HostileGrammar, LongLinesOfEverything) {
  const Soon soon;
  (void)compiled(parseGbnf("root ::= \"" + repeated("a", 100'000) + "\""));
  (void)compiled(parseGbnf("root ::= " + repeated("\"a\" | ", 50'000) + "\"b\""));
  (void)compiled(parseGbnf("root ::= [" + repeated("a-z", 50'000) + "]"));
  (void)compiled(parseGbnf("root ::= \"a\"" + repeated("*", 100'000)));
  (void)compiled(parseRegex(repeated("[^a]", 10'000)));
  EXPECT_FALSE(parseRegex(repeated("\\p{L}", 10'000))) << "hundreds of ranges each";
  EXPECT_FALSE(parseRegex(repeated("a", 100'000))) << "longer than a pattern may be";
}

TEST(HostileGrammar, ATextOfAnyDepthIsJustALongOne) {
  const Soon soon;
  const auto constraint = compiled(parseGbnf("root ::= \"[\" (root (\",\" root)*)? \"]\""));
  ASSERT_TRUE(constraint);
  Matcher matcher(*constraint);
  std::vector<std::uint64_t> mask(maskWords(matcher.constraint().vocabulary().size()));
  for (int i = 0; i < 3000; ++i) {
    matcher.allowed(mask);
    ASSERT_TRUE(matcher.acceptBytes("["));
  }
  for (int i = 0; i < 3000; ++i) ASSERT_TRUE(matcher.acceptBytes("]"));
  EXPECT_TRUE(matcher.isFinished());
}

TEST(GrammarBuilder, RemembersTheFirstLimitThatWasBroken) {
  GrammarLimits limits;
  limits.expressions = 10;
  GrammarBuilder builder(limits);
  ExprId last = builder.literal("a");
  for (int i = 0; i < 100; ++i) last = builder.optional(last);
  const RuleId rule = builder.declare("late");
  builder.define(rule, last);
  const auto grammar = std::move(builder).finish(builder.use(rule));
  ASSERT_FALSE(grammar);
  EXPECT_EQ(grammar.error().code(), base::ErrorCode::kLimit);
  EXPECT_NE(grammar.error().message().find("too many parts"), std::string::npos);
}

TEST(GrammarBuilder, RefusesPartsThatAreNestedTooDeeply) {
  GrammarBuilder builder;
  ExprId last = builder.literal("a");
  for (int i = 0; i < 3000; ++i) last = builder.sequence({last, builder.literal("b")});
  const auto grammar = std::move(builder).finish(last);
  ASSERT_FALSE(grammar);
  EXPECT_EQ(grammar.error().code(), base::ErrorCode::kLimit);
}

TEST(GrammarBuilder, CompilesTheDeepestThatItTakes) {
  GrammarBuilder builder;
  ExprId last = builder.literal("a");
  for (int i = 0; i < 1990; ++i) last = builder.sequence({last, builder.literal("b")});
  const auto constraint = compiled(std::move(builder).finish(last));
  ASSERT_TRUE(constraint) << constraint.error().describe();
  EXPECT_TRUE(test::matches(Matcher(*constraint), "a" + repeated("b", 1990)));
}

}  // namespace
}  // namespace quern::engine::grammar
