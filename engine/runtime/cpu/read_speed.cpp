#include "engine/runtime/cpu/read_speed.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

#include "engine/runtime/cpu/thread_pool.h"

namespace quern::engine::runtime {
namespace {

/// Several times the last-level cache slice that a virtual machine's cores get to use.
constexpr std::size_t kLargest = 512U << 20;
constexpr std::size_t kReadInAll = 3 * kLargest;
constexpr std::size_t kMostPasses = 16;

/// Eight sums, so that additions do not wait for each other.
std::uint64_t sumOf(std::span<const std::byte> bytes) {
  std::uint64_t sums[8] = {};
  for (std::size_t at = 0; at + sizeof sums <= bytes.size(); at += sizeof sums) {
    std::uint64_t words[8];
    std::memcpy(words, bytes.data() + at, sizeof words);
    for (int lane = 0; lane < 8; ++lane) sums[lane] += words[lane];
  }
  std::uint64_t all = 0;
  for (const std::uint64_t sum : sums) all += sum;
  return all;
}

}  // namespace

double readSpeed(ThreadPool& pool, std::span<const std::byte> bytes, std::int32_t workers) {
  const auto count = static_cast<std::size_t>(std::clamp(workers, 1, pool.threads()));
  const std::size_t lines = bytes.size() / 64;
  std::atomic<std::uint64_t> sink{0};  // so that nothing is optimized away
  const auto begin = std::chrono::steady_clock::now();
  pool.run([&](std::int32_t worker) {
    const auto index = static_cast<std::size_t>(worker);
    if (index >= count) return;
    const std::size_t first = 64 * (lines * index / count);
    const std::size_t last = 64 * (lines * (index + 1) / count);
    sink.fetch_add(sumOf(bytes.subspan(first, last - first)), std::memory_order_relaxed);
  });
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  return elapsed.count() > 0 ? static_cast<double>(bytes.size()) / elapsed.count() : 0;
}

double bestReadSpeed(ThreadPool& pool, std::span<const std::byte> bytes) {
  bytes = bytes.first(std::min(bytes.size(), kLargest));
  if (bytes.empty()) return 0;
  const std::size_t passes = std::clamp<std::size_t>(kReadInAll / bytes.size(), 1, kMostPasses);
  double best = 0;
  for (std::size_t pass = 0; pass < passes; ++pass)
    best = std::max(best, readSpeed(pool, bytes, pool.threads()));
  return best;
}

}  // namespace quern::engine::runtime
