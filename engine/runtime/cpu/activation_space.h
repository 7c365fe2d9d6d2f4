// Inputs of a projection as its kernels read them.
#pragma once

#include <cstdint>

#include "engine/base/result.h"
#include "engine/runtime/cpu/aligned_buffer.h"
#include "kernels/cpu/kernels.h"

namespace quern::engine::runtime {

/// Activations [tokens, cols] as floats and int8, with room for `tokens` rows of the widest input, and for
/// `panelTokens` of prompts.
class ActivationSpace {
 public:
  static base::Result<ActivationSpace> make(std::int64_t tokens, std::int64_t widest,
                                            std::int64_t panelTokens);
  static std::uint64_t bytesFor(std::int64_t tokens, std::int64_t widest, std::int64_t panelTokens);

  float* values(std::int64_t token, std::int64_t cols) { return values_ + token * cols; }
  std::int8_t* quantized(std::int64_t token, std::int64_t cols) { return quantized_ + token * cols; }
  float* scales(std::int64_t token, std::int64_t cols) {
    return scales_ + token * (cols / kernels::cpu::kActivationBlock);
  }
  float* sums(std::int64_t token, std::int64_t cols) {
    return sums_ + token * (cols / kernels::cpu::kSumBlock);
  }
  /// The prompts' tokens, in the order of their numbers among themselves.
  const kernels::cpu::PanelActivations& panel() const { return panel_; }

 private:
  AlignedBuffer memory_;
  float* values_ = nullptr;
  std::int8_t* quantized_ = nullptr;
  float* scales_ = nullptr;
  float* sums_ = nullptr;
  kernels::cpu::PanelActivations panel_;
};

}  // namespace quern::engine::runtime
