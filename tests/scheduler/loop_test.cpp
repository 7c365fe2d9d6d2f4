#include "engine/scheduler/loop.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <stdexcept>
#include <thread>

#include "tests/scheduler/driven.h"

namespace quern::engine::scheduler {
namespace {

class LoopTest {
 public:
  explicit LoopTest(LoadOptions options = defaults(), std::shared_ptr<Control> wanted = {})
      : control(wanted ? wanted : std::make_shared<Control>()) {
    control->batchTokens = options.batchTokens;
    control->logitRows = options.parallel + kDraftRows;
    const std::int32_t blocks =
        options.parallel * ((options.contextTokens + runtime::kKvBlockTokens - 1) / runtime::kKvBlockTokens);
    loop = std::make_unique<Loop>(std::make_unique<FakeExecutable>(control, blocks),
                                  std::make_shared<ByteTokenizer>(), options);
  }
  static LoadOptions defaults() {
    LoadOptions options;
    options.contextTokens = 256;
    options.parallel = 4;
    options.batchTokens = 64;
    return options;
  }
  std::shared_ptr<Collector> ask(Request request) {
    auto sink = std::make_shared<Collector>();
    const auto id = loop->submit(std::move(request), sink);
    EXPECT_TRUE(id) << id.error().message();
    if (id) last = *id;
    return sink;
  }

