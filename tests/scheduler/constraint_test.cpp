// Answers that must match a grammar, in the scheduler: what ends them, what guesses change (nothing), what
// happens when there is no way on.

#include <gtest/gtest.h>

#include <limits>

#include "engine/grammar/constraint.h"
#include "engine/grammar/gbnf.h"
#include "engine/scheduler/forced_tokens.h"
#include "engine/scheduler/loop.h"
#include "tests/scheduler/driven.h"

namespace quern::engine::scheduler {
namespace {

std::shared_ptr<const grammar::Constraint> constraintOf(const std::string& text) {
  const auto parsed = grammar::parseGbnf(text);
  EXPECT_TRUE(parsed) << parsed.error().describe();
  const auto constraint = grammar::Constraint::compile(
      *parsed, std::make_shared<grammar::VocabularyIndex>(std::make_shared<ByteTokenizer>()));
  EXPECT_TRUE(constraint);
  return *constraint;
}

bool matches(const std::shared_ptr<const grammar::Constraint>& constraint, const std::string& text) {
  grammar::Matcher matcher(constraint);
  return matcher.acceptBytes(text) && matcher.isComplete();
}

Request constrained(std::string_view text, std::int32_t maxTokens = 100) {
  Request request = greedy(promptOf(3, 20), maxTokens);
  request.constraint = constraintOf(std::string(text));
  return request;
}

TEST(Constraint, HoldsAnAnswerToItsGrammarAndEndsItWithIt) {
  Driven test;
  const auto sink = test.ask(constrained(R"(root ::= "{\"id\": " [0-9]{3} "}")"));
  test.finishAll();
  EXPECT_EQ(sink->text().size(), 11U);
  EXPECT_TRUE(matches(constraintOf(R"(root ::= "{\"id\": " [0-9]{3} "}")"), sink->text())) << sink->text();
  EXPECT_EQ(sink->awaitEnd().reason, FinishReason::kEndOfTurn);
}

TEST(Constraint, LetsTheModelEndOnlyACompleteAnswer) {
  // A model that would always rather end.
  Trial trial;
  trial.script = [](const auto&) { return kEnd; };
  Driven test(trial);
  const auto sink = test.ask(constrained("root ::= \"abc\" \"d\"*"));
  test.finishAll();
  EXPECT_EQ(sink->text(), "abc");
  EXPECT_EQ(sink->awaitEnd().reason, FinishReason::kEndOfTurn);
}

TEST(Constraint, SaysThatTheTokenLimitCutTheAnswer) {
  Driven test;
  const auto sink = test.ask(constrained("root ::= \"abcdef\"", 4));
  test.finishAll();
  EXPECT_EQ(sink->text(), "abcd");
  EXPECT_EQ(sink->awaitEnd().reason, FinishReason::kMaxTokens);
}

TEST(Constraint, AnAnswerThatIsCompleteAtTheLimitIsComplete) {
  Driven test;
  const auto sink = test.ask(constrained("root ::= \"abcd\"", 4));
  test.finishAll();
  EXPECT_EQ(sink->awaitEnd().reason, FinishReason::kEndOfTurn);
}

TEST(Constraint, FailsWhereTooManyWaysAreOpen) {
  Trial trial;
  trial.script = [](const auto&) { return 'x'; };
  trial.options.contextTokens = 1024;
  Driven test(trial);
  const auto sink =
      test.ask(constrained("root ::= pair \".\"\npair ::= \"x\" pair pair | \"\" | \"y\"", 500));
  test.finishAll();
  const Event end = sink->awaitEnd();
  EXPECT_EQ(end.reason, FinishReason::kFailed);
  ASSERT_TRUE(end.error.has_value());
  EXPECT_NE(end.error->message().find("too many ways"), std::string::npos);
}

TEST(Constraint, SaysThatABiasLeavesNoTokenThatIsAllowed) {
  for (const float temperature : {0.0F, 1.0F}) {
    Driven test;
    Request request = constrained("root ::= \"ab\"");
    request.sampling.temperature = temperature;
    request.sampling.logitBias = {{'b', -std::numeric_limits<float>::infinity()}};
    const auto sink = test.ask(std::move(request));
    test.finishAll();
    EXPECT_EQ(sink->text(), "a");
    const Event end = sink->awaitEnd();
    EXPECT_EQ(end.reason, FinishReason::kFailed);
    EXPECT_NE(end.error.value().message().find("logit bias"), std::string::npos);
  }
}

TEST(Constraint, KeepsGuessesFromChangingTheAnswer) {
  const std::string rows = R"(root ::= ("{\"name\": \"" [a-z]{1,6} "\", \"value\": " [0-9] "}\n"){6})";
  std::int64_t runs[2] = {};
  std::string texts[2];
  std::int32_t drafted = 0;
  std::int32_t right = 0;
  for (const bool speculates : {false, true}) {
    Trial trial;
    trial.options.contextTokens = 512;
    Driven test(trial);
    // A row is so cheap that every guess pays.
    test.decodeCost = test.promptCost = Driven::Seconds(0.00001);
    Request request = constrained(rows, 400);
    request.sampling.temperature = 1;
    request.sampling.randomSeed = false;
    request.sampling.seed = 5;
    request.speculate = speculates;
    const auto sink = test.ask(std::move(request));
    test.finishAll();
    texts[speculates] = sink->text();
    runs[speculates] = test.control->runs;
    const Event end = sink->awaitEnd();
    EXPECT_EQ(end.reason, FinishReason::kEndOfTurn);
    if (!speculates) continue;
    drafted = end.usage.draftedTokens;
    right = end.usage.acceptedTokens;
  }
  EXPECT_TRUE(matches(constraintOf(rows), texts[0])) << texts[0];
  EXPECT_EQ(texts[0], texts[1]);
  // Most of the text has no alternative, and is read in a few steps.
  EXPECT_LT(runs[1] * 2, runs[0]) << drafted << " drafted, " << right << " right";
  EXPECT_GT(right, 100);
}

TEST(Constraint, JumpsOverControlTokens) {
  const auto tokenizer = std::make_shared<CallTokenizer>();
  grammar::GrammarBuilder builder;
  const auto root =
      builder.sequence({builder.literal("ab"), builder.control("<call>"), builder.literal("cd")});
  const auto made = std::move(builder).finish(root);
  ASSERT_TRUE(made);
  Request request = greedy(promptOf(3, 20), 100);
  request.constraint =
      *grammar::Constraint::compile(*made, std::make_shared<grammar::VocabularyIndex>(tokenizer));
  const Sequence sequence(std::make_shared<Job>(1, request, nullptr, Clock::now()), 0, tokenizer);
  EXPECT_EQ(forcedTokens(sequence, *tokenizer, 10),
            (std::vector<std::int32_t>{'a', 'b', CallTokenizer::kCall}));
  EXPECT_EQ(forcedTokens(sequence, *tokenizer, 2), (std::vector<std::int32_t>{'a', 'b'}));
}

TEST(Constraint, MustBeOfTheModelsOwnVocabulary) {
  const auto control = std::make_shared<Control>();
  Loop loop(std::make_unique<FakeExecutable>(control, 32), std::make_shared<ByteTokenizer>(),
            Trial::defaults());
  // The same vocabulary, of a model that was loaded again.
  Request request = constrained("root ::= \"ab\"");
  const auto sink = std::make_shared<Collector>();
  ASSERT_TRUE(loop.submit(request, sink));
  EXPECT_EQ(sink->awaitEnd().reason, FinishReason::kEndOfTurn);
  // As many tokens, of which one is another.
  request.constraint = *grammar::Constraint::compile(
      *grammar::parseGbnf("root ::= \"ab\""),
      std::make_shared<grammar::VocabularyIndex>(std::make_shared<CallTokenizer>()));
  const auto refused = loop.submit(request, std::make_shared<Collector>());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("another model's vocabulary"), std::string::npos);
}

TEST(Constraint, GivesEachOfSeveralAnswersItsOwnWay) {
  Driven test;
  Request request = constrained("root ::= [a-z]{5} [0-9]{5}");
  request.answers = 3;
  request.sampling.temperature = 2;
  request.sampling.randomSeed = false;
  const auto sink = test.ask(std::move(request));
  test.finishAll();
  std::string texts[3];
  for (const Event& event : sink->events()) texts[event.answer] += event.text;
  const auto constraint = constraintOf("root ::= [a-z]{5} [0-9]{5}");
  for (const std::string& text : texts) EXPECT_TRUE(matches(constraint, text)) << text;
  EXPECT_NE(texts[0], texts[1]);
}

TEST(Constraint, SurvivesMakingRoomForOthers) {
  Trial trial;
  trial.options.contextTokens = 128;
  trial.blocks = 6;
  Driven test(trial);
  std::vector<std::shared_ptr<Collector>> sinks;
  for (int i = 0; i < 4; ++i) {
    Request request = constrained("root ::= ([a-z]{3} \"-\")* \".\"", 60);
    request.prompt = promptOf(i, 10);
    sinks.push_back(test.ask(std::move(request)));
  }
  test.finishAll();
  EXPECT_GT(test.report().preemptions, 0U);
  const auto constraint = constraintOf("root ::= ([a-z]{3} \"-\")* \".\"");
  for (const auto& sink : sinks) {
    grammar::Matcher matcher(constraint);
    EXPECT_TRUE(matcher.acceptBytes(sink->text())) << sink->text();
  }
}

}  // namespace
}  // namespace quern::engine::scheduler
