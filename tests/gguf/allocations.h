// How many bytes operator new was asked for: the whole test program counts.
#pragma once

#include <cstddef>

namespace quern::engine::gguf {

std::size_t allocatedBytes();

class AllocationsSince {
 public:
  AllocationsSince() : before_(allocatedBytes()) {}
  std::size_t bytes() const { return allocatedBytes() - before_; }

 private:
  std::size_t before_;
};

}  // namespace quern::engine::gguf