  std::shared_ptr<Control> control;
  std::unique_ptr<Loop> loop;
  RequestId last = 0;
};

TEST(Scheduler, EveryAnswerIsTheOneItWouldBeAlone) {
  LoopTest test;
  std::vector<std::shared_ptr<Collector>> sinks;
  for (std::int32_t i = 0; i < 24; ++i) {
    sinks.push_back(test.ask(greedy(promptOf(i, static_cast<std::size_t>(1 + i * 8)), 20 + i)));
  }
  for (std::int32_t i = 0; i < 24; ++i) {
    auto& sink = *sinks[static_cast<std::size_t>(i)];
    const Event end = sink.awaitEnd();
    EXPECT_EQ(end.reason, FinishReason::kMaxTokens);
    EXPECT_EQ(end.usage.promptTokens, 1 + i * 8);
    EXPECT_EQ(end.usage.completionTokens, 20 + i);
    EXPECT_EQ(sink.text(), answerOf(letterOf, promptOf(i, static_cast<std::size_t>(1 + i * 8)),
                                    static_cast<std::size_t>(20 + i)));
    EXPECT_GE(end.timings.firstTokenMs, end.timings.queueMs);
    EXPECT_GT(end.timings.bandwidthShare, 0);
  }
  const Stats stats = test.loop->stats();
  EXPECT_EQ(stats.generatedTokens, 24U * 20 + 23 * 12);
  EXPECT_EQ(stats.kvBlocksUsed, 0);
}

TEST(Scheduler, TheFirstTokenDoesNotWaitForTheBandwidthToBeMeasured) {
  auto control = std::make_shared<Control>();
  control->allowed = 0;
  LoopTest test(LoopTest::defaults(), control);
  const auto one = test.ask(greedy(promptOf(1, 5), 1));
  const auto many = test.ask(greedy(promptOf(2, 5), 9));
  control->awaitBlocked();
  EXPECT_EQ(control->bandwidthsMeasured.load(), 0);
  EXPECT_EQ(test.loop->stats().bandwidthLimit, 0);
  control->allow(1);
  const Event single = one->awaitEnd();
  control->awaitBlocked();
  EXPECT_EQ(single.timings.bandwidthShare, 0);
  EXPECT_EQ(control->bandwidthsMeasured.load(), 0);
  control->allow(-1);
  EXPECT_GT(many->awaitEnd().timings.bandwidthShare, 0);
  test.ask(greedy(promptOf(3, 5), 9))->awaitEnd();
  EXPECT_EQ(control->bandwidthsMeasured.load(), 1);
}

TEST(Scheduler, AnIdleLoopMeasuresTheBandwidth) {
  auto control = std::make_shared<Control>();
  LoopTest test(LoopTest::defaults(), control);
  while (test.loop->stats().bandwidthLimit == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(control->bandwidthsMeasured.load(), 1);
}

TEST(Scheduler, LongPromptDoesNotStopAnswersThatAreBeingMade) {
  LoadOptions options = LoopTest::defaults();
  options.batchTokens = 16;
  auto control = std::make_shared<Control>();
  control->allowed = 3;
  LoopTest test(options, control);
  const auto early = test.ask(greedy(promptOf(1, 5), 60));
  control->awaitBlocked();
  const auto late = test.ask(greedy(promptOf(2, 200), 5));
  control->allow(-1);
  early->awaitEnd();
  late->awaitEnd();
  // While the long prompt is computed, in slices of what the budget leaves, each step begins with a decode.
  std::size_t mixed = 0;
  for (const auto& batch : control->batches) {
    if (batch.size() == 2 && batch[1] > 1) {
      EXPECT_EQ(batch[0], 1U);
      EXPECT_LE(batch[1], 15U);
      ++mixed;
    }
  }
  EXPECT_GE(mixed, 13U);
}

TEST(Scheduler, ConversationThatGoesOnIsNotComputedAgain) {
  LoopTest test;
  auto conversation = promptOf(3, 70);
  for (int turn = 0; turn < 4; ++turn) {
    const std::size_t known = turn == 0 ? 0 : conversation.size() - 6;
    const auto sink = test.ask(greedy(conversation, 30));
    const Event end = sink->awaitEnd();
    EXPECT_EQ(sink->text(), answerOf(letterOf, conversation, 30));
    // All but the answer's last token are in the cache, in whole blocks.
    EXPECT_EQ(end.usage.cachedTokens, known == 0 ? 0 : static_cast<std::int32_t>((known - 1) / 32 * 32));
    for (const char c : sink->text()) conversation.push_back(c);
    for (const char c : std::string("\nmore?")) conversation.push_back(c);
  }
}

TEST(Scheduler, CacheThatIsFullOfOldConversationsGivesThemUp) {
  LoadOptions options = LoopTest::defaults();
  options.parallel = 2;
  options.contextTokens = 128;
  LoopTest test(options);
  for (int round = 0; round < 3; ++round) {
    for (std::int32_t i = 0; i < 10; ++i) {
      const auto sink = test.ask(greedy(promptOf(i, 100), 20));
      EXPECT_EQ(sink->awaitEnd().reason, FinishReason::kMaxTokens);
      EXPECT_EQ(sink->text(), answerOf(letterOf, promptOf(i, 100), 20));
    }
  }
}

TEST(Scheduler, TwinsThatRunTogetherGiveTheSame) {
  LoopTest test;
  std::vector<std::shared_ptr<Collector>> sinks;
  for (int i = 0; i < 12; ++i) sinks.push_back(test.ask(greedy(promptOf(9, 96), 40)));
  for (const auto& sink : sinks) {
    sink->awaitEnd();
    EXPECT_EQ(sink->text(), answerOf(letterOf, promptOf(9, 96), 40));
  }
}

TEST(Scheduler, FullQueueIsRefusedAtOnce) {
  LoadOptions options = LoopTest::defaults();
  options.parallel = 1;
  options.queueLimit = 2;
  auto control = std::make_shared<Control>();
  control->allowed = 0;
  LoopTest test(options, control);
  const auto running = test.ask(greedy({1}, 3));
  control->awaitBlocked();
  const auto first = test.ask(greedy({1}, 3));
  const auto second = test.ask(greedy({1}, 3));
  const auto third = test.loop->submit(greedy({1}, 3), std::make_shared<Collector>());
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code(), base::ErrorCode::kBusy);
  EXPECT_EQ(test.loop->stats().waiting, 2);
  control->allow(-1);
  for (const auto& sink : {running, first, second}) {
    EXPECT_EQ(sink->awaitEnd().reason, FinishReason::kMaxTokens);
  }
}

TEST(Scheduler, RequestsThatMakeNoSenseAreRefused) {
  LoopTest test;
  const auto refused = [&](Request request, base::ErrorCode code) {
    const auto id = test.loop->submit(std::move(request), std::make_shared<Collector>());
    EXPECT_FALSE(id);
    if (id) return std::string();
    EXPECT_EQ(id.error().code(), code) << id.error().message();
    return id.error().message();
  };
  const std::string tooLong = refused(greedy(promptOf(1, 3000), 1), base::ErrorCode::kLimit);
  EXPECT_NE(tooLong.find("3,000"), std::string::npos) << tooLong;
  EXPECT_NE(tooLong.find("256"), std::string::npos) << tooLong;
  refused(greedy({}, 1), base::ErrorCode::kInvalidArgument);
  refused(greedy({kVocabulary}, 1), base::ErrorCode::kInvalidArgument);
  refused(greedy({-1}, 1), base::ErrorCode::kInvalidArgument);
  refused(greedy({1}, -2), base::ErrorCode::kInvalidArgument);
  Request request = greedy({1}, 1);
  request.topLogprobs = 21;
  refused(request, base::ErrorCode::kInvalidArgument);
  for (const std::int64_t time : {std::int64_t{-1}, INT64_MAX, INT64_MIN}) {
    request = greedy({1}, 1);
    request.deadline = std::chrono::milliseconds(time);
    refused(request, base::ErrorCode::kInvalidArgument);
    std::swap(request.deadline, request.longestWait);
    refused(request, base::ErrorCode::kInvalidArgument);
  }
  for (const std::int32_t answers : {0, -1, 5, INT32_MAX}) {
    request = greedy({1}, 1);
    request.answers = answers;
    refused(request, base::ErrorCode::kInvalidArgument);
  }
  request = greedy({1}, 1);
  request.stop.assign(65, "stop");
  refused(request, base::ErrorCode::kInvalidArgument);
  request.stop = {std::string(1025, 'a')};
  refused(request, base::ErrorCode::kInvalidArgument);
  request = greedy({1}, 1);
  request.client.assign(257, 'c');
  refused(request, base::ErrorCode::kInvalidArgument);
  request = greedy({1}, 1);
  request.keepTokens = -2;
  refused(request, base::ErrorCode::kInvalidArgument);
  request = greedy({1}, 1);
  request.choices = {kVocabulary};
  refused(request, base::ErrorCode::kInvalidArgument);
  request.choices.assign(300, 1);
  refused(request, base::ErrorCode::kInvalidArgument);
  request = greedy({1}, 1);
  request.pooling = Pooling::kMean;
  refused(request, base::ErrorCode::kInvalidArgument);
  request = greedy({1}, 1);
  request.sampling.topP = NAN;
  refused(request, base::ErrorCode::kInvalidArgument);
}

TEST(Scheduler, AnEncoderMakesEmbeddingsAndRefusesAnswers) {
  const auto control = std::make_shared<Control>();
  control->readsWholeTexts = true;
  LoadOptions options = LoopTest::defaults();
  options.embeddings = true;
  LoopTest test(options, control);
  Request request = greedy({1, 2, 3}, 1);
  const auto answer = test.loop->submit(request, std::make_shared<Collector>());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), base::ErrorCode::kInvalidArgument);
  EXPECT_NE(answer.error().message().find("encoder"), std::string::npos) << answer.error().message();
  request.choices = {4};
  EXPECT_FALSE(test.loop->submit(request, std::make_shared<Collector>()));
  request.choices.clear();
  request.pooling = Pooling::kMean;
  EXPECT_EQ(test.ask(request)->awaitEnd().reason, FinishReason::kComplete);
}

