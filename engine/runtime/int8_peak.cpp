// The multiply-add ceiling of this machine, measured with the kernels' own bare loop.

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "engine/runtime/machine.h"
#include "kernels/cpu/kernels.h"

namespace quern::engine::runtime {
namespace {

using Clock = std::chrono::steady_clock;

double seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

/// A run long enough to hide the clock and the threads' start, short enough not to be waited for.
constexpr double kRunSeconds = 0.06;
/// The best of several: another process can only take speed away.
constexpr int kRuns = 4;

double measure(const kernels::cpu::Kernels* table, std::int32_t threads) {
  std::int64_t iterations = 1000;
  for (;;) {
    const auto began = Clock::now();
    (void)table->int8Peak(iterations);
    const double took = seconds(Clock::now() - began);
    if (took > kRunSeconds / 8) {
      iterations = static_cast<std::int64_t>(static_cast<double>(iterations) * kRunSeconds / took);
      break;
    }
    iterations *= 4;
  }
  double best = 0;
  std::barrier together(threads);
  std::atomic<std::int64_t> done{0};
  Clock::time_point began;
  const auto work = [&](bool first) {
    for (int run = 0; run < kRuns; ++run) {
      together.arrive_and_wait();
      if (first) {
        done = 0;
        began = Clock::now();
      }
      together.arrive_and_wait();
      done += table->int8Peak(iterations);
      together.arrive_and_wait();
      if (first) best = std::max(best, static_cast<double>(done.load()) / seconds(Clock::now() - began));
    }
  };
  std::vector<std::thread> others;
  for (std::int32_t i = 1; i < threads; ++i) others.emplace_back(work, false);
  work(true);
  for (std::thread& other : others) other.join();
  return best;
}

/// The remembered peak; with `again` measured anew, and the better one kept.
double peak(std::int32_t threads, const std::string& kernels, bool again) {
  const kernels::cpu::Kernels* table =
      kernels::cpu::selectKernels(kernels.empty() ? nullptr : kernels.c_str());
  if (table == nullptr) return 0;
  static std::mutex mutex;
  static std::map<std::pair<const kernels::cpu::Kernels*, std::int32_t>, double> known;
  if (threads <= 0) threads = describeMachine().physicalCores;
  const std::lock_guard lock(mutex);
  const auto [found, isNew] = known.try_emplace({table, threads}, 0);
  if (isNew || again) found->second = std::max(found->second, measure(table, threads));
  return found->second;
}

}  // namespace

double measuredInt8Peak(std::int32_t threads, const std::string& kernels) {
  return peak(threads, kernels, false);
}
void remeasureInt8Peak(std::int32_t threads, const std::string& kernels) { peak(threads, kernels, true); }

}  // namespace quern::engine::runtime
