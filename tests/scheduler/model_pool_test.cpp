// The pool with models without weights and a clock that stands still: who is loaded, kept, given up and
// refused.
#include "engine/scheduler/model_pool.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/scheduler/pool_fakes.h"

namespace quern::engine::scheduler {
namespace {

using namespace std::chrono_literals;
using State = PooledModel::State;
using Names = std::vector<std::string>;

AcquireOptions withContext(std::int32_t tokens) {
  AcquireOptions options;
  options.load.emplace();
  options.load->contextTokens = tokens;
  return options;
}
AcquireOptions keptFor(std::chrono::milliseconds time) {
  AcquireOptions options;
  options.keepAlive = time;
  return options;
}
AcquireOptions waitingFor(std::chrono::milliseconds time) {
  AcquireOptions options;
  options.roomWait = time;
  return options;
}

PooledModel only(const ModelPool& pool) {
  const PoolStatus status = pool.list();
  EXPECT_EQ(status.models.size(), 1U);
  return status.models.empty() ? PooledModel{} : status.models.front();
}

/// Loads `name` and gives it back at once.
void visit(ModelPool& pool, const std::string& name, const AcquireOptions& options = {}) {
  const auto lease = pool.acquire(name, options);
  EXPECT_TRUE(lease) << (lease ? "" : lease.error().describe());
}

TEST(ModelPool, LoadsOnDemandAndOnceForAllWhoComeMeanwhile) {
  World world;
  world.holdLoads();
  ModelPool pool(world.options(1000));
  std::vector<Pending> waiting(8);
  for (Pending& one : waiting) pool.acquireLater("a", {}, one.done());
  world.awaitLoads(1);
  pool.acquireLater("./x/../a", {}, waiting.emplace_back().done());
  EXPECT_EQ(only(pool).state, State::kLoading);
  EXPECT_EQ(only(pool).waiting, 9);
  EXPECT_EQ(pool.list().usedBytes, 100U);
  world.releaseLoads();
  std::vector<Lease> leases;
  for (Pending& one : waiting) {
    auto lease = one.await();
    ASSERT_TRUE(lease);
    leases.push_back(std::move(*lease));
  }
  EXPECT_EQ(world.loads(), 1);
  EXPECT_EQ(only(pool).leases, 9);
  EXPECT_EQ(only(pool).waiting, 0);
  EXPECT_EQ(only(pool).state, State::kReady);
  EXPECT_FALSE(only(pool).idleFor.has_value());
  EXPECT_EQ(leases[0].get(), leases[8].get());
}

TEST(ModelPool, AnswersAtOnceWhereTheModelIsReady) {
  World world;
  ModelPool pool(world.options(1000));
  visit(pool, "a");
  std::thread::id on;
  pool.acquireLater("a", {}, [&](const base::Result<Lease>& lease) {
    EXPECT_TRUE(lease);
    on = std::this_thread::get_id();
  });
  EXPECT_EQ(on, std::this_thread::get_id());
}

TEST(ModelPool, TimeToLiveBeginsWhenTheLastLeaseComesBack) {
  World world;
  auto options = world.stillOptions(1000);
  options.idleTimeToLive = 10s;
  ModelPool pool(std::move(options));
  auto lease = pool.acquire("a");
  ASSERT_TRUE(lease);
  Lease copy = *lease;
  world.advance(pool, 60s);
  *lease = nullptr;
  world.advance(pool, 60s);
  copy.reset();
  world.advance(pool, 9999ms);
  EXPECT_EQ(world.loaded(), Names{"a"});
  EXPECT_EQ(*only(pool).idleFor, 9999ms);
  EXPECT_EQ(*only(pool).expiresIn, 1ms);
  world.advance(pool, 1ms);
  EXPECT_EQ(world.loaded(), Names{});
  EXPECT_TRUE(pool.list().models.empty());
  EXPECT_EQ(pool.list().usedBytes, 0U);
}

TEST(ModelPool, UseInBetweenBeginsTheTimeToLiveAnew) {
  World world;
  auto options = world.stillOptions(1000);
  options.idleTimeToLive = 10s;
  ModelPool pool(std::move(options));
  visit(pool, "a");
  world.advance(pool, 9s);
  visit(pool, "a");
  world.advance(pool, 9s);
  EXPECT_EQ(world.loaded(), Names{"a"});
  EXPECT_EQ(world.loads(), 1);
}

TEST(ModelPool, KeepAliveOfARequestCountsInsteadOfThePools) {
  World world;
  auto options = world.stillOptions(1000);
  options.idleTimeToLive = 10s;
  ModelPool pool(std::move(options));
  visit(pool, "short", keptFor(1s));
  visit(pool, "never", keptFor(-1ms));
  visit(pool, "endless", keptFor(std::chrono::milliseconds::max()));
  visit(pool, "gone", keptFor(0ms));
  pool.tick();
  EXPECT_EQ(world.loaded(), (Names{"endless", "never", "short"}));
  world.advance(pool, 1s);
  EXPECT_EQ(world.loaded(), (Names{"endless", "never"}));
  world.advance(pool, 100h);
  EXPECT_EQ(world.loaded(), (Names{"endless", "never"}));
  visit(pool, "never", keptFor(5s));  // The last word counts.
  world.advance(pool, 5s);
  EXPECT_EQ(world.loaded(), Names{"endless"});
}

TEST(ModelPool, RealClockUnloadsByItself) {
  World world;
  auto options = world.options(1000);
  options.idleTimeToLive = 20ms;
  ModelPool pool(std::move(options));
  visit(pool, "a");
  for (int i = 0; i < 2000 && !world.loaded().empty(); ++i) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(world.loaded(), Names{});
}

TEST(ModelPool, LongestUnusedMakesRoom) {
  World world;
  ModelPool pool(world.stillOptions(300));
  for (const char* name : {"a", "b", "c"}) {
    visit(pool, name);
    world.advance(pool, 1s);
  }
  visit(pool, "a");
  world.advance(pool, 1s);
  visit(pool, "d");
  EXPECT_EQ(world.loaded(), (Names{"a", "c", "d"}));
  EXPECT_EQ(world.mostBytes(), 300U);
  EXPECT_EQ(world.ends, 1);  // No more than needed.
}

TEST(ModelPool, ModelsInUseAndPinnedOnesStay) {
  World world;
  ModelPool pool(world.stillOptions(300));
  pool.pin("a", true);
  visit(pool, "a");
  world.advance(pool, 1s);
  const auto b = pool.acquire("b");
  ASSERT_TRUE(b);
  visit(pool, "c");
  visit(pool, "d");
  EXPECT_EQ(world.loaded(), (Names{"a", "b", "d"}));
  world.advance(pool, 1h);
  EXPECT_EQ(world.loaded(), (Names{"a", "b"}));
  EXPECT_TRUE(pool.list().models[0].pinned);
  EXPECT_FALSE(pool.list().models[0].expiresIn.has_value());
  pool.pin("a", false);
  pool.tick();
  EXPECT_EQ(world.loaded(), Names{"b"});
}

TEST(ModelPool, RefusesWhatCanNeverFitAndSaysWhy) {
  World world;
  world.models["large"].bytes = 5 << 20;
  ModelPool pool(world.options(4 << 20));
  visit(pool, "a");
  const auto refused = pool.acquire("large", waitingFor(-1ms));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), base::ErrorCode::kOutOfMemory);
  EXPECT_EQ(
      refused.error().message(),
      "\"large\" needs 5.00 MiB of memory with this context, and all models together may hold 4.00 MiB. "
      "Choose a shorter context or a smaller model, or raise the memory budget.");
  EXPECT_EQ(world.loaded(), Names{"a"});  // Nothing was given up for it.
  EXPECT_EQ(pool.list().models.size(), 1U);
}