TEST(Scheduler, AnswerEndsWhereTheContextDoes) {
  LoopTest test;
  const auto sink = test.ask(greedy(promptOf(4, 200), -1));
  const Event end = sink->awaitEnd();
  EXPECT_EQ(end.reason, FinishReason::kContextFull);
  EXPECT_EQ(end.usage.promptTokens + end.usage.completionTokens, 256);
  EXPECT_EQ(sink->text(), answerOf(letterOf, promptOf(4, 200), 56));
}

TEST(Scheduler, EndOfTurnIsHeededUnlessTheRequestSaysNo) {
  auto control = std::make_shared<Control>();
  control->script = [](const auto& context) { return context.size() == 8 ? kEnd : 'x'; };
  LoopTest test(LoopTest::defaults(), control);
  const auto sink = test.ask(greedy(promptOf(1, 5), 20));
  EXPECT_EQ(sink->awaitEnd().reason, FinishReason::kEndOfTurn);
  EXPECT_EQ(sink->text(), "xxx");
  Request on = greedy(promptOf(1, 5), 6);
  on.ignoreEnd = true;
  on.emitSpecial = true;
  const auto more = test.ask(on);
  EXPECT_EQ(more->awaitEnd().reason, FinishReason::kMaxTokens);
  EXPECT_EQ(more->text(), "xxx</s>xx");
  const auto none = test.ask(greedy(promptOf(1, 5), 0));
  EXPECT_EQ(none->awaitEnd().reason, FinishReason::kMaxTokens);
  EXPECT_EQ(none->tokenCount(), 0U);
}

