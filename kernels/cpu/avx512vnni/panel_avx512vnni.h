// The panel product of prompts for AVX-512 VNNI; see Kernels::panelMatmul for what it computes.
#pragma once

#include "kernels/cpu/kernels.h"

namespace quern::kernels::cpu {

void quantizePanelRowAvx512(const float* x, std::int64_t cols, const PanelActivations& target,
                            std::int64_t token);
void panelMatmulAvx512(const PackedMatrix& weights, std::int64_t rowBegin, std::int64_t rowEnd,
                       const PanelActivations& x, std::int64_t firstToken, std::int64_t tokens, float* output,
                       std::int64_t outputStride, bool accumulate);

}  // namespace quern::kernels::cpu
