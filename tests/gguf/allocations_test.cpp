// Replaces operator new of this program by one that counts.

#include "tests/gguf/allocations.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>

namespace {
std::atomic<std::size_t> gBytes{0};
}

void* operator new(std::size_t size) {
  gBytes += size;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
// The array forms as well: the address sanitizer has its own.
void* operator new[](std::size_t size) { return operator new(size); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace quern::engine::gguf {

std::size_t allocatedBytes() { return gBytes; }

TEST(Allocations, AreCounted) {
  const AllocationsSince since;
  const auto memory = std::make_unique<std::byte[]>(100'000);
  ASSERT_NE(memory.get(), nullptr);
  EXPECT_GE(since.bytes(), 100'000U);
}

}  // namespace quern::engine::gguf
