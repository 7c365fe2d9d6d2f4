// Reads one GGUF file's head out of bytes that nobody has vouched for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/gguf/file.h"

namespace quern::engine::gguf {

/// One file's contents; views into the bytes that were parsed.
struct ParsedFile {
  std::uint32_t version = 0;
  std::uint64_t alignment = 32;
  std::vector<Entry> metadata;
  std::vector<Tensor> tensors;
};

/// `name` is how sentences call the file. Memory used is bounded by a small multiple of the bytes' own size.
base::Result<ParsedFile> parse(std::span<const std::byte> bytes, const std::string& name);

}  // namespace quern::engine::gguf
