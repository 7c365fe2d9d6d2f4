#include "engine/runtime/cpu/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <fstream>
#include <set>
#include <string>

#include "engine/base/check.h"
#include "engine/runtime/cpu/phases.h"

namespace quern::engine::runtime {
namespace {

/// About 2 ms: the pause between two steps is far shorter while tokens are being made.
constexpr int kSpinsBeforeSleep = 200'000;

void pin(std::thread& thread, int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(processor), &set);
  pthread_setaffinity_np(thread.native_handle(), sizeof set, &set);  // only a wish
}

}  // namespace

ThreadPool::ThreadPool(std::int32_t threads) : threads_(threads) {
  QUERN_CHECK(threads >= 1, "a pool needs a worker");
  const std::vector<int> cores = physicalCores();
  for (std::int32_t worker = 1; worker < threads; ++worker) {
    workers_.emplace_back([this, worker] { loop(worker); });
    if (threads <= static_cast<std::int32_t>(cores.size())) {
      pin(workers_.back(), cores[static_cast<std::size_t>(worker)]);
    }
  }
}

ThreadPool::~ThreadPool() {
  stopping_.store(true);
  epoch_.fetch_add(1);
  epoch_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(const Work& work) {
  if (threads_ == 1) {
    work(0);
    return;
  }
  work_ = &work;
  running_.store(threads_ - 1, std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
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
  std::uint32_t seen = 0;
  while (true) {
    for (int spins = 0; spins < kSpinsBeforeSleep && active_.load(std::memory_order_relaxed) &&
                        epoch_.load(std::memory_order_relaxed) == seen;
         ++spins) {
      relax();
    }
    epoch_.wait(seen, std::memory_order_acquire);
    seen = epoch_.load(std::memory_order_acquire);
    if (stopping_.load()) return;
    (*work_)(worker);
    running_.fetch_sub(1, std::memory_order_acq_rel);
  }
}

std::vector<int> physicalCores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return {0};
  std::vector<int> cores;
  std::set<std::string> seen;
  for (int processor = 0; processor < CPU_SETSIZE; ++processor) {
    if (!CPU_ISSET(static_cast<unsigned>(processor), &allowed)) continue;
    std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(processor) +
                       "/topology/thread_siblings_list");
    std::string siblings;
    if (!std::getline(file, siblings)) siblings = std::to_string(processor);
    if (seen.insert(siblings).second) cores.push_back(processor);
  }
  return cores.empty() ? std::vector<int>{0} : cores;
}

}  // namespace quern::engine::runtime
