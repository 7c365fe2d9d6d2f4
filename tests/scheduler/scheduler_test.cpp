// Who runs when, and that no answer shows it.

#include "engine/scheduler/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "tests/scheduler/driven.h"

namespace quern::engine::scheduler {
namespace {

using Why = ReuseReport::Why;

std::string textOf(std::int32_t answer, Collector& sink) {
  std::string text;
  for (const Event& event : sink.events()) {
    if (event.answer == answer) text += event.text;
  }
  return text;
}

std::vector<Event> ofKind(Collector& sink, Event::Kind kind) {
  std::vector<Event> found;
  for (const Event& event : sink.events()) {
    if (event.kind == kind) found.push_back(event);
  }
  return found;
}

/// Answers that are drawn with a seed, and differ.
Request wild(std::vector<std::int32_t> prompt, std::int32_t maxTokens, std::int32_t answers) {
  Request request = greedy(std::move(prompt), maxTokens);
  request.sampling = {};
  request.sampling.temperature = 5;
  request.sampling.topK = 0;
  request.sampling.topP = 1;
  request.sampling.minP = 0;
  request.sampling.randomSeed = false;
  request.sampling.seed = 11;
  request.ignoreEnd = true;
  request.answers = answers;
  return request;
}

TEST(Scheduling, WhoeverMadeRoomSaysWhatItWouldHaveSaid) {
  for (const bool twoKinds : {false, true}) {
    Trial trial;
    trial.blocks = 12;  // one context and a half; four answers want three
    trial.twoKinds = twoKinds;
    Driven test(trial);
    std::vector<std::shared_ptr<Collector>> sinks;
    for (std::int32_t i = 0; i < 8; ++i) sinks.push_back(test.ask(greedy(promptOf(i, 40), 130)));
    test.finishAll();
    EXPECT_GT(test.report().preemptions, 0U);
    std::int32_t preempted = 0;
    for (std::int32_t i = 0; i < 8; ++i) {
      auto& sink = *sinks[static_cast<std::size_t>(i)];
      const Event end = sink.events().back();
      EXPECT_EQ(end.reason, FinishReason::kMaxTokens);
      preempted += end.usage.preemptions;
      EXPECT_EQ(sink.text(),
                twoKinds ? answerOfTwoKinds(promptOf(i, 40), 130) : answerOf(letterOf, promptOf(i, 40), 130));
    }
    EXPECT_EQ(sinks[0]->events().back().usage.preemptions, 0) << "the oldest goes on";
    EXPECT_EQ(static_cast<std::uint64_t>(preempted), test.report().preemptions);
    EXPECT_GT(test.report().recomputed, 0U);
    // Beside the prompts, for the first time: the token that was picked last before an answer lost its place.
    const std::uint64_t forTheFirstTime = test.report().prompt - test.report().recomputed + test.report().cached;
    EXPECT_GE(forTheFirstTime, 8U * 40U);
    EXPECT_LE(forTheFirstTime, 8U * 40U + test.report().preemptions);
  }
}

TEST(Scheduling, AnAnswerThatIsComputedAgainIsHardlyFeltByTheOthers) {
  Trial trial;
  trial.twoKinds = true;
  trial.options.contextTokens = 1024;
  trial.options.batchTokens = 512;
  trial.blocks = 44;
  Driven test(trial);
  // Prompts are quick: what an answer's token costs cannot be told from them.
  test.promptCost = Driven::Seconds(0.00005);
  test.decodeCost = Driven::Seconds(0.002);
  Request large = greedy(promptOf(1, 20), 1000);
  large.priority = Priority::kBatch;
  large.speculate = false;
  large.reuse = false;
  const auto again = test.ask(large);
  test.until([&] { return again->tokenCount() >= 600; });
  // Of three, one goes on when the others' blocks are free again.
  for (const std::int32_t length : {250, 250, 600}) {
    Request person = greedy(promptOf(40 + length, 20), length);
    person.speculate = false;
    test.ask(person);
  }
  test.until([&] { return test.report().preemptions > 0; });
  const std::uint64_t before = test.report().recomputed;
  const std::size_t made = again->tokenCount();
  double longest = 0;
  test.until([&] {
    longest = std::max(longest, test.lastStep.count());
    return again->tokenCount() > made;
  });
  EXPECT_GE(test.report().recomputed - before, made);
  const double two = (test.stepCost + 2 * test.decodeCost).count();
  EXPECT_LE(longest, 0.1 + two) << "the target between two tokens";
  test.finishAll();
  EXPECT_EQ(again->text(), answerOfTwoKinds(promptOf(1, 20), 1000));
}

TEST(Scheduling, PromptsThatBeginAlikeAndComeTogetherAreComputedOnce) {
  Trial trial;
  trial.options.parallel = 10;
  Driven test(trial);
  std::vector<std::shared_ptr<Collector>> sinks;
  for (std::int32_t i = 0; i < 10; ++i) {
    auto prompt = promptOf(3, 160);
    prompt.push_back(i);
    sinks.push_back(test.ask(greedy(prompt, 8)));
  }
  test.finishAll();
  for (std::int32_t i = 0; i < 10; ++i) {
    auto prompt = promptOf(3, 160);
    prompt.push_back(i);
    EXPECT_EQ(sinks[static_cast<std::size_t>(i)]->text(), answerOf(letterOf, prompt, 8));
    const Usage usage = sinks[static_cast<std::size_t>(i)]->events().back().usage;
    EXPECT_EQ(usage.cachedTokens, i == 0 ? 0 : 160) << i;
  }
  EXPECT_EQ(test.report().prompt, 160U + 10U);
}

TEST(Scheduling, SeveralAnswersShareTheirPrompt) {
  for (const std::size_t length : {1U, 32U, 77U}) {
    Trial trial;
    trial.twoKinds = true;
    Driven test(trial);
    Request request = wild(promptOf(5, length), 40, 4);
    const auto together = test.ask(request);
    test.finishAll();
    EXPECT_EQ(test.report().prompt, length);
    EXPECT_EQ(ofKind(*together, Event::Kind::kAnswerFinished).size(), 4U);
    EXPECT_EQ(together->events().back().usage.completionTokens, 160);
    request.answers = 1;
    std::vector<std::string> texts;
    for (std::int32_t i = 0; i < 4; ++i) {
      request.sampling.seed = 11 + static_cast<std::uint64_t>(i);
      const auto alone = test.ask(request);
      test.finishAll();
      texts.push_back(alone->text());
      EXPECT_EQ(textOf(i, *together), texts.back()) << i;
    }
    EXPECT_NE(texts[0], texts[1]);
  }
}

TEST(Scheduling, SeveralAnswersWithoutRoomForAllComeOneAfterAnother) {
  Trial trial;
  trial.twoKinds = true;
  const Request request = wild(promptOf(5, 40), 120, 4);
  std::vector<std::string> texts;
  for (const std::int32_t blocks : {0, 9}) {  // as many as it wants, one context
    trial.blocks = blocks;
    Driven test(trial);
    const auto sink = test.ask(request);
    test.finishAll();
    for (std::int32_t i = 0; i < 4; ++i) texts.push_back(textOf(i, *sink));
    EXPECT_EQ(test.report().preemptions > 0, blocks > 0);
  }
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(texts[i].size(), texts[i + 4].size());
    EXPECT_EQ(texts[i], texts[i + 4]);
  }
}

TEST(Scheduling, TheUrgentGoFirstAndThoseWhoHaveWaitedBecomeUrgent) {
  Trial trial;
  trial.options.parallel = 1;
  Driven test(trial);
  std::vector<std::string> order;
  const auto ask = [&](Priority priority, const std::string& name) {
    Request request = greedy(promptOf(1, 4), 4);
    request.priority = priority;
    const auto sink = test.ask(request);
    sink->onEach = [&order, name](const Event& event) {
      if (event.kind == Event::Kind::kFinished) order.push_back(name);
    };
    return sink;
  };
  ask(Priority::kInteractive, "first");
  test.step();
  ask(Priority::kBatch, "batch");
  ask(Priority::kNormal, "normal");
  ask(Priority::kInteractive, "person");
  test.finishAll();
  EXPECT_EQ(order, (std::vector<std::string>{"first", "person", "normal", "batch"}));

  order.clear();
  ask(Priority::kBatch, "old batch");
  test.now += 3 * kAgeing;
  ask(Priority::kInteractive, "person");
  test.finishAll();
  EXPECT_EQ(order, (std::vector<std::string>{"old batch", "person"}));
}

TEST(Scheduling, AnAnswerForAPersonDoesNotWaitForABatch) {
  Trial trial;
  trial.options.parallel = 2;
  Driven test(trial);
  std::vector<std::shared_ptr<Collector>> batch;
  for (std::int32_t i = 0; i < 2; ++i) {
    Request request = greedy(promptOf(i, 20), 100);
    request.priority = Priority::kBatch;
    batch.push_back(test.ask(request));
  }
  for (int i = 0; i < 10; ++i) test.step();
  const auto person = test.ask(greedy(promptOf(7, 20), 5));
  for (int i = 0; i < 6; ++i) test.step();
  EXPECT_EQ(person->text(), answerOf(letterOf, promptOf(7, 20), 5));
  test.finishAll();
  EXPECT_EQ(test.report().preemptions, 1U);
  for (std::int32_t i = 0; i < 2; ++i) {
    EXPECT_EQ(batch[static_cast<std::size_t>(i)]->text(), answerOf(letterOf, promptOf(i, 20), 100));
  }
}

TEST(Scheduling, NobodyIsSentAwayInVain) {
  Driven test;
  test.ask(greedy(promptOf(0, 20), 200));
  for (std::int32_t i = 1; i < 4; ++i) {
    Request request = greedy(promptOf(i, 20), 200);
    request.priority = Priority::kBatch;
    test.ask(request);
  }
  for (int i = 0; i < 10; ++i) test.step();
  // It wants all four places, and one of them is a person's.
  Request request = greedy(promptOf(9, 20), 5);
  request.answers = 4;
  test.ask(request);
  for (int i = 0; i < 20; ++i) test.step();
  EXPECT_EQ(test.report().preemptions, 0U);
  EXPECT_EQ(test.report().running, 4);
  test.finishAll();
}

TEST(Scheduling, AnEmbeddingMayFillTheContext) {
  Trial trial;
  trial.options.embeddings = true;
  Driven test(trial);
  Request request;
  request.prompt = promptOf(3, 256);
  request.pooling = Pooling::kLast;
  request.overflow = Overflow::kTruncateMiddle;
  const auto sink = test.ask(request);
  test.finishAll();
  EXPECT_TRUE(ofKind(*sink, Event::Kind::kDropped).empty());
  EXPECT_EQ(ofKind(*sink, Event::Kind::kEmbedding).size(), 1U);
}

TEST(Scheduling, AClientWithManyRequestsLeavesRoomForOneWithFew) {
  Trial trial;
  trial.options.parallel = 1;
  Driven test(trial);
  std::vector<std::string> order;
  const auto ask = [&](const std::string& client) {
    Request request = greedy(promptOf(1, 10), 10);
    request.client = client;
    test.ask(request)->onEach = [&order, client](const Event& event) {
      if (event.kind == Event::Kind::kFinished) order.push_back(client);
    };
  };
  for (int i = 0; i < 10; ++i) ask("many");
  for (int i = 0; i < 30; ++i) test.step();
  for (int i = 0; i < 3; ++i) ask("few");
  test.finishAll();
  ASSERT_EQ(order.size(), 13U);
  const auto last = std::find(order.rbegin(), order.rend(), "few") - order.rbegin();
  EXPECT_GE(last, 3) << "turn and turn about, not at the end of the line";
  EXPECT_EQ(std::count(order.begin(), order.begin() + 9, "few"), 3);
}

TEST(Scheduling, ALongPromptIsHardlyFeltByThoseWhoDecode) {
  Trial trial;
  trial.options.contextTokens = 4200;
  trial.options.batchTokens = 512;
  trial.options.parallel = 9;
  Driven test(trial);
  for (std::int32_t i = 0; i < 8; ++i) test.ask(greedy(promptOf(i, 20), 1000));
  for (int i = 0; i < 60; ++i) test.step();
  const auto alone = test.lastStep;
  const auto late = test.ask(greedy(promptOf(99, 4000), 1));
  double longest = 0;
  while (late->tokenCount() == 0) {
    test.step();
    longest = std::max(longest, test.lastStep.count());
  }
  EXPECT_GT(longest, alone.count());
  EXPECT_LE(longest, 2 * alone.count());
  EXPECT_EQ(late->text(), answerOf(letterOf, promptOf(99, 4000), 1));
}

TEST(Scheduling, NobodyIsKeptLongerThanTheyAllow) {
  Trial trial;
  trial.options.parallel = 1;
  Driven test(trial);
  Request slow = greedy(promptOf(1, 20), -1);
  slow.deadline = std::chrono::milliseconds(300);
  const auto late = test.ask(slow);
  Request impatient = greedy(promptOf(2, 20), 5);
  impatient.longestWait = std::chrono::milliseconds(100);
  const auto refused = test.ask(impatient);
  Request lateInLine = greedy(promptOf(2, 20), 5);
  lateInLine.deadline = std::chrono::milliseconds(200);
  const auto never = test.ask(lateInLine);
  test.finishAll();
  const Event end = late->events().back();
  EXPECT_EQ(end.reason, FinishReason::kDeadline);
  EXPECT_GT(end.usage.completionTokens, 10) << "what there is counts";
  EXPECT_EQ(late->text(), answerOf(letterOf, promptOf(1, 20), late->text().size()));
  EXPECT_EQ(refused->events().back().reason, FinishReason::kFailed);
  EXPECT_EQ(refused->events().back().error->code(), base::ErrorCode::kBusy);
  EXPECT_EQ(never->events().back().reason, FinishReason::kDeadline);
  EXPECT_EQ(never->events().back().usage.completionTokens, 0);
}

TEST(Scheduling, APromptThatIsTooLongLosesItsMiddleAndSaysSo) {
  Driven test;
  Request request = greedy(promptOf(1, 600), 20);
  request.overflow = Overflow::kTruncateMiddle;
  const auto sink = test.ask(request);
  test.finishAll();
  const auto dropped = ofKind(*sink, Event::Kind::kDropped);
  ASSERT_EQ(dropped.size(), 1U);
  EXPECT_EQ(dropped[0].droppedFirst, (256 - 20) / 4);
  EXPECT_EQ(dropped[0].droppedTokens, 600 - (256 - 20));
  auto kept = promptOf(1, 600);
  kept.erase(kept.begin() + dropped[0].droppedFirst,
             kept.begin() + dropped[0].droppedFirst + dropped[0].droppedTokens);
  EXPECT_EQ(sink->text(), answerOf(letterOf, kept, 20));
}

TEST(Scheduling, ARollingAnswerGoesOnAsIfTheRestHadBeenThePrompt) {
  Trial trial;
  trial.twoKinds = true;
  Driven test(trial);
  Request request = greedy(promptOf(1, 200), 400);
  request.overflow = Overflow::kRolling;
  const auto sink = test.ask(request);
  test.finishAll();
  EXPECT_EQ(sink->events().back().reason, FinishReason::kMaxTokens);
  EXPECT_EQ(sink->text().size(), 400U);
  const auto dropped = ofKind(*sink, Event::Kind::kDropped);
  ASSERT_GE(dropped.size(), 2U);
  // By hand: tokens fill up to the context, lose all but the sinks and the last, and are a prompt again.
  std::vector<std::int32_t> tokens = promptOf(1, 200);
  std::string text;
  while (text.size() < 400) {
    const std::size_t room = std::min<std::size_t>(256 - tokens.size(), 400 - text.size());
    const std::string some = answerOfTwoKinds(tokens, room);
    text += some;
    for (const char c : some) tokens.push_back(c);
    if (tokens.size() == 256) tokens.erase(tokens.begin() + 4, tokens.begin() + 4 + 128);
  }
  EXPECT_EQ(sink->text(), text);
  for (const Event& event : dropped) {
    EXPECT_EQ(event.droppedFirst, 4);
    EXPECT_EQ(event.droppedTokens, 128);
  }
}

TEST(Scheduling, ARollingPromptThatIsTooLongKeepsItsSinksAndItsEnd) {
  Driven test;
  Request request = greedy(promptOf(1, 1000), 20);
  request.overflow = Overflow::kRolling;
  const auto sink = test.ask(request);
  test.finishAll();
  auto kept = promptOf(1, 1000);
  kept.erase(kept.begin() + 4, kept.begin() + 4 + (1000 - 236));
  EXPECT_EQ(sink->text(), answerOf(letterOf, kept, 20));
}

TEST(Scheduling, EmbeddingsArePooledAsAskedAndHaveLengthOne) {
  const auto prompt = promptOf(8, 150);
  std::vector<double> sum(kHiddenWidth, 0);
  std::vector<float> first, last;
  for (std::size_t length = 1; length <= prompt.size(); ++length) {
    last = hiddenOf({prompt.begin(), prompt.begin() + static_cast<std::ptrdiff_t>(length)});
    if (length == 1) first = last;
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += static_cast<double>(last[i]);
  }
  const std::vector<std::pair<Pooling, std::vector<double>>> wanted = {
      {Pooling::kMean, sum},
      {Pooling::kFirst, {first.begin(), first.end()}},
      {Pooling::kLast, {last.begin(), last.end()}}};
  Trial trial;
  trial.options.embeddings = true;
  Driven test(trial);
  for (int round = 0; round < 2; ++round) {
    for (const auto& [pooling, raw] : wanted) {
      Request request;
      request.prompt = prompt;
      request.pooling = pooling;
      const auto sink = test.ask(request);
      test.ask(greedy(prompt, 30));
      test.finishAll();
      EXPECT_EQ(sink->events().back().reason, FinishReason::kComplete);
      const auto made = ofKind(*sink, Event::Kind::kEmbedding);
      ASSERT_EQ(made.size(), 1U);
      ASSERT_EQ(made[0].values.size(), raw.size());
      double length = 0;
      for (const double x : raw) length += x * x;
      for (std::size_t i = 0; i < raw.size(); ++i) {
        EXPECT_NEAR(made[0].values[i], raw[i] / std::sqrt(length), 1e-6);
      }
    }
  }
}

TEST(Scheduling, ChoicesAreScoredByTheirLogprobs) {
  Driven test;
  Request request;
  request.prompt = promptOf(8, 50);
  const std::int32_t likely = letterOf(request.prompt);
  request.choices = {likely, 'A', 'B'};
  const auto sink = test.ask(request);
  test.finishAll();
  const auto scores = ofKind(*sink, Event::Kind::kScores);
  ASSERT_EQ(scores.size(), 1U);
  const double sum = std::log(std::exp(10.0) + 256);
  EXPECT_NEAR(scores[0].values.at(0), 10 - sum, 1e-5);
  EXPECT_NEAR(scores[0].values.at(1), -sum, 1e-5);
  EXPECT_NEAR(scores[0].values.at(2), -sum, 1e-5);
  EXPECT_EQ(sink->tokenCount(), 0U);
}

TEST(Scheduling, AnAnswerIsComputedAgainAsThePromptThatItWillBe) {
  Trial trial;
  trial.twoKinds = true;
  for (const bool rehearse : {false, true}) {
    trial.options.rehearse = rehearse;
    Driven test(trial);
    auto conversation = promptOf(3, 40);
    const auto first = test.ask(greedy(conversation, 120));
    test.finishAll();
    EXPECT_EQ(test.scheduler.canRehearse(), rehearse);
    while (test.scheduler.canRehearse()) test.scheduler.rehearse();
    EXPECT_EQ(test.report().blocksUsed, 0);
    for (const char c : first->text()) conversation.push_back(c);
    const auto second = test.ask(greedy(conversation, 20));
    test.finishAll();
    EXPECT_EQ(second->text(), answerOfTwoKinds(conversation, 20));
    EXPECT_EQ(second->events().back().usage.cachedTokens, rehearse ? 128 : 32);
  }
}

TEST(Scheduling, ARehearsalGivesWayAtOnce) {
  Trial trial;
  trial.twoKinds = true;
  trial.options.rehearse = true;
  trial.blocks = 9;
  Driven test(trial);
  test.ask(greedy(promptOf(1, 100), 100));
  test.finishAll();
  test.scheduler.rehearse();
  const auto sink = test.ask(greedy(promptOf(2, 200), 50));
  test.finishAll();
  EXPECT_EQ(sink->text(), answerOfTwoKinds(promptOf(2, 200), 50));
  EXPECT_EQ(test.report().preemptions, 0U);
}

TEST(Scheduling, UsageTellsWhyNoMoreOfAPromptWasFound) {
  Driven test;
  const auto why = [&](Request request) {
    const auto sink = test.ask(std::move(request));
    test.finishAll();
    return sink->events().back().usage.reuse;
  };
  const auto prompt = promptOf(1, 100);
  EXPECT_EQ(why(greedy(prompt, 2)).why, Why::kUnknown);
  EXPECT_EQ(why(greedy(prompt, 2)).why, Why::kWhole);
  auto other = prompt;
  other[70] = prompt[70] ^ 1;
  const ReuseReport report = why(greedy(other, 2));
  EXPECT_EQ(report.why, Why::kDiffers);
  EXPECT_EQ(report.position, 70);
  EXPECT_EQ(report.wanted, other[70]);
  EXPECT_EQ(report.known, prompt[70]);
  Request fresh = greedy(prompt, 2);
  fresh.reuse = false;
  EXPECT_EQ(why(fresh).why, Why::kNotAsked);
}

TEST(Scheduling, WhatRepeatsComesSoonerAndIsTheSame) {
  for (const bool isGreedy : {true, false}) {
    std::string texts[2];
    std::int64_t runs[2] = {};
    for (const bool speculates : {false, true}) {
      Trial trial;
      trial.twoKinds = true;
      trial.options.contextTokens = 1024;
      trial.script = echoOf;
      Driven test(trial);
      Request request = greedy(promptOf(1, 60), 600);
      if (!isGreedy) {
        request = wild(promptOf(1, 60), 600, 1);
        request.sampling.temperature = 1.2F;
        request.sampling.repeatPenalty = 1.01F;
      }
      request.speculate = speculates;
      const auto sink = test.ask(request);
      test.finishAll();
      texts[speculates] = sink->text();
      runs[speculates] = test.control->runs;
      const Usage usage = sink->events().back().usage;
      EXPECT_EQ(usage.completionTokens, 600);
      EXPECT_EQ(usage.draftedTokens > 0, speculates);
      EXPECT_LE(usage.acceptedTokens, usage.draftedTokens);
      EXPECT_EQ(static_cast<std::uint64_t>(usage.acceptedTokens), test.report().accepted);
    }
    EXPECT_EQ(texts[0], texts[1]);
    if (isGreedy) {
      EXPECT_EQ(texts[0], answerOf(echoOf, promptOf(1, 60), 600, kDecodedMark));
      EXPECT_LT(runs[1], runs[0] / 2);
    }
  }
}

TEST(Scheduling, GuessesTakeNoBlockThatSomebodyNeeds) {
  Trial trial;
  trial.twoKinds = true;
  trial.script = echoOf;
  trial.blocks = 16;
  Driven test(trial);
  std::vector<std::shared_ptr<Collector>> sinks;
  for (std::int32_t i = 0; i < 4; ++i) sinks.push_back(test.ask(greedy(promptOf(i, 60), 180)));
  test.finishAll();
  EXPECT_GT(test.report().accepted, 100U);
  for (std::int32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(sinks[static_cast<std::size_t>(i)]->text(),
              answerOf(echoOf, promptOf(i, 60), 180, kDecodedMark));
  }
}

/// A long random history against a cache that is far too small: every answer is the one it would be alone,
/// nothing stands still, no block is lost.
void randomHistory(std::uint32_t seed, int requests) {
  std::mt19937 random(seed);
  const auto below = [&](int n) { return static_cast<std::int32_t>(random() % static_cast<unsigned>(n)); };
  Trial trial;
  trial.twoKinds = seed % 2 == 1;
  if (seed % 4 > 1) trial.script = echoOf;
  trial.options.parallel = 1 + below(6);
  trial.options.batchTokens = std::max(trial.options.parallel, 8 + below(80));
  trial.options.rehearse = below(2) == 0;
  trial.options.embeddings = true;
  trial.blocks = 9 + below(12);
  Driven test(trial);
  struct Asked {
    Request request;
    std::shared_ptr<Collector> sink;
  };
  std::vector<Asked> asked;
  int made = 0;
  for (int turn = 0; made < requests || test.scheduler.hasWork(); ++turn) {
    ASSERT_LT(turn, 1000 * requests) << "seed " << seed << " does not come to an end";
    if (made < requests && below(4) == 0) {
      ++made;
      // Few beginnings, so that many share one.
      auto prompt = promptOf(below(5), static_cast<std::size_t>(1 + below(180)));
      if (below(3) == 0) prompt.push_back(below(256));
      if (below(3) == 0 && !asked.empty()) {  // a conversation that goes on
        const Asked& earlier = asked[static_cast<std::size_t>(below(static_cast<int>(asked.size())))];
        prompt = earlier.request.prompt;
        for (const char c : textOf(0, *earlier.sink)) prompt.push_back(c);
        if (prompt.size() > 200) prompt.resize(200);
      }
      Request request = greedy(prompt, below(70));
      request.answers = below(6) == 0 ? 1 + below(trial.options.parallel) : 1;
      request.priority = static_cast<Priority>(below(kPriorities));
      request.client = std::string(1, static_cast<char>('a' + below(3)));
      request.reuse = below(5) != 0;
      request.speculate = below(4) != 0;
      if (below(10) == 0) request.deadline = std::chrono::milliseconds(1 + below(400));
      if (below(10) == 0) request.longestWait = std::chrono::milliseconds(1 + below(400));
      if (below(8) == 0) {
        request.pooling = Pooling::kMean;
        request.answers = 1;
      }
      asked.push_back({request, test.ask(request)});
    }
    if (below(12) == 0 && !test.jobs.empty()) {
      test.jobs[static_cast<std::size_t>(below(static_cast<int>(test.jobs.size())))]->cancelled.store(true);
    }
    if (test.scheduler.hasWork()) {
      test.step();
    } else if (test.scheduler.canRehearse()) {
      test.scheduler.rehearse();
    }
    ASSERT_LE(test.report().running, trial.options.parallel);
  }
  while (test.scheduler.canRehearse()) test.scheduler.rehearse();
  EXPECT_EQ(test.report().blocksUsed, 0) << "seed " << seed;
  for (const auto& [request, sink] : asked) {
    const auto events = sink->events();
    ASSERT_FALSE(events.empty());
    const Event& end = events.back();
    ASSERT_EQ(end.kind, Event::Kind::kFinished);
    if (request.pooling != Pooling::kNone) continue;
    for (std::int32_t answer = 0; answer < request.answers; ++answer) {
      const std::string text = textOf(answer, *sink);
      EXPECT_EQ(text, answerOf(trial.script, request.prompt, text.size(), trial.twoKinds ? kDecodedMark : 0))
          << "seed " << seed;
      if (end.reason == FinishReason::kMaxTokens && end.answer == answer) {
        EXPECT_EQ(text.size(), static_cast<std::size_t>(request.maxTokens));
      }
    }
  }
}

TEST(Scheduling, RandomHistoriesLoseNothing) {
  for (std::uint32_t seed = 0; seed < 340; ++seed) randomHistory(seed, 60);
}

}  // namespace
}  // namespace quern::engine::scheduler
