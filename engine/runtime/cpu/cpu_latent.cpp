// What latent attention has around attention itself: a small matrix of every head's own in front, by which
// queries take over what made keys of the cache's vectors, and one behind, which makes values of them. Shares
// are heads; a head's tokens go through its matrix some at a time, prepared by who multiplies them.

#include <algorithm>

#include "engine/runtime/cpu/cpu_executable.h"

namespace quern::engine::runtime {

using model::Buffer;

void CpuExecutable::absorbKeys(const AbsorbKeysStep& step, std::int32_t worker, std::size_t& phase) {
  const model::LatentSizes& sizes = program_.latent;
  const auto tokens = static_cast<std::int64_t>(tokens_.size());
  const HeadPart from{Buffer::kQueryParts, sizes.plain + sizes.rotary, 0};
  const HeadPart to{Buffer::kQuery, program_.headDim, sizes.rotary};
  phases_->run(phase++, program_.heads, [&](std::int32_t head) {
    projectHead(step.keys, head, from, to, workers_[static_cast<std::size_t>(worker)].latent);
    for (std::int64_t t = 0; t < tokens; ++t) {
      const float* parts = row(from.buffer, t) + head * from.stride;
      std::copy_n(parts + sizes.plain, sizes.rotary, row(to.buffer, t) + head * to.stride);
    }
    for (std::int64_t t = 0; t < tokens && head == 0; ++t) {
      float* key = row(Buffer::kKey, t);
      std::copy_n(row(Buffer::kLatentRotary, t), sizes.rotary, key);
      kernels_.rmsNorm(row(Buffer::kLatent, t), step.norm, step.epsilon, sizes.rank, key + sizes.rotary);
    }
  });
}

void CpuExecutable::expandValues(const ExpandValuesStep& step, std::int32_t worker, std::size_t& phase) {
  const model::LatentSizes& sizes = program_.latent;
  const HeadPart from{Buffer::kHeads, program_.headDim, sizes.rotary};
  const HeadPart to{Buffer::kExpanded, sizes.value, 0};
  phases_->run(phase++, program_.heads, [&](std::int32_t head) {
    projectHead(step.values, head, from, to, workers_[static_cast<std::size_t>(worker)].latent);
  });
}

/// One head's vectors of all tokens times its matrix.
void CpuExecutable::projectHead(const PackedStack& weights, std::int32_t head, const HeadPart& in,
                                const HeadPart& out, ActivationSpace& space) {
  const kernels::cpu::PackedMatrix matrix = weights.of(head);
  const std::int64_t cols = matrix.cols;
  const float* bias = weights.biasOf(head);
  const auto tokens = static_cast<std::int64_t>(tokens_.size());
  for (std::int64_t first = 0; first < tokens; first += kLatentTokens) {
    const std::int64_t some = std::min(kLatentTokens, tokens - first);
    for (std::int64_t t = 0; t < some; ++t) {
      const float* from = row(in.buffer, first + t) + head * in.stride + in.offset;
      if (kernels_.readsQuantized(matrix.type)) {
        kernels_.quantizeRow(from, cols, space.quantized(t, cols), space.scales(t, cols),
                             space.sums(t, cols));
      } else {
        std::copy_n(from, cols, space.values(t, cols));
      }
    }
    const kernels::cpu::Activations x{space.values(0, cols), cols, space.quantized(0, cols),
                                      space.scales(0, cols), space.sums(0, cols)};
    const std::int64_t stride = program_.widthOf(out.buffer);
    float* to = row(out.buffer, first) + head * out.stride + out.offset;
    kernels_.matmul(matrix, 0, matrix.rows, x, some, to, stride, false);
    for (std::int64_t t = 0; t < some && bias != nullptr; ++t) {
      kernels_.add(to + t * stride, bias, matrix.rows);
    }
  }
}

}  // namespace quern::engine::runtime
