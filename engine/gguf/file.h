// A GGUF model file, memory-mapped and proven before use: every count, length, dimension and offset has been
// checked against the bytes that are there. Format: the GGUF specification (ggml-org/ggml docs/gguf.md),
// versions 2 and 3, little-endian, single or split ("-00001-of-0000N").
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "kernels/formats/formats.h"

namespace quern::engine::gguf {

/// Ids of metadata value types as they stand in the file.
enum class ValueType : std::uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

/// One metadata value: a view into the mapping, valid while its File lives. The as…() functions answer
/// nullopt when the stored type cannot be read that way without loss.
class Value {
 public:
  Value(ValueType type, ValueType elementType, std::uint64_t count, std::span<const std::byte> payload)
      : type_(type), elementType_(elementType), count_(count), payload_(payload) {}

  ValueType type() const { return type_; }
  /// The type of an array's elements; arrays of arrays are refused when the file is opened.
  ValueType elementType() const { return elementType_; }
  /// Elements of an array; 1 for a scalar.
  std::uint64_t count() const { return count_; }
  bool isArray() const { return type_ == ValueType::kArray; }
  /// The value's bytes as they stand in the file, behind type, element type and count (and behind a string's
  /// length): for copying.
  std::span<const std::byte> payload() const { return payload_; }

  std::optional<std::uint64_t> asUnsigned() const;  ///< any integer type that is not negative
  std::optional<std::int64_t> asInteger() const;
  std::optional<double> asNumber() const;  ///< any integer or floating type
  std::optional<bool> asBool() const;
  std::optional<std::string_view> asString() const;

  std::optional<std::vector<std::string_view>> asStrings() const;  ///< an array of strings
  std::optional<std::vector<float>> asFloats() const;              ///< an array of f32 or f64
  std::optional<std::vector<std::int64_t>> asIntegers() const;     ///< an array of any integer type or bool

 private:
  ValueType type_;
  ValueType elementType_;
  std::uint64_t count_;
  std::span<const std::byte> payload_;  ///< the bytes after type, element type and count
};

struct Entry {
  std::string_view key;
  Value value;
};

/// One tensor and where its bytes lie. `dims[0]` is the innermost dimension (the row length), as in the file.
struct Tensor {
  std::string_view name;
  kernels::DType type;
  std::vector<std::uint64_t> dims;
  std::span<const std::byte> data;  ///< in the mapping

  std::uint64_t rowElements() const { return dims.empty() ? 1 : dims.front(); }
  std::uint64_t rows() const;      ///< product of all dimensions but the first
  std::uint64_t elements() const;  ///< product of all dimensions
};

/// "Q4_K", as tools print a tensor's type.
std::string_view typeName(const Tensor& tensor);

/// An opened model (all its splits). Immutable; may be read from any thread; owns the mappings.
class File {
 public:
  /// Opens `path`; for any part of a split model opens all of them. Errors: kNotFound, kIo, kMalformed (a
  /// sentence naming the field), kUnsupported (a version, byte order or tensor type that Quern does not
  /// know).
  static base::Result<std::shared_ptr<const File>> open(const std::filesystem::path& path);
  /// The same checks over bytes that the caller keeps alive (fuzzing, tests). `name` is used in sentences.
  static base::Result<std::shared_ptr<const File>> fromMemory(std::span<const std::byte> bytes,
                                                              std::string name);

  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  const std::filesystem::path& path() const;
  std::uint32_t version() const;
  std::uint64_t alignment() const;
  std::uint64_t sizeBytes() const;  ///< of all splits together

  std::span<const Entry> metadata() const;  ///< in file order
  std::span<const Tensor> tensors() const;  ///< in file order
  const Value* find(std::string_view key) const;
  const Tensor* tensor(std::string_view name) const;

  /// Typed look-ups. A missing key is kNotFound, a value of another type kMalformed; both name the key.
  base::Result<std::uint64_t> unsignedAt(std::string_view key) const;
  base::Result<double> numberAt(std::string_view key) const;
  base::Result<std::string_view> stringAt(std::string_view key) const;
  /// As above, but a missing key is nullopt; a wrong type is still kMalformed.
  base::Result<std::optional<std::uint64_t>> optionalUnsigned(std::string_view key) const;
  base::Result<std::optional<double>> optionalNumber(std::string_view key) const;
  base::Result<std::optional<bool>> optionalBool(std::string_view key) const;
  base::Result<std::optional<std::string_view>> optionalString(std::string_view key) const;

  /// Asks the system to read the pages of a part of a tensor's data ahead, or to take them out of this
  /// process (touching them brings them back). Both are hints, from any thread.
  void prefetch(std::span<const std::byte> part) const;
  void release(std::span<const std::byte> part) const;

 private:
  File();
  struct State;
  std::unique_ptr<State> state_;
};

/// True when the first bytes of `path` are GGUF's magic: kinds are told by content, never by name.
bool hasGgufMagic(const std::filesystem::path& path);

}  // namespace quern::engine::gguf
