#include "engine/runtime/cpu/decode_width.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/runtime/cpu/thread_pool.h"

namespace quern::engine::runtime {
namespace {

constexpr auto kLong = std::chrono::hours(1);

TEST(DecodeWidth, FewThreadsAreAllTakenUnmeasured) {
  for (std::int32_t most = 1; most <= 4; ++most) {
    const auto never = [](std::int32_t) -> double {
      ADD_FAILURE() << "measured";
      return 0;
    };
    EXPECT_EQ(fewestFastWorkers(most, never, kLong), most);
  }
}

TEST(DecodeWidth, StopsWhereTheMemoryIsFull) {
  std::int32_t widest = 0;
  const auto full = [&](double limit) {
    return [&, limit](std::int32_t n) {
      widest = std::max(widest, n);
      return std::min(12e9 * n, limit);
    };
  };
  EXPECT_EQ(fewestFastWorkers(128, full(47e9), kLong), 4);
  EXPECT_LE(widest, 12);  // and does not try them all
  EXPECT_EQ(fewestFastWorkers(128, full(90e9), kLong), 8);
  EXPECT_EQ(fewestFastWorkers(128, full(210e9), kLong), 24);
  EXPECT_EQ(fewestFastWorkers(16, full(1e15), kLong), 16);
  EXPECT_EQ(fewestFastWorkers(7, full(1e15), kLong), 7);
  EXPECT_EQ(fewestFastWorkers(5, full(1e15), kLong), 5);
}

TEST(DecodeWidth, TakesFewerWhereMoreAreSlower) {
  const auto crowded = [](std::int32_t n) { return n <= 6 ? 10e9 * n : 60e9 / std::sqrt(n / 6.0); };
  EXPECT_EQ(fewestFastWorkers(64, crowded, kLong), 6);
}

TEST(DecodeWidth, AllAreTakenWhenTimeRunsOut) {
  const auto slow = [](std::int32_t) { return 1e9; };
  EXPECT_EQ(fewestFastWorkers(64, slow, std::chrono::nanoseconds(-1)), 64);
}

TEST(DecodeWidth, NoSpeedAtAllIsNoEndlessLoop) {
  const std::int32_t chosen = fewestFastWorkers(
      64, [](std::int32_t) { return 0.0; }, kLong);
  EXPECT_GE(chosen, 1);
  EXPECT_LE(chosen, 64);
}

TEST(DecodeWidth, MeasuresWithMoreThreadsThanCores) {
  const kernels::cpu::Kernels& kernels = *kernels::cpu::selectKernels();
  std::vector<std::byte> packed(kernels.packedBytes(kernels::DType::kQ4_0, 1000, 512) + 64);
  auto* data = reinterpret_cast<std::byte*>((reinterpret_cast<std::uintptr_t>(packed.data()) + 63) / 64 * 64);
  const kernels::cpu::PackedMatrix matrices[] = {
      {kernels::DType::kQ4_0, 1000, 512, data, packed.size() - 64},
      {kernels::DType::kQ4_0, 5, 512, data, kernels.packedBytes(kernels::DType::kQ4_0, 5, 512)}};
  for (const std::int32_t threads : {1, 2, 5, 9}) {
    ThreadPool pool(threads);
    const std::int32_t chosen = decodeWorkers(pool, kernels, matrices);
    EXPECT_GE(chosen, 1);
    EXPECT_LE(chosen, threads);
    EXPECT_EQ(decodeWorkers(pool, kernels, matrices), chosen);
  }
}

}  // namespace
}  // namespace quern::engine::runtime