TEST(Scheduler, StopTextIsFoundAcrossTokensAndNeverShown) {
  const std::string answer = "ten €uro STOP and more";
  auto control = std::make_shared<Control>();
  control->script = [answer](const auto& context) {
    return static_cast<std::int32_t>(
        static_cast<unsigned char>(answer[(context.size() - 1) % answer.size()]));
  };
  LoopTest test(LoopTest::defaults(), control);
  for (const auto& [stop, shown] : {std::pair{"STOP", "ten €uro "}, std::pair{"€", "ten "}}) {
    Request request = greedy({1}, 22);
    request.stop = {stop, "never"};
    const auto sink = test.ask(request);
    EXPECT_EQ(sink->awaitEnd().reason, FinishReason::kStopString);
    EXPECT_EQ(sink->text(), shown);
    std::string soFar;
    for (const Event& event : sink->events()) {
      soFar += event.text;
      EXPECT_EQ(std::string(shown).rfind(soFar, 0), 0U) << soFar;
    }
  }
  Request request = greedy({1}, 12);
  request.stop = {"STOPS"};
  const auto sink = test.ask(request);
  EXPECT_EQ(sink->awaitEnd().reason, FinishReason::kMaxTokens);
  EXPECT_EQ(sink->text(), "ten €uro S") << "what was held back comes at the end";
}

TEST(Scheduler, CancelTakesEffectWithinAStepInEveryPhase) {
  LoadOptions options = LoopTest::defaults();
  options.parallel = 1;
  options.batchTokens = 16;
  auto control = std::make_shared<Control>();
  control->allowed = 2;
  LoopTest test(options, control);
  const auto prefilling = test.ask(greedy(promptOf(1, 200), 50));
  const RequestId prefillingId = test.last;
  const auto waiting = test.ask(greedy(promptOf(2, 10), 50));
  const RequestId waitingId = test.last;
  control->awaitBlocked();
  test.loop->cancel(waitingId);
  test.loop->cancel(prefillingId);
  test.loop->cancel(12345);
  control->allow(1);  // the step that is on its way, and no other
  EXPECT_EQ(waiting->awaitEnd().reason, FinishReason::kCancelled);
  EXPECT_EQ(prefilling->awaitEnd().reason, FinishReason::kCancelled);
  EXPECT_EQ(prefilling->tokenCount(), 0U);

  control->allow(4);
  const auto decoding = test.ask(greedy(promptOf(3, 10), 50));
  const RequestId decodingId = test.last;
  decoding->awaitTokens(4);
  control->awaitBlocked();
  test.loop->cancel(decodingId);
  control->allow(1);
  EXPECT_EQ(decoding->awaitEnd().reason, FinishReason::kCancelled);
  EXPECT_LE(decoding->tokenCount(), 5U);
  control->allow(-1);
  const auto after = test.ask(greedy(promptOf(4, 10), 5));
  EXPECT_EQ(after->awaitEnd().reason, FinishReason::kMaxTokens);
  EXPECT_EQ(test.loop->stats().kvBlocksUsed, 0);
}

