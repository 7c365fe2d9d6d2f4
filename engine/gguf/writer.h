// Writes GGUF v3 files: metadata of every type, tensors whose bytes are streamed, one file or a split set.
// Format: the GGUF specification (ggml-org/ggml docs/gguf.md); split keys as llama.cpp's gguf-split has them.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/gguf/file.h"

namespace quern::engine::gguf {

/// The GGUF type that stands for a C++ scalar.
template <class T>
consteval ValueType valueTypeOf() {
  if constexpr (std::same_as<T, bool>) return ValueType::kBool;
  if constexpr (std::same_as<T, std::uint8_t>) return ValueType::kU8;
  if constexpr (std::same_as<T, std::int8_t>) return ValueType::kI8;
  if constexpr (std::same_as<T, std::uint16_t>) return ValueType::kU16;
  if constexpr (std::same_as<T, std::int16_t>) return ValueType::kI16;
  if constexpr (std::same_as<T, std::uint32_t>) return ValueType::kU32;
  if constexpr (std::same_as<T, std::int32_t>) return ValueType::kI32;
  if constexpr (std::same_as<T, std::uint64_t>) return ValueType::kU64;
  if constexpr (std::same_as<T, std::int64_t>) return ValueType::kI64;
  if constexpr (std::same_as<T, float>) return ValueType::kF32;
  if constexpr (std::same_as<T, double>) return ValueType::kF64;
}
template <class T>
concept Scalar = requires {
  requires std::is_arithmetic_v<T> && sizeof(valueTypeOf<T>()) > 0;
};

/// Takes the next bytes of a tensor.
using EmitBytes = std::function<base::Result<void>(std::span<const std::byte>)>;
/// Hands a tensor's bytes to `emit` piece by piece, exactly as many as its type and dimensions say. Called
/// once, from write().
using TensorSource = std::function<base::Result<void>(const EmitBytes& emit)>;

struct WriteOptions {
  std::uint64_t alignment = 32;      ///< of tensor data; a power of two, 8 … 1 MiB
  std::uint64_t maxPartBytes = 0;    ///< > 0: begin a new part before tensor data would exceed this
  std::uint64_t maxPartTensors = 0;  ///< > 0: at most so many tensors a part
  /// Called with 0…1 after every piece; returning false cancels (kCancelled).
  std::function<bool(double fraction)> progress = {};
};

/// Collects a model's head, then writes it. Keys and tensors stand in the file in the order in which they
/// were added. A mistake in what is added (a name that stands twice, dimensions that make no whole blocks) is
/// remembered and is what write() answers. Not shared by threads.
class Writer {
 public:
  template <Scalar T>
  void set(std::string_view key, T value) {
    setRaw(key, valueTypeOf<T>(), std::nullopt, 1, std::as_bytes(std::span(&value, 1)));
  }
  void set(std::string_view key, std::string_view text);
  void set(std::string_view key, const char* text) { set(key, std::string_view(text)); }
  template <Scalar T>
  void setArray(std::string_view key, std::span<const T> values) {
    setRaw(key, ValueType::kArray, valueTypeOf<T>(), values.size(), std::as_bytes(values));
  }
  void setStrings(std::string_view key, std::span<const std::string> texts);
  /// A value as it stands in an opened file. The `split.*` keys and `general.alignment` are write()'s own:
  /// they are left out.
  void copy(const Entry& entry);

  /// Adds a tensor; `dims[0]` is the row length, at most four of them.
  void addTensor(std::string_view name, kernels::DType type, std::span<const std::uint64_t> dims,
                 TensorSource source);
  /// The same for bytes in memory that the caller keeps until write() has returned.
  void addTensor(std::string_view name, kernels::DType type, std::span<const std::uint64_t> dims,
                 std::span<const std::byte> bytes);

  /// Writes everything to temporary files beside `path` and renames them when all is on the disk, so that a
  /// reader never sees half a model and an older file stays until then. With a part limit that is reached,
  /// "name.gguf" becomes "name-00001-of-0000N.gguf" and so on, all metadata in the first. Returns the paths
  /// written. Errors: kInvalidArgument (what was added or asked for), kIo (disk full, no permission),
  /// kCancelled, and whatever a source answers.
  base::Result<std::vector<std::filesystem::path>> write(const std::filesystem::path& path,
                                                         const WriteOptions& options = {}) const;

 private:
  struct Item {
    std::string key;
    std::vector<std::byte> encoded;  ///< type and value as they stand in the file
  };
  struct Planned {
    std::string name;
    kernels::DType type;
    std::vector<std::uint64_t> dims;
    std::uint64_t sizeBytes;
    TensorSource source;
  };
  struct Part;

  void setRaw(std::string_view key, ValueType type, std::optional<ValueType> elementType, std::uint64_t count,
              std::span<const std::byte> payload);
  void reject(std::string sentence);
  std::vector<Part> plan(const WriteOptions& options) const;
  std::vector<std::byte> head(const Part& part, std::size_t index, std::size_t parts,
                              std::uint64_t alignment) const;

  std::vector<Item> items_;
  std::vector<Planned> tensors_;
  std::set<std::string, std::less<>> keys_;
  std::set<std::string, std::less<>> names_;
  std::optional<base::Error> mistake_;
};

}  // namespace quern::engine::gguf
