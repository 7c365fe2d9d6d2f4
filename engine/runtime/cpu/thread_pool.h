// Worker threads for one executable: everyone runs the same function, each with its number, and meets the
// others in the phases (phases.h) inside it. The calling thread is worker 0.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace quern::engine::runtime {

/// run() is called by one thread at a time.
class ThreadPool {
 public:
  using Work = std::function<void(std::int32_t worker)>;

  /// `threads` >= 1. Workers 1… are pinned to physical cores of their own where there are enough of them.
  explicit ThreadPool(std::int32_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  std::int32_t threads() const { return threads_; }
  /// The NUMA node of a worker's core; workers of one node stand together. 0 where nobody is pinned.
  std::int32_t node(std::int32_t worker) const {
    return nodes_.empty() ? 0 : nodes_[static_cast<std::size_t>(worker)];
  }
  /// Calls work(0) here and work(1…) on the workers; returns when all have returned.
  void run(const Work& work);
  /// While active, idle workers spin, so that a step begins within a microsecond; otherwise they sleep.
  void setActive(bool active);

 private:
  void loop(std::int32_t worker);

  const std::int32_t threads_;
  const Work* work_ = nullptr;
  alignas(64) std::atomic<std::uint32_t> epoch_{0};
  alignas(64) std::atomic<std::int32_t> running_{0};
  std::atomic<bool> active_{false};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> workers_;
  std::vector<std::int32_t> nodes_;  ///< of each worker; empty: all the same
};

/// One logical processor for each physical core that this process may use.
std::vector<int> physicalCores();

}  // namespace quern::engine::runtime
