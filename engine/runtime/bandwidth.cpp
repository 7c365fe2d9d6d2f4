// The machine's read bandwidth: all threads sum a buffer that no cache holds; the best of several passes
// counts, since anything that disturbs a pass only makes it slower.

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "engine/runtime/backend.h"
#include "engine/runtime/cpu/aligned_buffer.h"
#include "engine/runtime/cpu/read_speed.h"
#include "engine/runtime/cpu/thread_pool.h"
#include "engine/runtime/machine.h"

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

/// Bytes of the buffer that stands for a working set: those of about the same size share a measurement.
std::size_t bufferBytes(std::uint64_t workingSetBytes) {
  const std::size_t wanted =
      workingSetBytes == 0 ? kLargest : std::clamp<std::size_t>(workingSetBytes, kSmallest, kLargest);
  return wanted / kSmallest * kSmallest;
}

/// The remembered bandwidth; with `again` measured anew, and the better one kept.
double bandwidth(std::int32_t threads, std::size_t bytes, bool again) {
  static std::mutex mutex;
  static std::map<std::pair<std::int32_t, std::size_t>, double> known;
  const std::lock_guard lock(mutex);
  if (threads <= 0) threads = static_cast<std::int32_t>(physicalCores().size());
  const auto [found, isNew] = known.try_emplace({threads, bytes}, 0);
  if (isNew || again) found->second = std::max(found->second, measure(threads, bytes));
  return found->second;
}

}  // namespace

double measuredReadBandwidth(std::int32_t threads, std::uint64_t workingSetBytes) {
  return bandwidth(threads, bufferBytes(workingSetBytes), false);
}

void remeasureReadBandwidth(std::int32_t threads, std::span<const std::uint64_t> workingSets) {
  std::set<std::size_t> sizes;
  for (const std::uint64_t workingSet : workingSets) sizes.insert(bufferBytes(workingSet));
  for (const std::size_t bytes : sizes) bandwidth(threads, bytes, true);
}

}  // namespace quern::engine::runtime
