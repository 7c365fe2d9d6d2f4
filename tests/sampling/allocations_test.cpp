// Not inlined, and in a file of their own: where a compiler sees through one of them only, it takes free() in
// delete for a mistake.
#include "tests/sampling/allocations.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>

namespace {
std::atomic<std::size_t> allocations{0};
}

[[gnu::noinline]] void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace quern::engine::sampling {

std::size_t allocationCount() { return allocations.load(); }

TEST(Sampling, TestsSeeAllocations) {
  const std::size_t before = allocationCount();
  const auto held = std::make_unique<std::size_t>(before);
  EXPECT_GT(allocationCount(), *held);
}

}  // namespace quern::engine::sampling
