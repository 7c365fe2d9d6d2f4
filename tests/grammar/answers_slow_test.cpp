// The whole way with a real model that is made to say nonsense: every answer matches all the same.

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/grammar/constraint_cache.h"
#include "engine/scheduler/engine.h"
#include "tests/grammar/real_vocabulary.h"
#include "tests/scheduler/fakes.h"

namespace quern::engine::grammar {
namespace {

const std::filesystem::path kSmol =
    std::filesystem::path(QUERN_TEST_DATA) / "smollm2-135m-instruct-q4_1.gguf";

class ConstrainedAnswers : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kSmol)) GTEST_SKIP() << "no SmolLM2: run packaging/fetch-test-data.sh";
    scheduler::LoadOptions options;
    options.contextTokens = 1024;
    options.parallel = 4;
    auto loaded = scheduler::Engine::load(kSmol, options);
    ASSERT_TRUE(loaded) << loaded.error().describe();
    engine_ = *loaded;
  }

  std::shared_ptr<scheduler::Collector> ask(const ConstraintSource& source, std::uint64_t seed,
                                            std::int32_t maxTokens, bool speculates = true) {
    scheduler::Request request;
    request.prompt = *scheduler::renderChat(*engine_, {{"user", "Tell me about a person, as data."}});
    request.maxTokens = maxTokens;
    request.sampling.temperature = 1.5F;
    request.sampling.topK = 0;
    request.sampling.topP = 1;
    request.sampling.minP = 0;
    request.sampling.randomSeed = false;
    request.sampling.seed = seed;
    request.speculate = speculates;
    auto constraint = cache_.get(source, engine_->tokenizer());
    EXPECT_TRUE(constraint) << constraint.error().describe();
    request.constraint = *constraint;
    auto sink = std::make_shared<scheduler::Collector>();
    EXPECT_TRUE(engine_->submit(std::move(request), sink));
    return sink;
  }

  std::shared_ptr<scheduler::Engine> engine_;
  ConstraintCache cache_;
};

constexpr const char* kPerson = R"GBNF(
root ::= "{\"name\": \"" [A-Z] [a-z]{1,10} (" " [A-Z] [a-z]{1,10}){0,2} "\", \"age\": " [1-9] [0-9]? ", \"friends\": [" (friend (", " friend){0,2})? "]}"
friend ::= "\"" [A-Z] [a-z]{1,8} "\""
)GBNF";

TEST_F(ConstrainedAnswers, MatchWhateverTheTemperature) {
  std::vector<std::shared_ptr<scheduler::Collector>> sinks;
  for (std::uint64_t seed = 0; seed < 12; ++seed) sinks.push_back(ask(gbnfSource(kPerson), seed, 300));
  const auto constraint = cache_.get(gbnfSource(kPerson), engine_->tokenizer());
  ASSERT_TRUE(constraint);
  std::set<std::string> texts;
  for (const auto& sink : sinks) {
    const auto end = sink->awaitEnd();
    EXPECT_EQ(end.reason, scheduler::FinishReason::kEndOfTurn);
    Matcher matcher(*constraint);
    EXPECT_TRUE(matcher.acceptBytes(sink->text()) && matcher.isComplete()) << sink->text();
    const auto person = nlohmann::json::parse(sink->text(), nullptr, false);
    EXPECT_TRUE(person.is_object() && person.contains("age")) << sink->text();
    texts.insert(sink->text());
  }
  EXPECT_GT(texts.size(), 8U) << "they are not all the same";
}

TEST_F(ConstrainedAnswers, AreTheSameWithGuesses) {
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    const auto with = ask(gbnfSource(kPerson), seed, 200, true);
    const auto endWith = with->awaitEnd();
    const auto without = ask(gbnfSource(kPerson), seed, 200, false);
    (void)without->awaitEnd();
    EXPECT_EQ(with->text(), without->text());
    RecordProperty("drafted", endWith.usage.draftedTokens);
    RecordProperty("accepted", endWith.usage.acceptedTokens);
  }
}

TEST_F(ConstrainedAnswers, ThatAreCutAreBeginningsAndValidUtf8) {
  const auto constraint = cache_.get(gbnfSource(test::kJsonGrammar), engine_->tokenizer());
  ASSERT_TRUE(constraint);
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    const auto sink = ask(gbnfSource(test::kJsonGrammar), seed, 40);
    const auto end = sink->awaitEnd();
    std::string text = sink->text();
    // A character that was cut comes out as U+FFFD.
    if (end.reason == scheduler::FinishReason::kMaxTokens && text.ends_with("\xEF\xBF\xBD")) {
      text.resize(text.size() - 3);
    }
    Matcher matcher(*constraint);
    EXPECT_TRUE(matcher.acceptBytes(text)) << text;
    EXPECT_TRUE(matcher.isComplete() || end.reason == scheduler::FinishReason::kMaxTokens) << text;
    EXPECT_NO_THROW((void)nlohmann::json(text).dump()) << "not UTF-8";
  }
}

TEST_F(ConstrainedAnswers, OfARegularExpressionMatchIt) {
  const auto source = regexSource(R"((yes|no|maybe), because [a-z ]{10,60}\.)");
  const auto constraint = cache_.get(source, engine_->tokenizer());
  ASSERT_TRUE(constraint);
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    const auto sink = ask(source, seed, 200);
    EXPECT_EQ(sink->awaitEnd().reason, scheduler::FinishReason::kEndOfTurn);
    Matcher matcher(*constraint);
    EXPECT_TRUE(matcher.acceptBytes(sink->text()) && matcher.isComplete()) << sink->text();
  }
}

}  // namespace
}  // namespace quern::engine::grammar
