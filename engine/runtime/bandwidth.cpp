// The machine's read bandwidth: all threads sum a buffer that no cache holds; the best of several passes
// counts, since anything that disturbs a pass only makes it slower.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>

#include "engine/runtime/backend.h"
#include "engine/runtime/cpu/aligned_buffer.h"
#include "engine/runtime/cpu/thread_pool.h"

namespace quern::engine::runtime {
namespace {

/// Several times the last-level cache slice that a virtual machine's cores get to use.
constexpr std::size_t kLargest = 512U << 20;
constexpr std::size_t kSmallest = 16U << 20;
/// What all passes together read: a third of a second or less on anything that runs Quern.
constexpr std::size_t kReadInAll = 5 * kLargest;

/// Reads `count` words; eight sums, so that additions do not wait for each other.
std::uint64_t sumWords(const std::uint64_t* words, std::size_t count) {
  std::uint64_t sums[8] = {};
  for (std::size_t i = 0; i + 8 <= count; i += 8) {
    for (std::size_t lane = 0; lane < 8; ++lane) sums[lane] += words[i + lane];
  }
  std::uint64_t all = 0;
  for (const std::uint64_t sum : sums) all += sum;
  return all;
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
    const auto begin = std::chrono::steady_clock::now();
    pool.run([&](std::int32_t worker) {
      sink.fetch_add(sumWords(data + slice(worker), slice(worker + 1) - slice(worker)));
    });
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
    best = std::max(best, static_cast<double>(bytes) / elapsed.count());
  }
  return sink.load() > 0 ? best : 0;
}

}  // namespace

double measuredReadBandwidth(std::int32_t threads, std::uint64_t workingSetBytes) {
  static std::mutex mutex;
  static std::map<std::pair<std::int32_t, std::size_t>, double> known;
  const std::lock_guard lock(mutex);
  if (threads <= 0) threads = static_cast<std::int32_t>(physicalCores().size());
  const std::size_t wanted =
      workingSetBytes == 0 ? kLargest : std::clamp<std::size_t>(workingSetBytes, kSmallest, kLargest);
  const std::size_t bytes =
      wanted / kSmallest * kSmallest;  // models of about the same size share a measurement
  const auto found = known.find({threads, bytes});
  if (found != known.end()) return found->second;
  return known[{threads, bytes}] = measure(threads, bytes);
}

}  // namespace quern::engine::runtime
