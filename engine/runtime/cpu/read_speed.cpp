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
constexpr std::size_t kReadInAll = 4 * kLargest;
constexpr std::size_t kMostPasses = 16;

/// How far ahead of the reading processor the memory is asked for. Hardware prefetchers stop at the end of a
/// 4 KiB page and start late behind it: without this a Xeon's thread reads a quarter less.
constexpr std::size_t kAheadBytes = 4096;

constexpr std::size_t kLineBytes = 64;
/// Lines of one stream before the next has its turn.
constexpr std::size_t kRunLines = 8;

/// The sum of `lines` cache lines of each of `kStreams` stretches, one stretch behind the other; eight sums,
/// so that additions do not wait for each other.
template <std::size_t kStreams, std::size_t kAhead>
std::uint64_t sumOf(const std::byte* bytes, std::size_t lines) {
  std::uint64_t sums[8] = {};
  for (std::size_t begin = 0; begin < lines; begin += kRunLines) {
    const std::size_t end = std::min(begin + kRunLines, lines);
    for (std::size_t stream = 0; stream < kStreams; ++stream) {
      for (std::size_t line = begin; line < end; ++line) {
        const std::byte* at = bytes + (stream * lines + line) * kLineBytes;
        if constexpr (kAhead > 0) __builtin_prefetch(at + kAhead);
        std::uint64_t words[8];
        std::memcpy(words, at, sizeof words);
        for (int lane = 0; lane < 8; ++lane) sums[lane] += words[lane];
      }
    }
  }
  std::uint64_t all = 0;
  for (const std::uint64_t sum : sums) all += sum;
  return all;
}

/// The ways of reading that pay on different machines: one stream that is asked for ahead, four at once.
enum class Way : std::uint8_t { kAhead, kFourStreams };

double readSpeed(ThreadPool& pool, std::span<const std::byte> bytes, Way way) {
  const auto count = static_cast<std::size_t>(pool.threads());
  const std::size_t lines = bytes.size() / kLineBytes;
  std::atomic<std::uint64_t> sink{0};  // so that nothing is optimized away
  const auto begin = std::chrono::steady_clock::now();
  pool.run([&](std::int32_t worker) {
    const auto index = static_cast<std::size_t>(worker);
    const std::size_t first = lines * index / count;
    const std::size_t share = lines * (index + 1) / count - first;
    const std::byte* from = bytes.data() + first * kLineBytes;
    sink.fetch_add(way == Way::kAhead ? sumOf<1, kAheadBytes>(from, share) : sumOf<4, 0>(from, share / 4),
                   std::memory_order_relaxed);
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
  for (std::size_t pass = 0; pass < passes; ++pass)
    best = std::max(best, readSpeed(pool, bytes, pass % 2 == 0 ? Way::kAhead : Way::kFourStreams));
  return best;
}

}  // namespace quern::engine::runtime
