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

// The address sanitizer brings its own and checks that they fit together.
#if defined(__SANITIZE_ADDRESS__)
#define QUERN_OTHER_ALLOCATOR
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define QUERN_OTHER_ALLOCATOR
#endif
#endif
#ifndef QUERN_OTHER_ALLOCATOR
[[gnu::noinline]] void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
// std::stable_sort and its like ask so that a refusal is a null pointer.
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
#endif

namespace quern::engine::sampling {

std::size_t allocationCount() { return allocations.load(); }

TEST(Sampling, TestsSeeAllocations) {
#ifdef QUERN_OTHER_ALLOCATOR
  GTEST_SKIP() << "the address sanitizer has its own operator new";
#endif
  const std::size_t before = allocationCount();
  const auto held = std::make_unique<std::size_t>(before);
  EXPECT_GT(allocationCount(), *held);
}

}  // namespace quern::engine::sampling
