#include "engine/runtime/cpu/thread_pool.h"

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

TEST(ThreadPool, BarrierShowsEveryoneWhatOthersWroteBefore) {
  constexpr std::int32_t kThreads = 3;
  constexpr int kRounds = 300;
  ThreadPool pool(kThreads);
  pool.setActive(true);
  // Plain, not atomic: a barrier that orders nothing shows as a wrong sum here and as a race under TSan.
  std::vector<int> cells(kThreads);
  std::vector<int> wrong(kThreads);
  pool.run([&](std::int32_t worker) {
    const auto own = static_cast<std::size_t>(worker);
    for (int round = 1; round <= kRounds; ++round) {
      cells[own] = round;
      pool.barrier();
      if (std::accumulate(cells.begin(), cells.end(), 0) != round * kThreads) ++wrong[own];
      pool.barrier();
    }
  });
  EXPECT_EQ(std::accumulate(wrong.begin(), wrong.end(), 0), 0);
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
