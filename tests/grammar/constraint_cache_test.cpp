#include "engine/grammar/constraint_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "engine/grammar/gbnf.h"
#include "tests/scheduler/fakes.h"

namespace quern::engine::grammar {
namespace {

std::shared_ptr<const tokenizer::Tokenizer> bytesTokenizer() {
  return std::make_shared<scheduler::ByteTokenizer>();
}

TEST(ConstraintCache, CompilesOnceWhatIsAskedForOften) {
  ConstraintCache cache;
  const auto tokenizer = bytesTokenizer();
  const auto first = cache.get(gbnfSource("root ::= \"a\""), tokenizer);
  ASSERT_TRUE(first) << first.error().describe();
  const auto again = cache.get(gbnfSource("root ::= \"a\""), tokenizer);
  ASSERT_TRUE(again);
  EXPECT_EQ(first->get(), again->get());
  const auto other = cache.get(gbnfSource("root ::= \"b\""), tokenizer);
  const auto pattern = cache.get(regexSource("root ::= \"a\""), tokenizer);
  const auto otherModel = cache.get(gbnfSource("root ::= \"a\""), bytesTokenizer());
  EXPECT_NE(other->get(), first->get());
  EXPECT_NE(pattern->get(), first->get());
  EXPECT_NE(otherModel->get(), first->get());
}

TEST(ConstraintCache, WhoAsksForWhatIsBeingCompiledGetsTheSame) {
  ConstraintCache cache;
  const auto tokenizer = bytesTokenizer();
  std::promise<void> leave;
  std::atomic<int> made{0};
  const ConstraintSource slow{"slow", [&, left = leave.get_future().share()] {
                                left.wait();
                                ++made;
                                return parseGbnf("root ::= \"a\"");
                              }};
  std::promise<const Constraint*> results[3];
  for (auto& result : results) {
    cache.request(slow, tokenizer, [&](ConstraintCache::Outcome outcome) {
      result.set_value(outcome ? outcome->get() : nullptr);
    });
  }
  leave.set_value();
  const Constraint* first = results[0].get_future().get();
  EXPECT_NE(first, nullptr);
  EXPECT_EQ(results[1].get_future().get(), first);
  EXPECT_EQ(results[2].get_future().get(), first);
  EXPECT_EQ(made, 1);
}

TEST(ConstraintCache, SaysWhatIsWrongAndForgetsIt) {
  ConstraintCache cache;
  const auto outcome = cache.get(regexSource("(?<=a)b"), bytesTokenizer());
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code(), base::ErrorCode::kUnsupported);
  EXPECT_EQ(cache.size(), 0U);
}

TEST(ConstraintCache, KeepsNoMoreThanItMay) {
  ConstraintCache cache(2);
  const auto tokenizer = bytesTokenizer();
  const auto a = cache.get(gbnfSource("root ::= \"a\""), tokenizer);
  const auto b = cache.get(gbnfSource("root ::= \"b\""), tokenizer);
  EXPECT_EQ(cache.get(gbnfSource("root ::= \"a\""), tokenizer)->get(), a->get());
  const auto c = cache.get(gbnfSource("root ::= \"c\""), tokenizer);
  EXPECT_EQ(cache.size(), 2U);
  // The least recently used went.
  EXPECT_EQ(cache.get(gbnfSource("root ::= \"a\""), tokenizer)->get(), a->get());
  EXPECT_NE(cache.get(gbnfSource("root ::= \"b\""), tokenizer)->get(), b->get());
}

TEST(ConstraintCache, TellsThoseWhoWaitThatItEnds) {
  std::promise<void> leave;
  std::promise<base::ErrorCode> told;
  std::thread opener;
  {
    ConstraintCache cache;
    const auto left = leave.get_future().share();
    cache.request({"slow",
                   [left]() -> base::Result<Grammar> {
                     left.wait();
                     return base::Error(base::ErrorCode::kMalformed, "It is wrong.");
                   }},
                  bytesTokenizer(), [](const ConstraintCache::Outcome&) {});
    cache.request(gbnfSource("root ::= \"a\""), bytesTokenizer(),
                  [&](const ConstraintCache::Outcome& outcome) {
                    told.set_value(outcome ? base::ErrorCode::kInternal : outcome.error().code());
                  });
    opener = std::thread([&leave] {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      leave.set_value();
    });
  }
  opener.join();
  EXPECT_EQ(told.get_future().get(), base::ErrorCode::kCancelled);
}

}  // namespace
}  // namespace quern::engine::grammar