TEST(Scheduler, SinkThatThrowsHarmsNobodyElse) {
  LoopTest test;
  auto bad = std::make_shared<Collector>();
  bad->onEach = [](const Event& event) {
    if (event.kind == Event::Kind::kTokens) throw std::runtime_error("sink");
  };
  ASSERT_TRUE(test.loop->submit(greedy(promptOf(1, 10), -1), bad));
  auto worse = std::make_shared<Collector>();
  worse->onEach = [](const Event&) { throw 1; };
  ASSERT_TRUE(test.loop->submit(greedy(promptOf(2, 10), -1), worse));
  const auto good = test.ask(greedy(promptOf(3, 10), 100));
  EXPECT_EQ(good->awaitEnd().reason, FinishReason::kMaxTokens);
  EXPECT_EQ(good->text(), answerOf(letterOf, promptOf(3, 10), 100));
  EXPECT_EQ(test.loop->stats().running, 0) << "the other two were ended";
}

TEST(Scheduler, StepThatFailsEndsItsRequestsAndNoOthers) {
  auto control = std::make_shared<Control>();
  control->failAtRun = 3;
  LoopTest test(LoopTest::defaults(), control);
  const auto failed = test.ask(greedy(promptOf(1, 10), 50));
  const Event end = failed->awaitEnd();
  EXPECT_EQ(end.reason, FinishReason::kFailed);
  ASSERT_TRUE(end.error);
  EXPECT_EQ(end.error->code(), base::ErrorCode::kDevice);
  const auto next = test.ask(greedy(promptOf(1, 10), 50));
  EXPECT_EQ(next->awaitEnd().reason, FinishReason::kMaxTokens);
  EXPECT_EQ(next->text(), answerOf(letterOf, promptOf(1, 10), 50));
}

TEST(Scheduler, ShutdownTellsEverySink) {
  auto control = std::make_shared<Control>();
  control->allowed = 5;
  LoopTest test(LoopTest::defaults(), control);
  std::vector<std::shared_ptr<Collector>> sinks;
  for (std::int32_t i = 0; i < 20; ++i) sinks.push_back(test.ask(greedy(promptOf(i, 10), -1)));
  control->awaitBlocked();
  std::thread open([&] { control->allow(-1); });
  test.loop.reset();
  open.join();
  for (const auto& sink : sinks) {
    // Those that ran may have come to the end of their context first.
    const FinishReason reason = sink->awaitEnd().reason;
    EXPECT_TRUE(reason == FinishReason::kCancelled || reason == FinishReason::kContextFull);
  }
}

TEST(Scheduler, LogprobsNameTheChosenFirstAndThenTheLikeliest) {
  LoopTest test;
  Request request = greedy(promptOf(1, 10), 3);
  request.topLogprobs = 3;
  const auto sink = test.ask(request);
  sink->awaitEnd();
  int seen = 0;
  for (const Event& event : sink->events()) {
    if (event.tokens.empty()) continue;
    ASSERT_EQ(event.logprobs.size(), 1U);
    const auto& list = event.logprobs.front();
    ASSERT_EQ(list.size(), 4U);
    // One logit of 10 and 256 of 0.
    const double sum = std::log(std::exp(10.0) + 256);
    EXPECT_EQ(list[0].token, event.tokens.front());
    EXPECT_NEAR(list[0].logprob, 10 - sum, 1e-5);
    EXPECT_EQ(list[1].token, list[0].token);
    EXPECT_EQ(list[2].token, 0) << "of equal ones the lowest id";
    EXPECT_NEAR(list[2].logprob, -sum, 1e-5);
    ++seen;
  }
  EXPECT_EQ(seen, 3);
}