TEST(ModelPool, RefusesWhatCannotFitBesidePinnedOnes) {
  World world;
  ModelPool pool(world.options(250));
  pool.pin("a", true);
  pool.pin("b", true);
  visit(pool, "a");
  visit(pool, "b");
  const auto refused = pool.acquire("c", waitingFor(-1ms));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), base::ErrorCode::kOutOfMemory);
  EXPECT_NE(refused.error().message().find("\"a\" holds 100 bytes (pinned), \"b\" holds 100 bytes (pinned)"),
            std::string::npos)
      << refused.error().message();
}

TEST(ModelPool, SaysWhoHoldsTheRoomWhereItMayNotWait) {
  World world;
  ModelPool pool(world.options(250));
  auto a = pool.acquire("a");
  const auto b = pool.acquire("b");
  const auto again = pool.acquire("b");
  const auto refused = pool.acquire("c", waitingFor(0ms));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), base::ErrorCode::kBusy);
  EXPECT_EQ(
      refused.error().message(),
      "\"c\" needs 100 bytes of memory, and 50 bytes of the budget of 250 bytes are free: \"a\" holds "
      "100 bytes (in use by 1), \"b\" holds 100 bytes (in use by 2). Try again in a moment, unload one of "
      "them, or raise the memory budget.");
  *a = nullptr;
  EXPECT_TRUE(pool.acquire("c", waitingFor(0ms)));
}

