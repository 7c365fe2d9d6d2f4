#include "engine/runtime/cpu/thread_pool.h"
#include "engine/runtime/cpu/phases.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <vector>

#include "engine/runtime/backend.h"

namespace quern::engine::runtime {
namespace {

TEST(ThreadPool, RunsEveryWorkerOnceAndReturnsWhenAllAreDone) {
  for (const std::int32_t threads : {1, 2, 3, 5}) {
    ThreadPool pool(threads);
    std::vector<int> calls(static_cast<std::size_t>(threads));
    for (int round = 0; round < 200; ++round) {
      pool.run([&](std::int32_t worker) { ++calls[static_cast<std::size_t>(worker)]; });
      for (const int count : calls) ASSERT_EQ(count, round + 1) << threads << " threads";
    }
  }
}

TEST(ThreadPool, APhaseShowsEveryoneWhatOthersWroteBefore) {
  constexpr std::int32_t kThreads = 3;
  constexpr std::int32_t kShares = 7;
  constexpr int kRounds = 300;
  ThreadPool pool(kThreads);
  Phases phases(2 * kRounds);
  pool.setActive(true);
  for (int run = 0; run < 3; ++run) {
    // Plain, not atomic: a phase that orders nothing shows as a wrong sum here and as a race under TSan.
    std::vector<int> cells(kShares);
    std::vector<int> wrong(kThreads);
    std::vector<int> taken(kShares);
    phases.reset(phases.most());
    pool.run([&](std::int32_t worker) {
      for (int round = 1; round <= kRounds; ++round) {
        const auto phase = static_cast<std::size_t>(2 * (round - 1));
        phases.run(phase, kShares, [&](std::int32_t share) {
          cells[static_cast<std::size_t>(share)] = round;
          ++taken[static_cast<std::size_t>(share)];
        });
        // Nobody writes again before this phase is over, which needs every share to have looked.
        phases.run(phase + 1, kShares, [&](std::int32_t) {
          if (std::accumulate(cells.begin(), cells.end(), 0) != round * kShares)
            ++wrong[static_cast<std::size_t>(worker)];
        });
      }
    });
    EXPECT_EQ(std::accumulate(wrong.begin(), wrong.end(), 0), 0);
    EXPECT_EQ(taken, std::vector<int>(kShares, kRounds));
  }
}

TEST(ThreadPool, APhaseDoesNotWaitForAWorkerThatHoldsNoShare) {
  ThreadPool pool(2);
  Phases phases(100);
  std::atomic<bool> finished{false};
  pool.run([&](std::int32_t worker) {
    // Worker 1 comes late: the other must get through all phases without it.
    while (worker == 1 && !finished.load()) std::this_thread::yield();
    for (std::size_t phase = 0; phase < phases.most(); ++phase) phases.run(phase, 5, [](std::int32_t) {});
    if (worker == 0) finished.store(true);
  });
  EXPECT_TRUE(finished.load());
}

TEST(ThreadPool, RunsSomeOfItsWorkersSpreadEvenly) {
  for (const std::int32_t threads : {1, 2, 3, 7, 12}) {
    ThreadPool pool(threads);
    pool.setActive(threads < 7);  // spinners that have no core are slow
    std::vector<int> calls(static_cast<std::size_t>(threads));
    std::vector<int> expected(static_cast<std::size_t>(threads));
    for (int round = 0; round < 30; ++round) {
      // All, then fewer, then one more: workers that were left out come back in.
      const std::int32_t some = round % 2 == 0 ? threads : round / 2 % (threads + 2);
      const std::int32_t taken = std::clamp(some, 1, threads);
      pool.runSome(some, [&](std::int32_t worker) { ++calls[static_cast<std::size_t>(worker)]; });
      std::int32_t last = -1;
      for (std::int32_t i = 0; i < taken; ++i) {
        const std::int32_t worker = pool.member(i, taken);
        ASSERT_GT(worker, last);
        ASSERT_LT(worker, threads);
        ASSERT_TRUE(i > 0 || worker == 0);
        last = worker;
        ++expected[static_cast<std::size_t>(worker)];
      }
      ASSERT_EQ(calls, expected) << threads << " threads, " << some << " wanted";
      if (round % 10 == 9) std::this_thread::sleep_for(std::chrono::milliseconds(4));  // some go to sleep
    }
  }
}

TEST(ThreadPool, WakesSleepersWhetherActiveOrNot) {
  ThreadPool pool(2);
  std::vector<int> counts(2);
  for (int round = 0; round < 20; ++round) {
    pool.setActive(round % 2 == 0);
    // Long enough for a worker that may sleep to do so.
    if (round % 4 == 3) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    pool.run([&](std::int32_t worker) { ++counts[static_cast<std::size_t>(worker)]; });
  }
  EXPECT_EQ(counts, (std::vector<int>{20, 20}));
}

TEST(ThreadPool, EndsWithoutHavingRunAnything) {
  for (int i = 0; i < 20; ++i) {
    ThreadPool pool(3);
    pool.setActive(i % 2 == 0);
  }
}

TEST(PhysicalCores, AreAtLeastOneAndDifferent) {
  std::vector<int> cores = physicalCores();
  ASSERT_FALSE(cores.empty());
  std::sort(cores.begin(), cores.end());
  EXPECT_EQ(std::adjacent_find(cores.begin(), cores.end()), cores.end());
}

TEST(ReadBandwidth, IsMeasuredOnceAndPlausible) {
  const double first = measuredReadBandwidth(1);
  EXPECT_GT(first, 2e8);
  EXPECT_LT(first, 2e12);
  EXPECT_EQ(measuredReadBandwidth(1), first);
}

}  // namespace
}  // namespace quern::engine::runtime
