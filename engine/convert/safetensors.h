// A safetensors file, memory-mapped and proven before use. Format: the safetensors README
// (huggingface/safetensors): a u64 length, so many bytes of JSON {name: {dtype, shape, data_offsets}}, then
// the tensors' bytes without gaps; numbers little-endian, rows contiguous.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace quern::engine::convert {

/// What a checkpoint's numbers are stored as.
enum class SourceType : std::uint8_t {
  kF64,
  kF32,
  kF16,
  kBF16,
  kF8E4M3,  ///< the "fn" kind: no infinities, 0x7F is NaN
  kF8E5M2,
  kI64,
  kI32,
  kI16,
  kI8,
  kU8,  ///< also E8M0 scales and booleans: bytes whose meaning the reader knows
};

std::size_t sizeOf(SourceType type);
std::string_view nameOf(SourceType type);

/// One tensor and where its bytes lie. `shape[0]` is the outermost dimension, as in the file.
struct SourceTensor {
  std::string name;
  SourceType type = SourceType::kF32;
  std::vector<std::uint64_t> shape;
  std::span<const std::byte> data;  ///< exactly elements() · sizeOf(type); not aligned

  std::uint64_t elements() const;
  std::uint64_t columns() const { return shape.empty() ? 1 : shape.back(); }
};

/// An opened file. Immutable; may be read from any thread; owns the mapping.
class SafetensorsFile {
 public:
  /// Errors: kNotFound, kIo, kMalformed (lengths, offsets, shapes or names that disagree; the tensor is
  /// named), kUnsupported (a number type that Quern does not know).
  static base::Result<std::shared_ptr<const SafetensorsFile>> open(const std::filesystem::path& path);
  /// The same checks over bytes that the caller keeps alive (fuzzing, tests). `name` is used in sentences.
  static base::Result<std::shared_ptr<const SafetensorsFile>> fromMemory(std::span<const std::byte> bytes,
                                                                         std::string name);
  ~SafetensorsFile();

  /// In the order of the bytes in the file.
  const std::vector<SourceTensor>& tensors() const { return tensors_; }

 private:
  SafetensorsFile();
  base::Result<void> read(std::span<const std::byte> bytes, const std::string& name);

  struct Owned;
  std::unique_ptr<Owned> owned_;
  std::vector<SourceTensor> tensors_;
};

}  // namespace quern::engine::convert