TEST(ModelPool, WaitsForModelsInUseUntilItsTimeIsOver) {
  World world;
  ModelPool pool(world.stillOptions(100));
  auto a = pool.acquire("a");
  Pending late;
  Pending patient;
  pool.acquireLater("b", waitingFor(2s), late.done());
  pool.acquireLater("b", waitingFor(-1ms), patient.done());
  while (world.estimates < 2) std::this_thread::sleep_for(1ms);
  world.advance(pool, 1s);
  EXPECT_FALSE(late.answered());
  // Its time counts from when the pool has seen that there is no room, which is not yet certain here.
  for (int i = 0; i < 5000 && !late.answered(); ++i) {
    world.advance(pool, 60s);
    std::this_thread::sleep_for(1ms);
  }
  const auto refused = late.await();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), base::ErrorCode::kBusy);
  EXPECT_FALSE(patient.answered());
  *a = nullptr;
  EXPECT_TRUE(patient.await());
  EXPECT_EQ(world.loaded(), Names{"b"});
}

TEST(ModelPool, SmallOneMayPassALoadThatWaitsButNotForEver) {
  World world;
  world.models["big"].bytes = 300;
  auto options = world.stillOptions(300);
  options.patience = 5s;
  ModelPool pool(std::move(options));
  auto a = pool.acquire("a");
  Pending big;
  pool.acquireLater("big", waitingFor(-1ms), big.done());
  while (world.estimates < 2) std::this_thread::sleep_for(1ms);
  pool.tick();
  EXPECT_TRUE(pool.acquire("b"));  // Passes.
  EXPECT_TRUE(pool.acquire("a"));
  world.advance(pool, 5s);
  // From now on the room is kept for the big one: neither may a model in its way be used anew, nor another be
  // loaded.
  Pending again;
  Pending other;
  pool.acquireLater("a", waitingFor(-1ms), again.done());
  pool.acquireLater("c", waitingFor(-1ms), other.done());
  while (world.estimates < 4) std::this_thread::sleep_for(1ms);
  pool.tick();
  EXPECT_FALSE(again.answered());
  EXPECT_FALSE(other.answered());
  EXPECT_FALSE(big.answered());
  *a = nullptr;
  {
    auto lease = big.await();
    EXPECT_TRUE(lease);
  }
  EXPECT_TRUE(again.await());
  EXPECT_TRUE(other.await());
}

TEST(ModelPool, WhoWaitedForAModelInTheWayGetsItWhenTheOtherGivesUp) {
  World world;
  world.models["big"].bytes = 300;
  auto options = world.stillOptions(300);
  options.patience = 0s;
  ModelPool pool(std::move(options));
  const auto a = pool.acquire("a");
  Pending big;
  const auto ticket = pool.acquireLater("big", waitingFor(-1ms), big.done());
  while (world.estimates < 2) std::this_thread::sleep_for(1ms);
  pool.tick();
  pool.tick();
  Pending again;
  pool.acquireLater("a", {}, again.done());
  pool.tick();
  EXPECT_FALSE(again.answered());
  pool.abandon(ticket);
  EXPECT_EQ(big.await().error().code(), base::ErrorCode::kCancelled);
  EXPECT_TRUE(again.await());
  EXPECT_EQ(world.loads(), 1);
}

TEST(ModelPool, FailedLoadIsToldToAllWhoWaitAndTriedAnewByTheNext) {
  World world;
  world.failsNow = true;
  world.holdLoads();
  ModelPool pool(world.options(1000));
  std::vector<Pending> waiting(5);
  for (Pending& one : waiting) pool.acquireLater("a", {}, one.done());
  world.awaitLoads(1);
  world.releaseLoads();
  for (Pending& one : waiting) {
    const auto failed = one.await();
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().message(), "The disk does not answer.");
  }
  EXPECT_EQ(world.loads(), 1);
  pool.tick();
  EXPECT_TRUE(pool.list().models.empty());
  EXPECT_EQ(pool.list().usedBytes, 0U);
  world.failsNow = false;
  EXPECT_TRUE(pool.acquire("a"));
}

TEST(ModelPool, LoaderThatThrowsIsAnError) {
  World world;
  auto options = world.options(1000);
  options.load = [](const auto&, const auto&, const auto&) -> base::Result<std::shared_ptr<Engine>> {
    throw std::runtime_error("broken");
  };
  ModelPool pool(std::move(options));
  const auto failed = pool.acquire("a");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code(), base::ErrorCode::kInternal);
}

