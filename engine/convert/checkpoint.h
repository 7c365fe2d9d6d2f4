// All tensors of a model folder, whether it is one safetensors file or many.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/convert/safetensors.h"

namespace quern::engine::convert {

/// The tensors by canonical name. Architectures wrap the same model in different prefixes ("model.",
/// "language_model.model.", "bert.") and older BERTs call a norm's weight "gamma": canonical names have none
/// of that, so that a family's rules need no variants. Immutable; owns the mappings.
class Checkpoint {
 public:
  /// Opens `model.safetensors.index.json` with its shards, or the only *.safetensors file of the folder.
  /// Errors: kNotFound (no safetensors; other formats are named), and what SafetensorsFile says.
  static base::Result<Checkpoint> open(const std::filesystem::path& folder);
  static base::Result<Checkpoint> openFile(const std::filesystem::path& file);

  /// nullptr where there is none of that (canonical) name.
  const SourceTensor* find(std::string_view name) const;
  const std::map<std::string, const SourceTensor*, std::less<>>& tensors() const { return byName_; }
  std::uint64_t sizeBytes() const;

 private:
  base::Result<void> add(const std::filesystem::path& file);

  std::vector<std::shared_ptr<const SafetensorsFile>> files_;
  std::map<std::string, const SourceTensor*, std::less<>> byName_;
};

/// "model.language_model.layers.0.x.gamma" → "layers.0.x.weight".
std::string canonicalName(std::string_view name);

}  // namespace quern::engine::convert
