// The automaton against the plain meaning of grammars.

#include "engine/grammar/automaton.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/grammar/matchers.h"
#include "tests/grammar/random_grammar.h"
#include "tests/grammar/reference_matcher.h"

namespace quern::engine::grammar {
namespace {

using test::matcherOf;
using test::matches;
using test::RandomGrammar;
using test::ReferenceMatcher;

TEST(Automaton, SaysOfEveryBeginningWhatTheReferenceSays) {
  int grammars = 0;
  int tooAmbiguous = 0;
  int beginnings = 0;
  int complete = 0;
  const auto vocabulary = test::vocabularyOf();
  for (std::uint32_t seed = 0; seed < 800; ++seed) {
    RandomGrammar source(seed);
    const auto grammar = source.make();
    if (!grammar) continue;
    ++grammars;
    const Matcher first(test::constraintOf(*grammar, vocabulary));
    for (int walk = 0; walk < 2; ++walk) {
      Matcher matcher = first;
      std::string text;
      for (int step = 0; step < 9; ++step) {
        // Every byte is tried, one that is right is gone on with.
        std::vector<char> right;
        bool gaveUp = false;
        for (const char byte : std::string_view(RandomGrammar::kBytes)) {
          const ReferenceMatcher expected(*grammar, text + byte);
          Matcher next = matcher;
          const bool isAccepted = next.acceptBytes({&byte, 1});
          gaveUp = gaveUp || next.isTooAmbiguous();
          if (next.isTooAmbiguous()) continue;
          ASSERT_EQ(isAccepted, expected.isBeginning()) << "seed " << seed << ", text " << text + byte;
          ASSERT_EQ(next.isComplete(), expected.matches()) << "seed " << seed << ", text " << text + byte;
          if (isAccepted) right.push_back(byte);
          complete += next.isComplete() ? 1 : 0;
        }
        tooAmbiguous += gaveUp ? 1 : 0;
        if (right.empty()) break;
        text += right[source.below(static_cast<std::uint32_t>(right.size()))];
        ASSERT_TRUE(matcher.acceptBytes({&text.back(), 1}));
        ++beginnings;
      }
    }
  }
  // The test has looked at something.
  EXPECT_GT(grammars, 250);
  EXPECT_GT(beginnings, 1000);
  EXPECT_GT(complete, 500);
  EXPECT_LT(tooAmbiguous, beginnings / 20);
}

TEST(Automaton, NeedsNoStackForAListThatRecursOnItsRight) {
  Matcher matcher = matcherOf("root ::= \"a\" root | \"b\"");
  EXPECT_TRUE(matcher.acceptBytes(std::string(100'000, 'a')));
  EXPECT_FALSE(matcher.isComplete());
  EXPECT_TRUE(matcher.acceptBytes("b"));
  EXPECT_TRUE(matcher.isFinished());
}

TEST(Automaton, CountsParenthesesToAnyDepth) {
  Matcher matcher = matcherOf("root ::= \"(\" root \")\" | \"x\"");
  EXPECT_TRUE(matcher.acceptBytes(std::string(20'000, '(') + "x" + std::string(19'999, ')')));
  EXPECT_FALSE(matcher.isComplete());
  Matcher other = matcher;
  EXPECT_TRUE(matcher.acceptBytes(")"));
  EXPECT_TRUE(matcher.isFinished());
  EXPECT_FALSE(other.acceptBytes("))"));
  EXPECT_TRUE(other.isDead());
}

TEST(Automaton, ForgetsStacksThatNobodyStandsOn) {
  Matcher matcher = matcherOf("root ::= (list \";\")*\nlist ::= \"(\" list \")\" | \"x\"");
  for (int i = 0; i < 300; ++i) {
    const auto depth = static_cast<std::size_t>(20 + i);
    ASSERT_TRUE(matcher.acceptBytes(std::string(depth, '(') + "x" + std::string(depth, ')') + ";")) << i;
    ASSERT_TRUE(matcher.isComplete());
  }
}

TEST(Automaton, IsMinimalWhereOptionsAgree) {
  const auto grammar = parseGbnf(R"(root ::= "ab" "cd" | "xb" "cd" | [a-z] "bcd")");
  ASSERT_TRUE(grammar);
  const auto automaton = Automaton::compile(*grammar);
  ASSERT_TRUE(automaton);
  EXPECT_EQ(automaton->states(), 5U);
}

TEST(Automaton, ReadsEveryCharacterAsUtf8AndNothingElse) {
  const Matcher any = matcherOf("root ::= .");
  const auto accepts = [&](std::initializer_list<int> bytes) {
    std::string text;
    for (const int byte : bytes) text += static_cast<char>(byte);
    return matches(any, text);
  };
  EXPECT_TRUE(accepts({0x00}));
  EXPECT_TRUE(accepts({0x7F}));
  EXPECT_TRUE(accepts({0xC2, 0x80}));
  EXPECT_TRUE(accepts({0xDF, 0xBF}));
  EXPECT_TRUE(accepts({0xE0, 0xA0, 0x80}));
  EXPECT_TRUE(accepts({0xED, 0x9F, 0xBF}));
  EXPECT_TRUE(accepts({0xEE, 0x80, 0x80}));
  EXPECT_TRUE(accepts({0xF0, 0x90, 0x80, 0x80}));
  EXPECT_TRUE(accepts({0xF4, 0x8F, 0xBF, 0xBF}));
  EXPECT_FALSE(accepts({0x80}));
  EXPECT_FALSE(accepts({0xC0, 0x80})) << "overlong";
  EXPECT_FALSE(accepts({0xE0, 0x9F, 0xBF})) << "overlong";
  EXPECT_FALSE(accepts({0xED, 0xA0, 0x80})) << "a surrogate";
  EXPECT_FALSE(accepts({0xF4, 0x90, 0x80, 0x80})) << "beyond Unicode";
  EXPECT_FALSE(accepts({0xC2}));
}

TEST(Automaton, SaysWhatMustComeNext) {
  Matcher matcher = matcherOf(R"(root ::= "{\"name\": \"" [a-z]+ "\", \"age\": " [0-9] "}")");
  EXPECT_EQ(matcher.forced(100).bytes, "{\"name\": \"");
  EXPECT_EQ(matcher.forced(3).bytes, "{\"n");
  EXPECT_FALSE(matcher.forced(100).endsText);
  ASSERT_TRUE(matcher.acceptBytes("{\"name\": \"jo"));
  EXPECT_EQ(matcher.forced(100).bytes, "");
  ASSERT_TRUE(matcher.acceptBytes("\""));
  EXPECT_EQ(matcher.forced(100).bytes, ", \"age\": ");
  ASSERT_TRUE(matcher.acceptBytes(", \"age\": 7"));
  EXPECT_EQ(matcher.forced(100).bytes, "}");
  EXPECT_TRUE(matcher.forced(100).endsText);
}

TEST(Automaton, NothingIsForcedWhereTheTextMayEnd) {
  Matcher matcher = matcherOf(R"(root ::= "a" "b"?)");
  ASSERT_TRUE(matcher.acceptBytes("a"));
  EXPECT_EQ(matcher.forced(10).bytes, "");
}

TEST(Automaton, SaysThatAGrammarIsTooAmbiguousInsteadOfFollowingEveryWay) {
  // After n times "x" as many depths are possible.
  Matcher matcher = matcherOf("root ::= pair \".\"\npair ::= \"x\" pair pair | \"\" | \"y\"");
  bool isAlive = true;
  for (int i = 0; i < 1000 && isAlive; ++i) isAlive = matcher.acceptBytes("x");
  EXPECT_FALSE(isAlive);
  EXPECT_TRUE(matcher.isDead());
  EXPECT_TRUE(matcher.isTooAmbiguous());
}

}  // namespace
}  // namespace quern::engine::grammar
