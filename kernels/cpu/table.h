// Fills the table of kernels from the shared templates for one Simd.
#pragma once

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/kv_store.h"
#include "kernels/cpu/rope.h"
#include "kernels/cpu/tile_attention.h"
#include "kernels/cpu/tile_matmul.h"
#include "kernels/cpu/vector_math.h"

namespace quern::kernels::cpu {

template <class Simd>
constexpr Kernels makeTable(const char* name) {
  return {.name = name,
          .supports = packSupports,
          .readsQuantized = packReadsQuantized,
          .packedBytes = packedMatrixBytes,
          .packRows = packMatrixRows,
          .quantizeRow = quantizeRow<Simd>,
          .matmul = matmul<Simd>,
          .quantizePanelRow = nullptr,
          .panelMatmul = nullptr,
          .rmsNorm = rmsNorm<Simd>,
          .rope = rope<Simd>,
          .siluMul = siluMul<Simd>,
          .geluMul = geluMul<Simd>,
          .swigluOai = swigluOai<Simd>,
          .softcap = softcap<Simd>,
          .add = addVectors<Simd>,
          .storeKv = storeKv<Simd>,
          .attentionScratchFloats = attentionScratchFloats<Simd>,
          .attentionPartialFloats = attentionPartialFloats<Simd>,
          .attend = attend<Simd>,
          .mergeAttention = mergeAttention<Simd>,
          .int8Peak = Simd::int8Peak};
}

/// The tables of the instruction sets that this build has; defined in their own folders.
const Kernels& avx2Kernels();
const Kernels& avxvnniKernels();
const Kernels& avx512vnniKernels();

}  // namespace quern::kernels::cpu
