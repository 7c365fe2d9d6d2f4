#include "engine/runtime/cpu/read_speed.h"

#include <algorithm>
#include <atomic>
#include <chrono>

#include "engine/runtime/cpu/thread_pool.h"

namespace quern::engine::runtime {
namespace {

/// Several times the last-level cache slice that a virtual machine's cores get to use.
constexpr std::size_t kLargest = 512U << 20;
constexpr std::size_t kReadInAll = 3 * kLargest;
constexpr std::size_t kMostPasses = 16;

/// How far ahead memory is asked for: the processor's own prefetchers stop at the end of every 4 KiB page,
/// and a limit that the kernels (which ask across it too) could pass would be none.
constexpr std::size_t kAhead = 4096;
constexpr std::size_t kRun = 512;

/// Eight sums, so that additions do not wait for each other. What is behind the last whole run is left out.
std::uint64_t sumOf(std::span<const std::byte> bytes) {
  std::uint64_t sums[8] = {};
  const auto* words = reinterpret_cast<const std::uint64_t*>(bytes.data());
  for (std::size_t runs = bytes.size() / kRun; runs > 0; --runs, words += kRun / 8) {
    for (std::size_t line = 0; line < kRun; line += 64) {
      __builtin_prefetch(reinterpret_cast<const std::byte*>(words) + kAhead + line);
    }
    for (std::size_t i = 0; i < kRun / 8; i += 8) {
      for (std::size_t lane = 0; lane < 8; ++lane) sums[lane] += words[i + lane];
    }
  }
  std::uint64_t all = 0;
  for (const std::uint64_t sum : sums) all += sum;
  return all;
}

double onePass(ThreadPool& pool, std::span<const std::byte> bytes) {
  const auto workers = static_cast<std::size_t>(pool.threads());
  const std::size_t runs = bytes.size() / kRun;
  std::atomic<std::uint64_t> sink{0};  // so that nothing is optimized away
  const auto begin = std::chrono::steady_clock::now();
  pool.run([&](std::int32_t worker) {
    const auto index = static_cast<std::size_t>(worker);
    const std::size_t first = kRun * (runs * index / workers);
    const std::size_t last = kRun * (runs * (index + 1) / workers);
    sink.fetch_add(sumOf(bytes.subspan(first, last - first)), std::memory_order_relaxed);
  });
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  return elapsed.count() > 0 ? static_cast<double>(bytes.size()) / elapsed.count() : 0;
}

}  // namespace

double bestReadSpeed(ThreadPool& pool, std::span<const std::byte> bytes) {
  bytes = bytes.first(std::min(bytes.size(), kLargest));
  if (bytes.empty()) return 0;
  const std::size_t passes = std::clamp<std::size_t>(kReadInAll / bytes.size(), 1, kMostPasses);
  double best = 0;
  for (std::size_t pass = 0; pass < passes; ++pass) best = std::max(best, onePass(pool, bytes));
  return best;
}

}  // namespace quern::engine::runtime
