// A read-only memory mapping of a file.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "engine/base/result.h"

namespace quern::engine::gguf {

/// Owns the mapping; movable. The bytes are those of the file at the time they are touched: should another
/// process shorten the file while it is mapped, touching the lost pages raises SIGBUS, as with every mapped
/// file.
class Mapping {
 public:
  /// Errors: kNotFound, kIo; a folder, a pipe or a device is kInvalidArgument, an empty file kMalformed.
  static base::Result<Mapping> open(const std::filesystem::path& path);

  Mapping() = default;
  ~Mapping();
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;

  std::span<const std::byte> bytes() const { return bytes_; }

  /// Hints for the pages that lie wholly inside `part`, a part of bytes(): read ahead, or drop from memory.
  /// Dropped pages come back from the file when they are touched again.
  static void prefetch(std::span<const std::byte> part);
  static void release(std::span<const std::byte> part);

 private:
  explicit Mapping(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::span<const std::byte> bytes_;
};

}  // namespace quern::engine::gguf