TEST(ModelPool, MissingFileIsSaidByTheRealLoader) {
  PoolOptions options;
  options.memoryBudgetBytes = 1 << 30;
  ModelPool pool(std::move(options));
  const auto failed = pool.acquire("/nowhere/model.gguf");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code(), base::ErrorCode::kNotFound);
}

TEST(ModelPool, OneWhoGivesUpLeavesTheOthersTheirLoad) {
  World world;
  world.holdLoads();
  ModelPool pool(world.options(1000));
  Pending first;
  Pending second;
  const auto one = pool.acquireLater("a", {}, first.done());
  pool.acquireLater("a", {}, second.done());
  world.awaitLoads(1);
  pool.abandon(one);
  EXPECT_EQ(first.await().error().code(), base::ErrorCode::kCancelled);
  world.releaseLoads();
  EXPECT_TRUE(second.await());
  EXPECT_EQ(world.loads(), 1);
}

TEST(ModelPool, LoadThatNobodyWaitsForStops) {
  World world;
  world.holdLoads();
  ModelPool pool(world.options(1000));
  Pending first;
  const auto one = pool.acquireLater("a", {}, first.done());
  world.awaitLoads(1);
  pool.abandon(one);
  EXPECT_EQ(first.await().error().code(), base::ErrorCode::kCancelled);
  for (int i = 0; i < 2000 && !pool.list().models.empty(); ++i) std::this_thread::sleep_for(10ms);
  EXPECT_TRUE(pool.list().models.empty());
  EXPECT_TRUE(world.loaded().empty());
}

TEST(ModelPool, ProgressIsToldToTheCallerAndMayStopIt) {
  World world;
  world.holdLoads();
  ModelPool pool(world.options(1000));
  double seen = 0;
  const auto stopped = pool.acquire("a", {}, [&](double fraction) {
    seen = std::max(seen, fraction);
    return seen < 0.5;
  });
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code(), base::ErrorCode::kCancelled);
  EXPECT_EQ(seen, 0.5);
  world.releaseLoads();
  EXPECT_TRUE(pool.acquire("a", {}, [](double) { return true; }));
}

TEST(ModelPool, SmallerWishIsServedByWhatIsLoaded) {
  World world;
  ModelPool pool(world.options(1000));
  visit(pool, "a", withContext(4096));
  visit(pool, "a", withContext(2048));
  visit(pool, "a", withContext(0));
  visit(pool, "a");
  EXPECT_EQ(world.loads(), 1);
}

TEST(ModelPool, LargerWishLoadsAnewWhenTheLeasesAreBack) {
  World world;
  ModelPool pool(world.stillOptions(1000));
  auto small = pool.acquire("a", withContext(512));
  ASSERT_TRUE(small);
  Pending large;
  Pending any;
  pool.acquireLater("a", withContext(4096), large.done());
  pool.acquireLater("a", {}, any.done());
  pool.tick();
  EXPECT_FALSE(large.answered());
  EXPECT_FALSE(any.answered());  // Those behind would keep it in use for ever.
  const auto impatient = pool.acquire("a", [] {
    auto options = withContext(4096);
    options.roomWait = 0ms;
    return options;
  }());
  ASSERT_FALSE(impatient);
  EXPECT_EQ(impatient.error().code(), base::ErrorCode::kBusy);
  *small = nullptr;
  const auto lease = large.await();
  ASSERT_TRUE(lease);
  EXPECT_EQ((*lease)->options().contextTokens, 4096);
  EXPECT_TRUE(any.await());
  EXPECT_EQ(world.loads(), 2);
}

TEST(ModelPool, UnloadWaitsForLeasesAndGivesNoNewOnes) {
  World world;
  ModelPool pool(world.options(1000));
  EXPECT_EQ(pool.unload("a").error().code(), base::ErrorCode::kNotFound);
  pool.pin("a", true);
  auto lease = pool.acquire("a");
  const auto busy = pool.unload("a");
  ASSERT_FALSE(busy);
  EXPECT_EQ(busy.error().code(), base::ErrorCode::kBusy);
  Pending next;
  pool.acquireLater("a", {}, next.done());
  pool.tick();
  EXPECT_FALSE(next.answered());
  *lease = nullptr;
  {
    const auto anew = next.await();
    EXPECT_TRUE(anew);
    EXPECT_EQ(world.loads(), 2);
  }
  EXPECT_TRUE(pool.unload("a", 20s));
  EXPECT_EQ(world.loaded(), Names{});
  EXPECT_TRUE(pool.list().models.empty());
}

