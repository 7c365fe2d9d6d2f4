#include "engine/runtime/cpu/activation_space.h"

namespace quern::engine::runtime {
namespace {

std::size_t rounded(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

/// Rows of panel activations for `tokens` tokens: whole groups.
std::size_t panelRows(std::int64_t tokens) {
  constexpr std::int64_t kGroup = kernels::cpu::kPanelTokens;
  return static_cast<std::size_t>((tokens + kGroup - 1) / kGroup * kGroup);
}

/// Bytes of their scales, or of what their integer sums start from.
std::size_t panelScaleBytes(std::int64_t tokens, std::int64_t widest) {
  static_assert(sizeof(float) == sizeof(std::int32_t));
  return rounded(panelRows(tokens) * static_cast<std::size_t>(kernels::cpu::panelBlocks(widest)) *
                 sizeof(float));
}

}  // namespace

std::uint64_t ActivationSpace::bytesFor(std::int64_t tokens, std::int64_t widest, std::int64_t panelTokens) {
  const auto elements = static_cast<std::size_t>(tokens * widest);
  return rounded(elements * sizeof(float)) + rounded(elements) +
         rounded(elements / kernels::cpu::kActivationBlock * sizeof(float) + 64) +
         rounded(elements / kernels::cpu::kSumBlock * sizeof(float) + 64) +
         rounded(panelRows(panelTokens) * static_cast<std::size_t>(widest)) +
         2 * panelScaleBytes(panelTokens, widest);
}

base::Result<ActivationSpace> ActivationSpace::make(std::int64_t tokens, std::int64_t widest,
                                                    std::int64_t panelTokens) {
  ActivationSpace space;
  QUERN_ASSIGN(space.memory_, AlignedBuffer::allocate(bytesFor(tokens, widest, panelTokens)));
  const auto elements = static_cast<std::size_t>(tokens * widest);
  std::byte* at = space.memory_.data();
  space.values_ = reinterpret_cast<float*>(at);
  at += rounded(elements * sizeof(float));
  space.quantized_ = reinterpret_cast<std::int8_t*>(at);
  at += rounded(elements);
  space.scales_ = reinterpret_cast<float*>(at);
  at += rounded(elements / kernels::cpu::kActivationBlock * sizeof(float) + 64);
  space.sums_ = reinterpret_cast<float*>(at);
  at += rounded(elements / kernels::cpu::kSumBlock * sizeof(float) + 64);
  space.panel_.quantized = reinterpret_cast<std::int8_t*>(at);
  at += rounded(panelRows(panelTokens) * static_cast<std::size_t>(widest));
  space.panel_.scales = reinterpret_cast<float*>(at);
  at += panelScaleBytes(panelTokens, widest);
  space.panel_.starts = reinterpret_cast<std::int32_t*>(at);
  return space;
}

}  // namespace quern::engine::runtime
