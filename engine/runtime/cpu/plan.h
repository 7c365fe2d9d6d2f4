// A program compiled for the CPU: the same operations with packed matrices in place of names, fused where one
// worker can do two of them without waiting for the others. The token loop only reads it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "engine/model/program.h"
#include "engine/runtime/backend.h"
#include "engine/runtime/cpu/aligned_buffer.h"
#include "engine/runtime/cpu/experts.h"
#include "kernels/cpu/kernels.h"

namespace quern::engine::runtime {

class ThreadPool;

/// Rows of a tensor in the file's mapping.
struct RowTable {
  kernels::DType type = kernels::DType::kF32;
  const std::byte* rows = nullptr;  ///< null: there is none
  std::size_t rowBytes = 0;

  const std::byte* row(std::int32_t index) const { return rows + static_cast<std::size_t>(index) * rowBytes; }
};

struct EmbedStep {
  RowTable tokens;
  float scale = 1.0F;
  RowTable positions;
  const float* constant = nullptr;  ///< added to every token
};

/// x / rms(x) · weight, or, centred, (x − mean) / deviation · weight + bias.
struct NormWeights {
  const float* weight = nullptr;
  const float* bias = nullptr;
  bool isCentred = false;
  float epsilon = 0;
};

/// A buffer is normed in place.
struct NormStep {
  model::Buffer buffer = model::Buffer::kResidual;
  NormWeights norm;
};

/// residual += norm(in)
struct NormAddStep {
  model::Buffer in = model::Buffer::kProjected;
  NormWeights norm;
};

struct PackedProjection {
  kernels::cpu::PackedMatrix matrix;
  const float* bias = nullptr;
  model::Buffer out = model::Buffer::kResidual;
  bool accumulate = false;
  std::int64_t firstTile = 0;  ///< among the tiles of its step
};

/// Prepares its input (norm or activation, then int8) and multiplies. The tiles of all matrices are shared
/// out together.
struct ProjectStep {
  enum class Prepare : std::uint8_t { kNone, kNorm, kSilu, kGelu, kGeluErf, kSwigluOai };
  Prepare prepare = Prepare::kNone;
  model::Buffer in = model::Buffer::kNormed;  ///< kNone and kNorm; activations read gate and up
  bool hasUp = true;                          ///< otherwise they read gate only
  NormWeights norm;
  float scale = 1.0F;       ///< multiplies what was prepared; biases have it already
  bool isGated = false;     ///< and so does sigmoid(kSharedGate)
  std::int32_t number = 0;  ///< among the plan's steps of this kind, as the program's Project operations
  std::int64_t cols = 0;
  bool quantizes = false;    ///< some output reads int8 activations
  bool readsValues = false;  ///< some output reads float32
  std::int64_t tiles = 0;
  std::vector<PackedProjection> outputs;
};

struct AttendStep {
  std::int32_t layer = 0;
  std::int32_t rope = 0;
  const float* queryNorm = nullptr;
  const float* keyNorm = nullptr;
  float epsilon = 0;
  float scale = 1.0F;
  float softcap = 0.0F;
  std::int32_t window = 0;
  const float* sinks = nullptr;  ///< [heads], or null
  bool isCentred = false;
  /// Floats from one head's norm to the next one's.
  std::int64_t queryNormStride = 0;
  std::int64_t keyNormStride = 0;
};

struct AbsorbKeysStep {
  PackedStack keys;  ///< one matrix a head
  const float* norm = nullptr;
  float epsilon = 0;
};

struct ExpandValuesStep {
  PackedStack values;  ///< one matrix a head
};

using Step = std::variant<EmbedStep, NormStep, NormAddStep, ProjectStep, AttendStep, ExpertsStep,
                          AbsorbKeysStep, ExpandValuesStep>;

struct Plan {
  std::vector<Step> body;
  std::vector<Step> head;
  /// All matrices one after another in the order of use, so that they share huge pages and a worker that
  /// reads ahead at the end of one reads the next.
  AlignedBuffer packed;
  std::vector<std::byte*> smallPages;       ///< of it, to be merged when there is time; see fresh_pages.h
  std::vector<std::vector<float>> vectors;  ///< owns norms and biases
  std::uint64_t packedBytes = 0;
  std::uint64_t embedRowBytes = 0;
  std::int64_t widestInput = 0;  ///< floats of the widest input of a projection
};

/// Packs every matrix that the program names, on all workers of `pool`. Errors as Backend::compile().
base::Result<Plan> compilePlan(const gguf::File& file, const model::Program& program,
                               const kernels::cpu::Kernels& kernels, ThreadPool& pool,
                               const Progress& progress);

/// Bytes that compilePlan() will allocate for matrices, or kUnsupported for a type that no kernel reads.
base::Result<std::uint64_t> packedBytesOf(const gguf::File& file, const model::Program& program,
                                          const kernels::cpu::Kernels& kernels);

}  // namespace quern::engine::runtime
