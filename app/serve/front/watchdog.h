// Looks once a second whether the engines still make steps while they have work.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace quern::app::serve::front {

struct EngineProgress {
  const void* engine = nullptr;  ///< tells engines apart
  bool hasWork = false;
  std::uint64_t steps = 0;  ///< any count that moves with every step
};

struct WatchdogOptions {
  std::chrono::milliseconds period{1'000};
  std::chrono::milliseconds limit{30'000};  ///< work and no step for so long is a stall
  /// May block for a moment. Empty: nothing is watched.
  std::function<std::vector<EngineProgress>()> progress;
  std::function<void()> tick;                       ///< called every period
  std::function<void(const std::string&)> onStall;  ///< once a stall: what the process's threads are doing
};

/// Has a thread of its own, so that it sees others hang.
class Watchdog {
 public:
  explicit Watchdog(WatchdogOptions options);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// For how long there has been work and no step, once that is longer than the limit. From any thread.
  std::optional<std::chrono::milliseconds> stalledFor() const;

 private:
  using Clock = std::chrono::steady_clock;
  void run();
  void look(Clock::time_point now);

  const WatchdogOptions options_;
  std::mutex mutex_;
  std::condition_variable stop_;
  bool isStopping_ = false;
  struct Watched {
    EngineProgress last;
    Clock::time_point movedAt;
  };
  std::map<const void*, Watched> engines_;  ///< the thread's own
  /// Of the engine that has stood still longest, where that is too long; 0: all move.
  std::atomic<Clock::rep> stalledSince_{0};
  std::thread thread_;
};

/// The process's threads, one a line: number, name, state, processor time in ticks, and where in the kernel
/// they wait, as far as /proc tells.
std::string threadReport();

}  // namespace quern::app::serve::front
