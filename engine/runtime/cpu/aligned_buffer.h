// Memory for weights, cache and activations: zeroed, aligned to a cache line, in huge pages where it is
// large.
#pragma once

#include <cstddef>
#include <span>

#include "engine/base/result.h"

namespace quern::engine::runtime {

/// Owns its bytes; movable. Untouched pages cost nothing until they are written.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  /// Errors: kOutOfMemory with the size in the sentence.
  static base::Result<AlignedBuffer> allocate(std::size_t bytes);
  ~AlignedBuffer();
  AlignedBuffer(AlignedBuffer&& other) noexcept;
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept;

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  template <class T>
  T* as() {
    return reinterpret_cast<T*>(data_);
  }
  template <class T>
  const T* as() const {
    return reinterpret_cast<const T*>(data_);
  }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace quern::engine::runtime
