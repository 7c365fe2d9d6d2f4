// The models on this machine: what is installed under a name, and what a person means by MODEL.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace quern::engine::hub {

/// A GGUF file in base::modelsFolder(). A split model is listed once, by its first part.
struct InstalledModel {
  std::string name;  ///< file name without ".gguf" and without "-00001-of-0000N"
  std::filesystem::path path;
  std::uint64_t sizeBytes = 0;  ///< of all parts
  std::int64_t modifiedMs = 0;  ///< Unix time
};

/// Every file in the models folder whose magic says GGUF, sorted by name. A missing folder is an empty list.
base::Result<std::vector<InstalledModel>> installedModels();

/// The file that `model` means: an installed name, or a path (files are used where they lie). Errors:
/// kNotFound, with the names that are installed in the sentence; kMalformed where the file is no GGUF.
base::Result<std::filesystem::path> resolveModel(std::string_view model);

}  // namespace quern::engine::hub
