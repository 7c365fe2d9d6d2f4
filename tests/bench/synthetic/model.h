// Random models of Llama's shape, dense or with experts, to time shapes that nobody wants to download.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "kernels/formats/formats.h"

namespace quern::bench {

struct Shape {
  std::uint32_t layers = 0;
  std::uint32_t width = 0;   ///< embedding length
  std::uint32_t hidden = 0;  ///< of the feed-forward block, or of one expert
  std::uint32_t heads = 0;
  std::uint32_t kvHeads = 0;
  std::uint32_t headDim = 0;
  std::uint32_t vocabulary = 0;
  std::uint32_t context = 0;
  bool tied = false;  ///< the embeddings are the output matrix as well
  std::uint32_t experts = 0;
  std::uint32_t expertsUsed = 0;
  double ropeBase = 10000;
};

struct Preset {
  std::string_view name;
  std::string_view about;
  Shape shape;
};
const std::vector<Preset>& presets();
const Preset* findPreset(std::string_view name);

/// What the whole file is said to be; which tensor gets which format follows from it as llama.cpp's quantizer
/// has it (src/llama-quant.cpp, without an importance matrix).
enum class Mix : std::uint8_t { kF16, kQ4_0, kQ4_1, kQ8_0, kQ4_K_M };
std::optional<Mix> mixOf(std::string_view name);

/// The format of one matrix whose rows have `columns` elements. `name` is the tensor's,
/// "blk.3.ffn_down.weight".
kernels::DType formatOf(Mix mix, const Shape& shape, std::string_view name, std::uint32_t layer,
                        std::uint32_t columns);

/// Writes the model, a mebibyte of weights in memory at a time. Equal arguments give equal files. Weights
/// have mean 0 and a standard deviation of 1/√columns, so that a normalized vector keeps its length through
/// every matrix. Errors: kInvalidArgument (a shape that no model has), those of gguf::Writer::write().
engine::base::Result<void> writeModel(const std::filesystem::path& path, const Shape& shape, Mix mix,
                                      std::uint64_t seed, const std::function<bool(double)>& progress = {});

}  // namespace quern::bench
