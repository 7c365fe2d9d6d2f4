// Reasoning that has used up its tokens is made to end.

#include "engine/scheduler/reasoning_budget.h"

#include "tests/scheduler/driven.h"

namespace quern::engine::scheduler {
namespace {

ReasoningLimit limitOf(std::int32_t tokens, bool isOpen = false) {
  return {.tokens = tokens, .begin = "<t>", .end = "</t>", .isOpen = isOpen, .closing = {'<', '/', 't', '>'}};
}

/// The tokens until the budget forces one; -1: it never does.
int freeTokens(const ReasoningLimit& limit, std::string_view text) {
  ReasoningBudget budget(limit);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (budget.forced()) return static_cast<int>(i);
    budget.accept(text[i], text.substr(i, 1));
  }
  return budget.forced() ? static_cast<int>(text.size()) : -1;
}

TEST(ReasoningBudget, CountsFromTheOpeningMarker) {
  EXPECT_EQ(freeTokens(limitOf(5), "<t>abcdefgh"), 8);
  EXPECT_EQ(freeTokens(limitOf(5), " \n<t>abcdefgh"), 10);
  EXPECT_EQ(freeTokens(limitOf(5, true), "abcdefgh"), 5);
  EXPECT_EQ(freeTokens(limitOf(0), "<t>abc"), 3);
  EXPECT_EQ(freeTokens(limitOf(0, true), "abc"), 0);
}

TEST(ReasoningBudget, LeavesOtherTextAlone) {
  EXPECT_EQ(freeTokens(limitOf(2), "abcdefgh <t>abcdefgh"), -1);
  EXPECT_EQ(freeTokens(limitOf(5), "<t>abc</t>defghijkl"), 8);  // "</" are the fourth and the fifth
  EXPECT_EQ(freeTokens(limitOf(7), "<t>abc</t>defghijkl"), -1);
  EXPECT_EQ(freeTokens(limitOf(-1), "<t>abcdefgh"), -1);
}

TEST(ReasoningBudget, WritesTheClosingTokensOnce) {
  const ReasoningLimit limit = limitOf(1, true);
  ReasoningBudget budget(limit);
  budget.accept('a', "a");
  for (const char c : std::string("</t>")) {
    ASSERT_TRUE(budget.forced());
    EXPECT_EQ(*budget.forced(), c);
    budget.accept(c, std::string(1, c));
  }
  EXPECT_FALSE(budget.forced());
  budget.accept(7, "<t>");
  EXPECT_FALSE(budget.forced());
}

TEST(ReasoningBudget, GivesUpWhereItsTokenIsNotTaken) {
  const ReasoningLimit limit = limitOf(0, true);
  ReasoningBudget budget(limit);
  ASSERT_TRUE(budget.forced());
  budget.accept('x', "x");
  EXPECT_FALSE(budget.forced());
}

TEST(ReasoningBudget, EndsAnAnswersReasoningInTheScheduler) {
  for (const std::int32_t answers : {1, 2}) {
    Driven driven;
    Request request = greedy(promptOf(3, 40), 30);
    request.answers = answers;
    request.reasoning = limitOf(10, true);
    const auto sink = driven.ask(std::move(request));
    driven.finishAll();
    std::vector<std::string> texts(static_cast<std::size_t>(answers));
    for (const Event& event : sink->events()) texts.at(static_cast<std::size_t>(event.answer)) += event.text;
    for (const std::string& text : texts) {
      EXPECT_EQ(text.size(), 30U);
      EXPECT_EQ(text.find('<'), 10U) << text;
      EXPECT_EQ(text.substr(10, 4), "</t>") << text;
    }
  }
}

}  // namespace
}  // namespace quern::engine::scheduler
