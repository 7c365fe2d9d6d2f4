// The machine's read bandwidth: all threads sum a buffer that no cache holds; the best of several passes
// counts, since anything that disturbs a pass only makes it slower.

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>

#include "engine/runtime/backend.h"
#include "engine/runtime/cpu/aligned_buffer.h"
#include "engine/runtime/cpu/read_speed.h"
#include "engine/runtime/cpu/thread_pool.h"

namespace quern::engine::runtime {
namespace {

/// Several times the last-level cache slice that a virtual machine's cores get to use.
constexpr std::size_t kLargest = 512U << 20;
constexpr std::size_t kSmallest = 16U << 20;
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
  return bestReadSpeed(pool, buffer->bytes());
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
