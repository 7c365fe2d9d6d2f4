// Work in phases without barriers: a phase is a number of shares that anyone may take, and it is over when
// all of them are done, whoever did them. A worker that the system has put aside is not waited for unless it
// holds a share; when it comes back it finds the phases that it missed finished and catches up.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

namespace quern::engine::runtime {

/// Tells the processor that this is a waiting loop (x86 PAUSE), without an intrinsics header.
inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// About 20 µs of waiting: longer than any imbalance between shares of a small operation, much shorter than
/// the time slice that another process may have taken.
inline constexpr int kSpinsBeforeYield = 2000;

class Phases {
 public:
  /// Room for `most` phases between two reset()s.
  explicit Phases(std::size_t most) : most_(most), phases_(std::make_unique<Phase[]>(most)) {}

  std::size_t most() const { return most_; }
  /// Before the workers begin; `used`: phases that the last run had.
  void reset(std::size_t used) {
    for (std::size_t i = 0; i < used; ++i) {
      phases_[i].next.store(0, std::memory_order_relaxed);
      phases_[i].done.store(0, std::memory_order_relaxed);
    }
  }

  /// Called by every worker with the same phases in the same order: calls work(share) for shares that nobody
  /// has taken yet and returns when all `shares` are done. What any of them wrote is seen by all afterwards.
  template <class Work>
  void run(std::size_t phase, std::int32_t shares, Work&& work) {
    Phase& p = phases_[phase];
    std::int32_t mine = 0;
    for (std::int32_t share = p.next.fetch_add(1, std::memory_order_relaxed); share < shares;
         share = p.next.fetch_add(1, std::memory_order_relaxed)) {
      work(share);
      ++mine;
    }
    if (mine > 0) p.done.fetch_add(mine, std::memory_order_acq_rel);
    for (int spins = 0; p.done.load(std::memory_order_acquire) < shares; ++spins) {
      if (spins < kSpinsBeforeYield) {
        relax();
      } else {
        std::this_thread::yield();
      }
    }
  }

 private:
  struct alignas(64) Phase {
    std::atomic<std::int32_t> next{0};
    std::atomic<std::int32_t> done{0};
  };
  std::size_t most_;
  std::unique_ptr<Phase[]> phases_;
};

}  // namespace quern::engine::runtime