TEST(Scheduler, SeedsRepeatAnAnswerWhateverElseRuns) {
  LoopTest test;
  const auto ask = [&](std::uint64_t seed) {
    Request request = greedy(promptOf(1, 20), 60);
    request.sampling = {};
    request.sampling.temperature = 3;
    request.sampling.topK = 0;
    request.sampling.topP = 1;
    request.sampling.minP = 0;
    request.sampling.randomSeed = false;
    request.sampling.seed = seed;
    request.ignoreEnd = true;
    return test.ask(request);
  };
  const auto alone = ask(5);
  alone->awaitEnd();
  const auto again = ask(5);
  const auto other = ask(6);
  const auto noise = test.ask(greedy(promptOf(2, 90), 60));
  for (const auto& sink : {again, other, noise}) sink->awaitEnd();
  EXPECT_EQ(alone->text(), again->text());
  EXPECT_NE(alone->text(), other->text());
}

TEST(Scheduler, ManyThreadsMaySubmitCancelAndLook) {
  LoopTest test;
  std::atomic<int> ended{0};
  std::vector<std::thread> threads;
  for (std::int32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::vector<std::shared_ptr<Collector>> sinks;
      for (std::int32_t i = 0; i < 25; ++i) {
        auto sink = std::make_shared<Collector>();
        const auto id = test.loop->submit(greedy(promptOf(t * 100 + i, 40), 12), sink);
        if (!id) continue;
        sinks.push_back(sink);
        if (i % 3 == 0) test.loop->cancel(*id);
        (void)test.loop->stats();
      }
      for (const auto& sink : sinks) {
        sink->awaitEnd();
        ++ended;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(ended, 100);
}

/// Several clients at once with everything that a request may ask, against a cache that is far too small.
TEST(Scheduler, ClientsThatAskAndCancelAtRandomGetWhatTheyWouldAlone) {
  LoadOptions options = LoopTest::defaults();
  options.parallel = 5;
  options.queueLimit = 64;
  options.embeddings = true;
  auto control = std::make_shared<Control>();
  control->promptsAreDecodes = false;
  control->script = echoOf;
  control->batchTokens = options.batchTokens;
  control->logitRows = options.parallel + kDraftRows;
  Loop loop(std::make_unique<FakeExecutable>(control, 13), std::make_shared<ByteTokenizer>(), options);
  std::vector<std::thread> clients;
  for (std::uint32_t client = 0; client < 4; ++client) {
    clients.emplace_back([&loop, client] {
      std::mt19937 random(client);
      const auto below = [&](int n) {
        return static_cast<std::int32_t>(random() % static_cast<unsigned>(n));
      };
      struct Asked {
        Request request;
        std::shared_ptr<Collector> sink;
      };
      std::vector<Asked> asked;
      const auto check = [&] {
        for (const auto& [request, sink] : asked) {
          const Event end = sink->awaitEnd();
          ASSERT_NE(end.reason, FinishReason::kFailed);
          if (request.pooling != Pooling::kNone || request.answers > 1) continue;
          const std::string text = sink->text();
          ASSERT_EQ(text, answerOf(echoOf, request.prompt, text.size(), kDecodedMark));
        }
        asked.clear();
      };
      for (int i = 0; i < 250; ++i) {
        Request request = greedy(promptOf(below(4), static_cast<std::size_t>(1 + below(150))), below(80));
        request.priority = static_cast<Priority>(below(kPriorities));
        request.client = std::to_string(client);
        request.answers = below(8) == 0 ? 1 + below(4) : 1;
        if (below(9) == 0) request.deadline = std::chrono::milliseconds(1 + below(20));
        if (below(9) == 0 && request.answers == 1) request.pooling = Pooling::kMean;
        auto sink = std::make_shared<Collector>();
        const auto id = loop.submit(request, sink);
        if (id) asked.push_back({std::move(request), std::move(sink)});
        if (id && below(5) == 0) loop.cancel(*id);
        if (below(30) == 0) (void)loop.stats();
        if (asked.size() > 12) check();
      }
      check();
    });
  }
  for (auto& client : clients) client.join();
  // What is computed ahead for next turns holds blocks for a while, again and again; a lost one is held for
  // ever.
  std::int32_t used = -1;
  for (int i = 0; i < 10000 && used != 0; ++i) {
    used = loop.stats().kvBlocksUsed;
    if (used != 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(used, 0);
  EXPECT_EQ(loop.stats().running, 0);
}

}  // namespace
}  // namespace quern::engine::scheduler
