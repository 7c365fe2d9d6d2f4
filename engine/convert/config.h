// A model's config.json: hyper-parameters under the many names that they have.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/convert/json_file.h"

namespace quern::engine::convert {

/// Names of one hyper-parameter, the most usual first. The first that stands in the file with a value counts.
using Names = std::vector<std::string_view>;

/// What a rotary embedding is said to be: `rope_parameters` (transformers 5), or `rope_scaling` with the
/// numbers that older files have beside it.
struct RopeSettings {
  std::string kind;  ///< "linear", "yarn", "llama3", "longrope", "dynamic"; "" or "default": plain
  Json values = Json::object();
  std::optional<double> base;       ///< rope_theta
  std::optional<double> localBase;  ///< of layers with a sliding window
  std::optional<double> partial;    ///< share of a head that is rotated
  std::optional<std::uint64_t> originalContext;
};

/// Immutable. A text model inside a multimodal one ("text_config") counts as the model.
class Config {
 public:
  /// Errors: kNotFound, kIo, kMalformed.
  static base::Result<Config> read(const std::filesystem::path& folder);
  static base::Result<Config> fromJson(Json json);

  /// Values for what the file does not say: {"rms_norm_eps": 1e-6}.
  void addDefaults(std::string_view json);

  const std::string& architecture() const { return architecture_; }  ///< "LlamaForCausalLM", or ""
  const std::string& modelType() const { return modelType_; }        ///< "llama", or ""
  const Json& json() const { return json_; }

  bool has(std::string_view name) const { return !member(json_, name).is_null(); }
  /// nullopt: not there. A value that is no whole number from 0 to 2^31 − 1 is kMalformed.
  base::Result<std::optional<std::uint64_t>> count(const Names& names) const;
  base::Result<std::optional<double>> real(const Names& names) const;
  std::optional<bool> flag(std::string_view name) const;
  /// As above, but it has to be there: kMalformed otherwise.
  base::Result<std::uint64_t> neededCount(const Names& names) const;

  base::Result<std::uint64_t> layers() const;   ///< 1 … 1024
  base::Result<std::uint64_t> heads() const;    ///< 1 … 1024
  base::Result<std::uint64_t> kvHeads() const;  ///< heads() where the file does not say
  base::Result<std::uint64_t> experts() const;  ///< 0 … 4096
  base::Result<std::uint64_t> headDim() const;  ///< head_dim, or hidden_size / heads
  base::Result<RopeSettings> rope() const;

 private:
  base::Result<std::uint64_t> bounded(const Names& names, std::uint64_t least, std::uint64_t most) const;
  const Json* find(const Names& names, std::string_view* found = nullptr) const;

  Json json_ = Json::object();
  std::string architecture_;
  std::string modelType_;
};

}  // namespace quern::engine::convert
