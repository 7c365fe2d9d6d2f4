// LoRA adapters (E. Hu et al., arXiv:2106.09685) as llama.cpp's converter and `quern convert` write them:
// files with general.type = "adapter", adapter.type = "lora", adapter.lora.alpha, and for every matrix NAME
// that they change the factors NAME.lora_a [rank, cols] and NAME.lora_b [rows, rank].
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "engine/base/result.h"

namespace quern::engine::gguf {
class File;
struct Tensor;
}  // namespace quern::engine::gguf

namespace quern::engine::model {

struct Program;

/// The largest rank that is taken: four times that of the largest adapters that people train.
inline constexpr std::int32_t kMostAdapterRank = 1024;

/// What is added to a matrix: factor · b · a. The tensors are the adapter file's, which must outlive this.
struct LowRank {
  const gguf::Tensor* a = nullptr;  ///< [rank, cols]
  const gguf::Tensor* b = nullptr;  ///< [rows, rank]
  std::int32_t rank = 0;
  float factor = 1.0F;  ///< alpha / rank; 1 where the file names no alpha or 0, as llama.cpp has it
};

struct Adapter {
  /// By the matrix as the program calls it (WeightRows::tensor); always one that a Project multiplies with.
  std::map<std::string, LowRank, std::less<>> changes;
};

/// Whether the file says that it is an adapter and no model.
bool isAdapter(const gguf::File& file);

/// Reads the head of an adapter for the model in `modelFile`, of which `program` was built, and proves that
/// every tensor of it fits a matrix of the model and can be computed with. Errors: kMalformed (factors that
/// are not there or do not fit), kUnsupported (another kind of adapter, another architecture, a change of
/// what no Project multiplies with: embeddings, experts, latent attention's inner matrices), each naming what
/// it is.
base::Result<Adapter> readAdapter(const gguf::File& file, const gguf::File& modelFile,
                                  const Program& program);

}  // namespace quern::engine::model
