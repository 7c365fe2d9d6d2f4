#include "engine/runtime/cpu/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>

#include "engine/base/check.h"
#include "engine/runtime/cpu/phases.h"
#include "engine/runtime/topology.h"

namespace quern::engine::runtime {
namespace {

/// About 2 ms: the pause between two steps is far shorter while tokens are being made.
constexpr int kSpinsBeforeSleep = 200'000;

void pin(std::thread& thread, int processor) {
  const auto bits = static_cast<std::size_t>(processor) + 1;
  cpu_set_t* set = CPU_ALLOC(bits);
  if (set == nullptr) return;
  const std::size_t bytes = CPU_ALLOC_SIZE(bits);
  CPU_ZERO_S(bytes, set);
  CPU_SET_S(static_cast<std::size_t>(processor), bytes, set);
  pthread_setaffinity_np(thread.native_handle(), bytes, set);  // only a wish
  CPU_FREE(set);
}

}  // namespace

ThreadPool::ThreadPool(std::int32_t threads)
    : threads_(threads), gates_(std::make_unique<Gate[]>(static_cast<std::size_t>(threads))) {
  QUERN_CHECK(threads >= 1, "a pool needs a worker");
  std::vector<Core> cores;
  if (threads <= static_cast<std::int32_t>(topology().cores.size())) cores = topology().spread(threads);
  for (const Core& core : cores) nodes_.push_back(core.node);
  for (std::int32_t worker = 1; worker < threads; ++worker) {
    workers_.emplace_back([this, worker] { loop(worker); });
    if (!cores.empty()) pin(workers_.back(), cores[static_cast<std::size_t>(worker)].processors.front());
  }
}

ThreadPool::~ThreadPool() {
  stopping_.store(true);
  for (std::int32_t worker = 1; worker < threads_; ++worker) open(gates_[static_cast<std::size_t>(worker)]);
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::open(Gate& gate) {
  // Sequentially consistent on both sides: either the worker sees the new epoch before it sleeps, or it is
  // seen here that it is about to.
  gate.epoch.fetch_add(1);
  if (gate.sleeping.load()) gate.epoch.notify_one();
}

void ThreadPool::runSome(std::int32_t workers, const Work& work) {
  workers = std::clamp(workers, 1, threads_);
  if (workers == 1) {
    work(0);
    return;
  }
  work_ = &work;
  running_.store(workers - 1, std::memory_order_relaxed);
  for (std::int32_t i = 1; i < workers; ++i) open(gates_[static_cast<std::size_t>(member(i, workers))]);
  work(0);
  for (int spins = 0; running_.load(std::memory_order_acquire) != 0; ++spins) {
    if (spins < kSpinsBeforeYield) {
      relax();
    } else {
      std::this_thread::yield();
    }
  }
}

void ThreadPool::setActive(bool active) { active_.store(active, std::memory_order_relaxed); }

void ThreadPool::loop(std::int32_t worker) {
  Gate& gate = gates_[static_cast<std::size_t>(worker)];
  int seen = 0;
  while (true) {
    for (int spins = 0; spins < kSpinsBeforeSleep && active_.load(std::memory_order_relaxed) &&
                        gate.epoch.load(std::memory_order_relaxed) == seen;
         ++spins) {
      relax();
    }
    if (gate.epoch.load() == seen) {
      gate.sleeping.store(true);
      gate.epoch.wait(seen);
      gate.sleeping.store(false, std::memory_order_relaxed);
    }
    seen = gate.epoch.load(std::memory_order_acquire);
    if (stopping_.load()) return;
    (*work_)(worker);
    running_.fetch_sub(1, std::memory_order_acq_rel);
  }
}

std::vector<int> physicalCores() {
  std::vector<int> processors;
  for (const Core& core : topology().cores) processors.push_back(core.processors.front());
  return processors;
}

}  // namespace quern::engine::runtime
