// A folder as Hugging Face publishes models (config.json, *.safetensors, a tokenizer) → one GGUF file, as
// llama.cpp's converter would name and order things.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "kernels/formats/formats.h"

namespace quern::engine::convert {

/// What matrices are stored as. kSource: as the checkpoint has them (BF16, F16; F16 for what is neither).
enum class OutputType : std::uint8_t { kSource, kF32, kF16, kBF16, kQ8_0 };

/// "f16" → kF16; "auto" → kSource. Errors: kInvalidArgument, with the list.
base::Result<OutputType> parseOutputType(std::string_view name);

struct ConvertOptions {
  OutputType type = OutputType::kSource;
  std::string name;                ///< "general.name"; empty: the folder's name
  std::uint64_t maxPartBytes = 0;  ///< > 0: a split set
  std::filesystem::path base;      ///< for LoRA adapters: the folder of the model that they adapt
  /// Called with 0…1 while tensors are written, from the calling thread; returning false cancels.
  std::function<bool(double fraction)> progress = {};
};

/// What was made.
struct ConvertReport {
  std::vector<std::filesystem::path> files;
  std::string architecture;
  std::string kind;  ///< "model" or "adapter"
  std::uint64_t tensors = 0;
  std::uint64_t parameters = 0;
  std::uint64_t sourceBytes = 0;
  std::uint64_t fileBytes = 0;
  kernels::DType type = kernels::DType::kF32;  ///< of most matrices
  std::string typeName;                        ///< as people write it: "BF16"
  std::string tokenizer;                       ///< "gpt2/llama-bpe"; empty for adapters
  std::uint64_t vocabulary = 0;
  std::vector<std::string> leftOut;  ///< tensors of the checkpoint that are not in the file
  std::vector<std::string> notes;    ///< what a person should know, in sentences
};

/// Converts `folder` (a model, or a PEFT adapter: told by what lies in it) into `out`, which appears when it
/// is complete. Tensors are read through mappings and written one by one, so memory does not grow with the
/// model. Errors: kNotFound, kMalformed, kUnsupported (architectures, tokenizers and number types are named),
/// kIo (disk full), kCancelled.
base::Result<ConvertReport> convertFolder(const std::filesystem::path& folder,
                                          const std::filesystem::path& out, const ConvertOptions& options);

}  // namespace quern::engine::convert
