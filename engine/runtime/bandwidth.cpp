// The machine's read bandwidth: all threads sum a buffer that no cache holds; the best of several passes
// counts, since anything that disturbs a pass only makes it slower.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <utility>

#include "engine/runtime/backend.h"
#include "engine/runtime/cpu/aligned_buffer.h"
#include "engine/runtime/cpu/thread_pool.h"
#include "engine/runtime/machine.h"

namespace quern::engine::runtime {
namespace {

/// Several times the last-level cache slice that a virtual machine's cores get to use.
constexpr std::size_t kLargest = 512U << 20;
constexpr std::size_t kSmallest = 16U << 20;
/// What all passes together read: half a second or less on anything that runs Quern.
constexpr std::size_t kReadInAll = 8 * kLargest;
/// How far ahead of the reading processor the memory is asked for. Hardware prefetchers stop at the end of a
/// 4 KiB page and start late behind it: without this one thread of a Xeon read a quarter less.
constexpr std::size_t kAheadBytes = 4096;

/// The sum of `count` words, a multiple of 8, of each of `kStreams` stretches that lie `count` apart; eight
/// sums, so that additions do not wait for each other.
template <std::size_t kStreams, std::size_t kAhead>
std::uint64_t sumWords(const std::uint64_t* words, std::size_t count) {
  std::uint64_t sums[8] = {};
  constexpr std::size_t kRun = 64;  // words of one stream before the next has its turn: eight cache lines
  for (std::size_t begin = 0; begin < count; begin += kRun) {
    const std::size_t end = std::min(begin + kRun, count);
    for (std::size_t stream = 0; stream < kStreams; ++stream) {
      const std::uint64_t* from = words + stream * count;
      for (std::size_t i = begin; i < end; i += 8) {
        if constexpr (kAhead > 0) __builtin_prefetch(reinterpret_cast<const char*>(from + i) + kAhead);
        for (std::size_t lane = 0; lane < 8; ++lane) sums[lane] += from[i + lane];
      }
    }
  }
  std::uint64_t all = 0;
  for (const std::uint64_t sum : sums) all += sum;
  return all;
}

/// The ways of reading that pay on different machines: one stream asked for ahead, and four at once.
std::uint64_t sumWordsAhead(const std::uint64_t* words, std::size_t count) {
  return sumWords<1, kAheadBytes>(words, count / 8 * 8);
}
std::uint64_t sumWordsInFour(const std::uint64_t* words, std::size_t count) {
  return sumWords<4, 0>(words, count / 32 * 8);
}

double measure(std::int32_t threads, std::size_t bytes) {
  auto buffer = AlignedBuffer::allocate(bytes);
  if (!buffer) return 0;
  ThreadPool pool(threads);
  pool.setActive(true);
  const std::size_t words = bytes / sizeof(std::uint64_t);
  auto* data = buffer->as<std::uint64_t>();
  const auto slice = [&](std::int32_t worker) {
    return words * static_cast<std::size_t>(worker) / static_cast<std::size_t>(threads);
  };
  pool.run([&](std::int32_t worker) { std::fill(data + slice(worker), data + slice(worker + 1), 1); });
  double best = 0;
  std::atomic<std::uint64_t> sink{0};
  for (std::size_t pass = 0; pass < kReadInAll / bytes; ++pass) {
    const auto sum = pass % 2 == 0 ? sumWordsAhead : sumWordsInFour;
    const auto begin = std::chrono::steady_clock::now();
    pool.run([&](std::int32_t worker) {
      sink.fetch_add(sum(data + slice(worker), slice(worker + 1) - slice(worker)));
    });
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
    best = std::max(best, static_cast<double>(bytes) / elapsed.count());
  }
  return sink.load() > 0 ? best : 0;
}

/// The remembered bandwidth; with `again` measured anew, and the better one kept.
double bandwidth(std::int32_t threads, std::uint64_t workingSetBytes, bool again) {
  static std::mutex mutex;
  static std::map<std::pair<std::int32_t, std::size_t>, double> known;
  const std::lock_guard lock(mutex);
  if (threads <= 0) threads = static_cast<std::int32_t>(physicalCores().size());
  const std::size_t wanted =
      workingSetBytes == 0 ? kLargest : std::clamp<std::size_t>(workingSetBytes, kSmallest, kLargest);
  // Models of about the same size share a measurement.
  const std::size_t bytes = wanted / kSmallest * kSmallest;
  const auto [found, isNew] = known.try_emplace({threads, bytes}, 0);
  if (isNew || again) found->second = std::max(found->second, measure(threads, bytes));
  return found->second;
}

}  // namespace

double measuredReadBandwidth(std::int32_t threads, std::uint64_t workingSetBytes) {
  return bandwidth(threads, workingSetBytes, false);
}
double remeasuredReadBandwidth(std::int32_t threads, std::uint64_t workingSetBytes) {
  return bandwidth(threads, workingSetBytes, true);
}

}  // namespace quern::engine::runtime
