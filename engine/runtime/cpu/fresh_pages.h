// Where a load's memory comes from: huge pages while the system has them at hand, small ones while it does
// not.
//
// A huge page that is touched for the first time is cleared, 2 MiB in 0.1 to 0.2 ms. In a virtual machine
// whose host has taken the free memory back, it takes the host 6 ms to give it again (measured under
// Firecracker: 1.1 s for a model of 600 MiB in place of 0.2 s), while small pages often come from memory that
// the guest has kept. So every huge page is timed, and a slow one turns the next ones into small pages. The
// small pages are merged when nobody waits for anything: a decode reads them some 5 to 20 % slower.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

namespace quern::engine::runtime {

/// Decides, page after page, whether the next one shall be huge. Not for several threads at once.
class HugePageChoice {
 public:
  using Duration = std::chrono::nanoseconds;
  /// Clearing at 2 GB/s, a tenth of what memory does.
  static constexpr Duration kSlow = std::chrono::milliseconds(1);
  /// Small ones after a slow one; twice as many after each that follows. So a load meets few slow pages, and
  /// one that was slow by chance (another process had the core) costs little.
  static constexpr std::int64_t kSmallAfterSlow = 32;

  bool nextIsHuge() {
    if (small_ > 0) --small_;
    return small_ == 0;
  }
  /// What the first touch of a huge page took.
  void took(Duration duration) {
    if (duration < kSlow) {
      stretch_ = kSmallAfterSlow;
      return;
    }
    small_ = stretch_ + 1;
    stretch_ *= 2;
  }

 private:
  std::int64_t small_ = 0;  ///< the next one after this many (less one) is tried again
  std::int64_t stretch_ = kSmallAfterSlow;
};

/// Makes one huge page of the small ones at `page`, which may be read meanwhile: some milliseconds where the
/// system gives huge pages slowly. False where it cannot (Linux before 6.1, no memory in one piece).
bool mergePages(std::byte* page);

/// Hands out the pages of one mapping to workers that are about to write to it.
class FreshPages {
 public:
  /// `whole`: an AlignedBuffer's bytes that nobody has touched yet; it outlives this object.
  explicit FreshPages(std::span<std::byte> whole);
  /// Lets the system merge what is in small pages; mergePages() makes it.
  ~FreshPages();
  FreshPages(const FreshPages&) = delete;
  FreshPages& operator=(const FreshPages&) = delete;

  /// Where two MiB lie in small pages, in order; after the last provide().
  std::vector<std::byte*> small() const;

  /// Before a worker writes to `part`, of which it owns every byte and has written none; from any thread.
  void provide(std::span<std::byte> part);

 private:
  enum class State : std::uint8_t { kUntouched, kHuge, kSmall };
  State choose();

  std::span<std::byte> whole_;
  std::byte* firstHuge_ = nullptr;  ///< the first whole huge page
  std::size_t pages_ = 0;           ///< whole huge pages
  std::unique_ptr<std::atomic<State>[]> states_;
  std::mutex mutex_;
  HugePageChoice choice_;
  std::atomic<bool> hasSmall_{false};
};

}  // namespace quern::engine::runtime
