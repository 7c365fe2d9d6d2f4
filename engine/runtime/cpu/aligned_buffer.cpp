#include "engine/runtime/cpu/aligned_buffer.h"

#include <sys/mman.h>

#include <utility>

#include "engine/base/text.h"

namespace quern::engine::runtime {
namespace {

/// From this size on, asking for huge pages saves more address translation than it wastes at the end.
constexpr std::size_t kHugeFrom = 8U << 20;

}  // namespace

base::Result<AlignedBuffer> AlignedBuffer::allocate(std::size_t bytes) {
  AlignedBuffer buffer;
  if (bytes == 0) return buffer;
  void* mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) {
    return base::Error(base::ErrorCode::kOutOfMemory,
                       "The system did not give " + base::byteText(bytes) + " of memory.");
  }
  if (bytes >= kHugeFrom) ::madvise(mapped, bytes, MADV_HUGEPAGE);
  buffer.data_ = static_cast<std::byte*>(mapped);
  buffer.size_ = bytes;
  return buffer;
}

AlignedBuffer::~AlignedBuffer() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

AlignedBuffer::AlignedBuffer(AlignedBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

AlignedBuffer& AlignedBuffer::operator=(AlignedBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace quern::engine::runtime
