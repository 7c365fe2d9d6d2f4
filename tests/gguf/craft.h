// GGUF files made by hand, byte by byte, so that each lie in them can be told on purpose.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/gguf/file.h"
#include "tests/support/folder.h"

namespace quern::engine::gguf {

class Craft {
 public:
  template <class T>
  Craft& number(T value) {
    append(&value, sizeof value);
    return *this;
  }
  Craft& u8(std::uint8_t value) { return number(value); }
  Craft& u32(std::uint32_t value) { return number(value); }
  Craft& u64(std::uint64_t value) { return number(value); }
  Craft& chars(std::string_view value) {
    append(value.data(), value.size());
    return *this;
  }
  Craft& text(std::string_view value) { return u64(value.size()).chars(value); }

  /// Magic, version and the two counts.
  Craft& head(std::uint64_t tensors, std::uint64_t entries, std::uint32_t version = 3) {
    return chars("GGUF").u32(version).u64(tensors).u64(entries);
  }
  Craft& entry(std::string_view key, ValueType type) {
    return text(key).u32(static_cast<std::uint32_t>(type));
  }
  Craft& alignment(std::uint32_t value) { return entry("general.alignment", ValueType::kU32).u32(value); }
  Craft& array(std::string_view key, ValueType elements, std::uint64_t count) {
    return entry(key, ValueType::kArray).u32(static_cast<std::uint32_t>(elements)).u64(count);
  }
  Craft& tensor(std::string_view name, std::vector<std::uint64_t> dims, std::uint32_t type,
                std::uint64_t offset) {
    text(name).u32(static_cast<std::uint32_t>(dims.size()));
    for (const std::uint64_t dim : dims) u64(dim);
    return u32(type).u64(offset);
  }
  Craft& padTo(std::size_t alignment) {
    while (bytes_.size() % alignment != 0) u8(0);
    return *this;
  }
  Craft& zeros(std::size_t count) {
    bytes_.insert(bytes_.end(), count, std::byte{0});
    return *this;
  }

  const std::vector<std::byte>& bytes() const { return bytes_; }
  base::Result<std::shared_ptr<const File>> open() const { return File::fromMemory(bytes_, "crafted"); }

 private:
  // Not inlined: g++ 12 sees overflows in vectors that grow that are not there (GCC bug 100366).
  [[gnu::noinline]] void append(const void* source, std::size_t size) {
    if (size == 0) return;
    bytes_.resize(bytes_.size() + size);
    std::memcpy(bytes_.data() + bytes_.size() - size, source, size);
  }

  std::vector<std::byte> bytes_;
};

using test::Folder;

inline std::vector<std::byte> readAll(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
  return {bytes.begin(), bytes.end()};
}

inline void writeAll(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace quern::engine::gguf
