#include "engine/runtime/cpu/fresh_pages.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "engine/runtime/cpu/aligned_buffer.h"

namespace quern::engine::runtime {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

TEST(FreshPages, AllPagesAreHugeWhileTheyComeFast) {
  HugePageChoice choice;
  for (int page = 0; page < 1000; ++page) {
    ASSERT_TRUE(choice.nextIsHuge()) << page;
    choice.took(microseconds(150));
  }
}

/// Pages until the next huge one, that one included.
std::int64_t pagesToNextHuge(HugePageChoice& choice) {
  std::int64_t pages = 1;
  while (!choice.nextIsHuge()) ++pages;
  return pages;
}

TEST(FreshPages, SlowHugePagesAreTriedEverMoreRarely) {
  HugePageChoice choice;
  ASSERT_EQ(pagesToNextHuge(choice), 1);
  for (std::int64_t small = HugePageChoice::kSmallAfterSlow; small < 1000; small *= 2) {
    choice.took(milliseconds(6));
    ASSERT_EQ(pagesToNextHuge(choice), small + 1);
  }
}

TEST(FreshPages, AFastHugePageAfterSlowOnesBringsThemBack) {
  HugePageChoice choice;
  pagesToNextHuge(choice);
  choice.took(milliseconds(6));
  pagesToNextHuge(choice);
  choice.took(milliseconds(6));
  pagesToNextHuge(choice);
  choice.took(microseconds(150));
  EXPECT_EQ(pagesToNextHuge(choice), 1);
  choice.took(milliseconds(6));
  EXPECT_EQ(pagesToNextHuge(choice), HugePageChoice::kSmallAfterSlow + 1);
}

TEST(FreshPages, WorkersFindTheirPartsZeroAndKeepWhatTheyWrote) {
  // Parts end anywhere, share pages with their neighbours, and are taken by turns.
  constexpr std::size_t kBytes = (11U << 20) + 12'345;
  constexpr std::size_t kPart = 700'001;
  constexpr std::size_t kWorkers = 3;
  for (int round = 0; round < 5; ++round) {
    auto buffer = AlignedBuffer::allocate(kBytes);
    ASSERT_TRUE(buffer.has_value());
    std::vector<std::size_t> notZero(kWorkers);
    {
      FreshPages pages({buffer->data(), kBytes});
      std::vector<std::thread> workers;
      for (std::size_t worker = 0; worker < kWorkers; ++worker) {
        workers.emplace_back([&, worker] {
          for (std::size_t at = worker * kPart; at < kBytes; at += kWorkers * kPart) {
            const std::span<std::byte> part(buffer->data() + at, std::min(kPart, kBytes - at));
            pages.provide(part);
            for (std::byte& byte : part) {
              if (byte != std::byte{0}) ++notZero[worker];
              byte = static_cast<std::byte>(worker + 1);
            }
          }
        });
      }
      for (std::thread& worker : workers) worker.join();
    }
    for (const std::size_t count : notZero) ASSERT_EQ(count, 0U);
    for (std::size_t at = 0; at < kBytes; ++at) {
      ASSERT_EQ(buffer->data()[at], static_cast<std::byte>(at / kPart % kWorkers + 1)) << at;
    }
  }
}

TEST(FreshPages, MergingKeepsWhatWasWritten) {
  constexpr std::size_t kBytes = 6U << 20;
  auto buffer = AlignedBuffer::allocate(kBytes);
  ASSERT_TRUE(buffer.has_value());
  auto* page = buffer->data() + ((2U << 20) - reinterpret_cast<std::uintptr_t>(buffer->data()) % (2U << 20));
  ::madvise(page, 2U << 20, MADV_NOHUGEPAGE);
  for (std::size_t at = 0; at < 2U << 20; ++at) page[at] = static_cast<std::byte>(at * 7 >> 3);
  // Whether the system can is its own affair.
  (void)mergePages(page);
  for (std::size_t at = 0; at < 2U << 20; ++at)
    ASSERT_EQ(page[at], static_cast<std::byte>(at * 7 >> 3)) << at;
}

TEST(FreshPages, TakesMappingsWithoutAWholeHugePage) {
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{5000}, (std::size_t{2} << 20) - 1}) {
    auto buffer = AlignedBuffer::allocate(bytes);
    ASSERT_TRUE(buffer.has_value());
    FreshPages pages({buffer->data(), bytes});
    pages.provide({buffer->data(), bytes});
    buffer->data()[bytes - 1] = std::byte{7};
    EXPECT_EQ(buffer->data()[bytes - 1], std::byte{7});
  }
  FreshPages none({});
  none.provide({});
}

}  // namespace
}  // namespace quern::engine::runtime
