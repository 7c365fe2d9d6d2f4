// Masks from the cache against every token tried by itself.

#include "engine/grammar/token_masks.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/grammar/control_text.h"
#include "tests/grammar/matchers.h"
#include "tests/grammar/random_grammar.h"

namespace quern::engine::grammar {
namespace {

using test::constraintOf;
using test::matcherOf;
using test::RandomGrammar;
using test::vocabularyOf;

std::vector<std::int32_t> allowedBy(Matcher& matcher) {
  const std::size_t size = matcher.constraint().vocabulary().size();
  std::vector<std::uint64_t> mask(maskWords(size), ~std::uint64_t{0});
  matcher.allowed(mask);
  std::vector<std::int32_t> tokens;
  for (std::size_t i = 0; i < size; ++i) {
    if ((mask[i / 64] >> (i % 64)) & 1) tokens.push_back(static_cast<std::int32_t>(i));
  }
  return tokens;
}

std::vector<std::int32_t> triedOneByOne(const Matcher& matcher) {
  std::vector<std::int32_t> tokens;
  const VocabularyIndex& vocabulary = matcher.constraint().vocabulary();
  for (std::size_t i = 0; i < vocabulary.size(); ++i) {
    const auto token = static_cast<std::int32_t>(i);
    Matcher next = matcher;
    if (next.accept(token)) tokens.push_back(token);
  }
  return tokens;
}

/// Tokens of several bytes, with doubles and some that are beginnings of others.
std::vector<std::string> randomTokens(RandomGrammar& source) {
  std::vector<std::string> tokens;
  for (int i = 0; i < 300; ++i) {
    std::string token;
    for (std::uint32_t length = 2 + source.below(5); token.size() < length;) token += source.byte();
    tokens.push_back(std::move(token));
  }
  return tokens;
}

TEST(TokenMasks, AllowWhatIsRightTokenByToken) {
  int steps = 0;
  int severalBytes = 0;
  for (std::uint32_t seed = 0; seed < 400; ++seed) {
    RandomGrammar source(seed + 10'000);
    const auto grammar = source.make();
    if (!grammar) continue;
    const auto vocabulary = vocabularyOf(randomTokens(source));
    const auto constraint = constraintOf(*grammar, vocabulary);
    if (seed % 2 == 0) (void)constraint->warm(std::chrono::milliseconds(5));
    for (int walk = 0; walk < 3; ++walk) {
      Matcher matcher(constraint);
      for (int step = 0; step < 8; ++step) {
        const auto allowed = allowedBy(matcher);
        ASSERT_EQ(allowed, triedOneByOne(matcher)) << "seed " << seed << ", step " << step;
        if (allowed.empty()) break;
        const auto token = allowed[source.below(static_cast<std::uint32_t>(allowed.size()))];
        ASSERT_TRUE(matcher.accept(token));
        if (vocabulary->bytes(token).empty()) break;
        severalBytes += vocabulary->bytes(token).size() > 1 ? 1 : 0;
        ++steps;
      }
    }
  }
  EXPECT_GT(steps, 1000);
  EXPECT_GT(severalBytes, 300);
}

TEST(TokenMasks, AreTheSameWhenTheyHadToBeThrownAway) {
  RandomGrammar source(7);
  const auto vocabulary = vocabularyOf({"\":", "\",\"", "]]", "[[", "],", "a\"", "],[\""});
  const auto grammar =
      parseGbnf("root ::= item\nitem ::= \"[\" (item (\",\" item)*)? \"]\" | \"\\\"\" [a-z]* \"\\\"\"");
  ASSERT_TRUE(grammar);
  Constraint::Options options;
  options.maskBytes = 2000;
  const auto small = Constraint::compile(*grammar, vocabulary, options);
  ASSERT_TRUE(small);
  Matcher matcher(*small);
  Matcher other(constraintOf(*grammar, vocabulary));
  for (int step = 0; step < 300; ++step) {
    const auto allowed = allowedBy(matcher);
    ASSERT_EQ(allowed, allowedBy(other));
    ASSERT_EQ(allowed, triedOneByOne(matcher));
    EXPECT_LE((*small)->masks().bytes(), 4000U);
    const auto token = allowed[source.below(static_cast<std::uint32_t>(allowed.size()))];
    if (vocabulary->bytes(token).empty()) break;
    ASSERT_TRUE(matcher.accept(token) && other.accept(token));
  }
}

TEST(TokenMasks, AllowTheEndOnlyWhereTheTextIsComplete) {
  Matcher matcher = matcherOf("root ::= \"a\"+ \"b\"");
  const auto end = matcher.constraint().vocabulary().endTokens().front();
  EXPECT_EQ(allowedBy(matcher), std::vector<std::int32_t>{'a'});
  EXPECT_FALSE(Matcher(matcher).accept(end));
  ASSERT_TRUE(matcher.acceptBytes("ab"));
  EXPECT_EQ(allowedBy(matcher), std::vector<std::int32_t>{end});
  EXPECT_TRUE(matcher.isFinished());
  EXPECT_TRUE(matcher.accept(end));
}

TEST(TokenMasks, FirstTokenMayHaveTheSpaceThatIsDroppedThere) {
  const auto vocabulary = vocabularyOf({" yes", "yes", " y", "  yes"}, true);
  const std::int32_t spaced = 256, plain = 257, shorter = 258, twice = 259;
  Matcher matcher = matcherOf("root ::= \"yes\" \" yes\"?", vocabulary);
  EXPECT_EQ(allowedBy(matcher), (std::vector<std::int32_t>{' ', 'y', spaced, plain, shorter}));
  Matcher indented = matcherOf("root ::= \" yes\"", vocabulary);
  EXPECT_EQ(allowedBy(indented), (std::vector<std::int32_t>{' ', twice}));
  // By itself it is no text yet: the grammar's own space is still to come.
  Matcher later = indented;
  ASSERT_TRUE(later.accept(' '));
  EXPECT_EQ(allowedBy(later), (std::vector<std::int32_t>{' ', spaced, shorter}));
  EXPECT_TRUE(indented.accept(twice));
  EXPECT_TRUE(indented.isFinished());
  ASSERT_TRUE(matcher.accept(spaced));
  EXPECT_TRUE(matcher.isComplete());
  // Later tokens are what they are.
  EXPECT_EQ(allowedBy(matcher),
            (std::vector<std::int32_t>{' ', spaced, shorter, vocabulary->endTokens().front()}));
}

TEST(TokenMasks, AllowControlTokensOnlyWhereTheyAreNamed) {
  // A control token, its letters, a token that begins like one, and bytes that no text has.
  const auto vocabulary = vocabularyOf(
      {controlBytes("<a>"), "<a>", std::string{kControlBegin} + "<a", "x" + std::string{kControlEnd}});
  const std::int32_t control = 256, letters = 257;
  EXPECT_EQ(vocabulary->controlToken("<a>"), control);
  EXPECT_EQ(vocabulary->controlToken("<b>"), -1);
  GrammarBuilder builder;
  const ExprId named = builder.sequence({builder.literal("x"), builder.control("<a>"), builder.literal("y")});
  const auto grammar = std::move(builder).finish(named);
  ASSERT_TRUE(grammar);
  Matcher matcher(constraintOf(*grammar, vocabulary));
  ASSERT_TRUE(matcher.accept('x'));
  EXPECT_EQ(allowedBy(matcher), std::vector<std::int32_t>{control});
  EXPECT_EQ(matcher.forced(100).bytes, controlBytes("<a>") + "y");
  ASSERT_TRUE(matcher.accept(control));
  EXPECT_EQ(allowedBy(matcher), std::vector<std::int32_t>{'y'});
  Matcher spelled = matcherOf("root ::= \"x\" \"<a>\"", vocabulary);
  ASSERT_TRUE(spelled.accept('x'));
  EXPECT_EQ(allowedBy(spelled), (std::vector<std::int32_t>{'<', letters}));
  Matcher any = matcherOf("root ::= [^x]*", vocabulary);
  const auto allowed = allowedBy(any);
  for (const std::int32_t token : {control, 0xFE, 0xFF, 258, 259}) {
    EXPECT_FALSE(std::binary_search(allowed.begin(), allowed.end(), token)) << token;
  }
}

TEST(TokenMasks, AreWhatIsRightInRootsThatMayEndAnywhere) {
  const auto vocabulary = vocabularyOf({"abab", "aab", "ba", "bab", "abcd"});
  Matcher matcher = matcherOf("root ::= (\"ab\" | \"c\")* tail?\ntail ::= \"aa\" tail? \"b\"", vocabulary);
  for (const char c : std::string("abcabaa")) {
    ASSERT_EQ(allowedBy(matcher), triedOneByOne(matcher));
    ASSERT_TRUE(matcher.accept(c));
  }
  ASSERT_EQ(allowedBy(matcher), triedOneByOne(matcher));
}

TEST(Grammar, RefusesLiteralsWithBytesThatNoTextHas) {
  for (const char byte : {kControlBegin, kControlEnd}) {
    GrammarBuilder builder;
    const ExprId root = builder.literal(std::string("a") + byte);
    const auto grammar = std::move(builder).finish(root);
    ASSERT_FALSE(grammar);
    EXPECT_NE(grammar.error().message().find("0xF"), std::string::npos);
  }
}

TEST(TokenMasks, NeverAllowTokensLongerThanAWalkIsDeep) {
  const auto vocabulary = vocabularyOf({std::string(256, 'a'), std::string(257, 'a')});
  Matcher matcher = matcherOf("root ::= \"a\"*", vocabulary);
  const auto allowed = allowedBy(matcher);
  EXPECT_TRUE(std::find(allowed.begin(), allowed.end(), 256) != allowed.end());
  EXPECT_TRUE(std::find(allowed.begin(), allowed.end(), 257) == allowed.end());
}

}  // namespace
}  // namespace quern::engine::grammar
