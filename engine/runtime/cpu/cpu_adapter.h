// A LoRA adapter compiled for the CPU: the factors of every matrix that it changes, packed in the layout of
// the model's own matrices, float32 or of 16 bits as in the file, and filed under the step that multiplies
// with it.
//
//   y += B · (scale · factor · (A · x))        x: [cols], A: [rank, cols], B: [rows, rank]
//
// A · x is computed where x is prepared, from its floats, before they are rounded to int8: so a prompt's
// token and a decoded one get the same change of the same input. B is added by whoever has the tile of y.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/model/adapter.h"
#include "engine/model/program.h"
#include "engine/runtime/backend.h"
#include "engine/runtime/cpu/aligned_buffer.h"
#include "kernels/cpu/kernels.h"

namespace quern::engine::runtime {

class CpuAdapter : public Adapter {
 public:
  /// A of a matrix, whose products with an input lie from float `at` of the token's on.
  struct Down {
    kernels::cpu::PackedMatrix a;
    std::int64_t at = 0;
    float factor = 1.0F;
  };
  /// B of one output of a step; a fused matrix has one A and several outputs.
  struct Up {
    kernels::cpu::PackedMatrix b;
    std::int64_t at = 0;  ///< of the products that it reads
    bool isThere = false;
  };
  struct StepChange {
    std::vector<Down> downs;
    std::vector<Up> ups;  ///< of every output of the step, in their order
  };

  /// Packs the factors. Errors: kMalformed (numbers that are not finite), kOutOfMemory.
  static base::Result<std::shared_ptr<const CpuAdapter>> make(const model::Adapter& adapter,
                                                              const model::Program& program,
                                                              const kernels::cpu::Kernels& kernels,
                                                              const Executable* owner);

  std::uint64_t sizeBytes() const override { return memory_.size(); }
  /// What it changes in the step of this number (ProjectStep::number); null: nothing.
  const StepChange* changeOf(std::int32_t step) const {
    return steps_[static_cast<std::size_t>(step)].downs.empty() ? nullptr
                                                                : &steps_[static_cast<std::size_t>(step)];
  }
  /// Floats of the products A · x of one token in a step at most; a multiple of a cache line's.
  std::int64_t products() const { return products_; }
  bool isFor(const Executable* executable) const { return owner_ == executable; }

 private:
  friend class AdapterCompiler;
  std::vector<StepChange> steps_;
  std::int64_t products_ = 0;
  AlignedBuffer memory_;
  const Executable* owner_ = nullptr;
};

}  // namespace quern::engine::runtime
