// Split models: "name-00001-of-00003.gguf" and its siblings, told by the metadata `split.no`, `split.count`
// and `split.tensors.count` (written by llama.cpp's gguf-split).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/gguf/mapping.h"
#include "engine/gguf/parser.h"

namespace quern::engine::gguf {

/// Which part of how many a file says it is; `index` from 0.
struct SplitPlace {
  std::uint64_t index = 0;
  std::uint64_t count = 1;
  std::optional<std::uint64_t> tensors;  ///< in all parts together
};

struct SplitPart {
  std::filesystem::path path;
  Mapping mapping;
  ParsedFile head;
};

/// nullopt for a model in one file. Errors: kMalformed when the numbers make no sense.
base::Result<std::optional<SplitPlace>> splitPlace(const ParsedFile& head, const std::string& name);

/// The file name of part `index` (from 0) of `count`.
std::string splitName(const std::string& stem, std::uint64_t index, std::uint64_t count);
/// "name" out of "name-00002-of-00003.gguf"; nullopt when a name does not end that way.
std::optional<std::string> splitStem(const std::string& fileName);

/// Opens all parts of the model that `path` is one part of, the first part first. Errors: kNotFound naming
/// the part that is missing, kMalformed when the parts disagree.
base::Result<std::vector<SplitPart>> openSplits(const std::filesystem::path& path, const SplitPlace& place);

}  // namespace quern::engine::gguf
