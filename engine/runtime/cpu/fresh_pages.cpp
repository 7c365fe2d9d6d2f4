#include "engine/runtime/cpu/fresh_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

namespace quern::engine::runtime {
namespace {

constexpr std::size_t kHugePage = 2U << 20;

std::byte* roundedUp(std::byte* address, std::size_t unit) {
  const auto value = reinterpret_cast<std::uintptr_t>(address);
  return address + ((value + unit - 1) / unit * unit - value);
}
std::byte* roundedDown(std::byte* address, std::size_t unit) {
  return address - reinterpret_cast<std::uintptr_t>(address) % unit;
}

/// One call in place of a fault a page; systems before Linux 5.14 do not know it and fault.
void touchAll([[maybe_unused]] std::byte* begin, [[maybe_unused]] std::byte* end) {
#ifdef MADV_POPULATE_WRITE
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  begin = roundedDown(begin, page);
  end = roundedUp(end, page);
  ::madvise(begin, static_cast<std::size_t>(end - begin), MADV_POPULATE_WRITE);
#endif
}

}  // namespace

FreshPages::FreshPages(std::span<std::byte> whole) : whole_(whole) {
  firstHuge_ = roundedUp(whole.data(), kHugePage);
  std::byte* end = roundedDown(whole.data() + whole.size(), kHugePage);
  pages_ = end > firstHuge_ ? static_cast<std::size_t>(end - firstHuge_) / kHugePage : 0;
  states_ = std::make_unique<std::atomic<State>[]>(pages_);
}

FreshPages::~FreshPages() {
  if (hasSmall_.load()) ::madvise(whole_.data(), whole_.size(), MADV_HUGEPAGE);
}

std::vector<std::byte*> FreshPages::small() const {
  std::vector<std::byte*> found;
  for (std::size_t i = 0; i < pages_; ++i) {
    if (states_[i].load() == State::kSmall) found.push_back(firstHuge_ + i * kHugePage);
  }
  return found;
}

bool mergePages(std::byte* page) {
#ifndef MADV_COLLAPSE
  constexpr int MADV_COLLAPSE = 25;  // Linux 6.1, include/uapi/asm-generic/mman-common.h
#endif
  ::madvise(page, kHugePage, MADV_HUGEPAGE);
  return ::madvise(page, kHugePage, MADV_COLLAPSE) == 0;
}

FreshPages::State FreshPages::choose() {
  const std::lock_guard lock(mutex_);
  return choice_.nextIsHuge() ? State::kHuge : State::kSmall;
}

void FreshPages::provide(std::span<std::byte> part) {
  std::byte* const end = part.data() + part.size();
  // Only whole huge pages are chosen for; what lies in front of them and behind is small anyway.
  std::byte* at = std::max(roundedDown(part.data(), kHugePage), firstHuge_);
  for (; at < end; at += kHugePage) {
    const auto index = static_cast<std::size_t>(at - firstHuge_) / kHugePage;
    if (index >= pages_) break;
    State state = states_[index].load(std::memory_order_relaxed);
    if (state == State::kUntouched) {
      const State chosen = choose();
      if (states_[index].compare_exchange_strong(state, chosen)) {
        state = chosen;
        if (chosen == State::kHuge) {
          const auto before = std::chrono::steady_clock::now();
          // A byte of the caller's own part: others may be writing to theirs already.
          *const_cast<volatile std::byte*>(std::max(at, part.data())) = std::byte{0};
          const auto took = std::chrono::steady_clock::now() - before;
          const std::lock_guard lock(mutex_);
          choice_.took(took);
        } else {
          hasSmall_.store(true);
          ::madvise(at, kHugePage, MADV_NOHUGEPAGE);
        }
      }
    }
    // Only what is about to be written: it is in the cache then.
    if (state == State::kSmall) touchAll(std::max(at, part.data()), std::min(at + kHugePage, end));
  }
}

}  // namespace quern::engine::runtime
