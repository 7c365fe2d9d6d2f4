// Worker threads for one executable: everyone runs the same function, each with its number, and meets the
// others in the phases (phases.h) inside it. The calling thread is worker 0.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace quern::engine::runtime {

/// run() and runSome() are called by one thread at a time.
class ThreadPool {
 public:
  using Work = std::function<void(std::int32_t worker)>;

  /// `threads` >= 1. Workers 1… are pinned to physical cores of their own where there are enough of them,
  /// spread evenly over NUMA nodes and caches.
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
  void run(const Work& work) { runSome(threads_, work); }
  /// The same with `workers` of them (clamped to 1…threads()), spread evenly over all: member() says which.
  /// The others are not woken.
  void runSome(std::int32_t workers, const Work& work);
  /// The number of the i-th of `workers` workers that runSome() takes: 0 for the first, ascending.
  std::int32_t member(std::int32_t i, std::int32_t workers) const {
    return static_cast<std::int32_t>(std::int64_t{i} * threads_ / workers);
  }
  /// While active, workers spin for a while before they sleep, so that a step begins within a microsecond.
  void setActive(bool active);

 private:
  /// What one worker waits for, on a cache line of its own.
  struct alignas(64) Gate {
    std::atomic<int> epoch{0};  ///< raised for every run that this worker takes part in
    std::atomic<bool> sleeping{false};
  };
  void open(Gate& gate);
  void loop(std::int32_t worker);

  const std::int32_t threads_;
  const Work* work_ = nullptr;
  std::unique_ptr<Gate[]> gates_;  ///< [threads]; the first is nobody's
  alignas(64) std::atomic<std::int32_t> running_{0};
  std::atomic<bool> active_{false};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> workers_;
  std::vector<std::int32_t> nodes_;  ///< of each worker; empty: all the same
};

/// One logical processor for each physical core that this process may use.
std::vector<int> physicalCores();

}  // namespace quern::engine::runtime