TEST(ModelPool, UnloadEndsALoad) {
  World world;
  world.holdLoads();
  ModelPool pool(world.options(1000));
  Pending waiting;
  pool.acquireLater("a", {}, waiting.done());
  world.awaitLoads(1);
  EXPECT_TRUE(pool.unload("a", 20s));
  EXPECT_EQ(waiting.await().error().code(), base::ErrorCode::kCancelled);
  EXPECT_EQ(world.loaded(), Names{});
}

TEST(ModelPool, WhoComesBehindAnEndedLoadGetsItsOwn) {
  World world;
  world.holdLoads();
  ModelPool pool(world.options(1000));
  Pending first;
  Pending second;
  pool.acquireLater("a", {}, first.done());
  world.awaitLoads(1);
  EXPECT_TRUE(pool.unload("a"));
  pool.acquireLater("a", {}, second.done());
  EXPECT_EQ(first.await().error().code(), base::ErrorCode::kCancelled);
  world.releaseLoads();
  EXPECT_TRUE(second.await());
}

TEST(ModelPool, ModelLargerThanItsEstimatePushesIdleOnesOut) {
  World world;
  world.models["grown"] = {150, 100, {}};
  ModelPool pool(world.options(210));
  visit(pool, "a");
  const auto lease = pool.acquire("grown");
  ASSERT_TRUE(lease);
  pool.tick();
  EXPECT_EQ(world.loaded(), Names{"grown"});
  EXPECT_EQ(pool.list().usedBytes, 150U);
}

TEST(ModelPool, RefusesMoreWaitersThanItsLimit) {
  World world;
  world.holdLoads();
  auto options = world.options(1000);
  options.waitingLimit = 2;
  ModelPool pool(std::move(options));
  Pending first;
  Pending second;
  pool.acquireLater("a", {}, first.done());
  pool.acquireLater("b", {}, second.done());
  EXPECT_EQ(pool.acquire("c").error().code(), base::ErrorCode::kBusy);
  world.releaseLoads();
  EXPECT_TRUE(first.await());
  EXPECT_TRUE(second.await());
  EXPECT_TRUE(pool.acquire("c"));
}

TEST(ModelPool, EndAnswersAllWhoWaitAndWaitsForLeases) {
  World world;
  world.holdLoads();
  Pending loading;
  Pending queued;
  auto pool = std::make_unique<ModelPool>(world.options(1000));
  pool->acquireLater("a", {}, loading.done());
  pool->acquireLater("b", {}, queued.done());
  world.awaitLoads(1);
  pool.reset();
  EXPECT_EQ(loading.await().error().code(), base::ErrorCode::kCancelled);
  EXPECT_EQ(queued.await().error().code(), base::ErrorCode::kCancelled);
  EXPECT_TRUE(world.loaded().empty());

  world.releaseLoads();
  pool = std::make_unique<ModelPool>(world.options(1000));
  auto lease = pool->acquire("a");
  ASSERT_TRUE(lease);
  std::thread holder([held = std::move(*lease), &world]() mutable {
    std::this_thread::sleep_for(50ms);
    EXPECT_EQ(world.loaded(), Names{"a"});
    held.reset();
  });
  pool.reset();
  EXPECT_TRUE(world.loaded().empty());
  holder.join();
}

TEST(ModelPool, CallbackMayAskForTheNextModelAndGiveLeasesBack) {
  World world;
  ModelPool pool(world.options(100));
  Pending second;
  pool.acquireLater("a", {}, [&](base::Result<Lease> lease) {
    EXPECT_TRUE(lease);
    pool.acquireLater("b", {}, second.done());
    *lease = nullptr;
  });
  EXPECT_TRUE(second.await());
}

TEST(ModelPool, SinkHoldsItsModelUntilItsRequestIsFinished) {
  World world;
  ModelPool pool(world.options(1000));
  class Nothing : public EventSink {
    void onEvent(const Event&) override {}
  };
  auto lease = pool.acquire("a");
  ASSERT_TRUE(lease);
  const auto sink = holdUntilFinished(std::move(*lease), std::make_shared<Nothing>());
  *lease = nullptr;
  EXPECT_EQ(only(pool).leases, 1);
  sink->onEvent(Event{});
  EXPECT_EQ(only(pool).leases, 1);
  Event end;
  end.kind = Event::Kind::kFinished;
  sink->onEvent(end);
  EXPECT_EQ(only(pool).leases, 0);
}

}  // namespace
}  // namespace quern::engine::scheduler
