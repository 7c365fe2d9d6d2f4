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
constexpr std::size_t kBytes = 512U << 20;
constexpr int kPasses = 5;

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

double measure(std::int32_t threads) {
  auto buffer = AlignedBuffer::allocate(kBytes);
  if (!buffer) return 0;
  ThreadPool pool(threads);
  pool.setActive(true);
  const std::size_t words = kBytes / sizeof(std::uint64_t);
  auto* data = buffer->as<std::uint64_t>();
  const auto slice = [&](std::int32_t worker) {
    return words * static_cast<std::size_t>(worker) / static_cast<std::size_t>(threads);
  };
  pool.run([&](std::int32_t worker) { std::fill(data + slice(worker), data + slice(worker + 1), 1); });
  double best = 0;
  std::atomic<std::uint64_t> sink{0};
  for (int pass = 0; pass < kPasses; ++pass) {
    const auto begin = std::chrono::steady_clock::now();
    pool.run([&](std::int32_t worker) {
      sink.fetch_add(sumWords(data + slice(worker), slice(worker + 1) - slice(worker)));
    });
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
    best = std::max(best, static_cast<double>(kBytes) / elapsed.count());
  }
  return sink.load() > 0 ? best : 0;
}

}  // namespace

double measuredReadBandwidth(std::int32_t threads) {
  static std::mutex mutex;
  static std::map<std::int32_t, double> known;
  const std::lock_guard lock(mutex);
  if (threads <= 0) threads = static_cast<std::int32_t>(physicalCores().size());
  const auto found = known.find(threads);
  if (found != known.end()) return found->second;
  return known[threads] = measure(threads);
}

}  // namespace quern::engine::runtime
