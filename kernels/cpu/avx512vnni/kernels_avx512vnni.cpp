// The AVX-512 VNNI table.
//
// A group of 32 columns of a 4-bit form is 4 loads, 8 unpacking operations and 8 "vpdpbusd" a token, whose
// activations come from memory as an embedded broadcast. Decoding one token is bound by the stream of
// weights. Several go through tile_pair_avx512vnni.h, prompts through panel_avx512vnni.cpp.

#include "kernels/cpu/avx512vnni/dots_avx512vnni.h"
#include "kernels/cpu/avx512vnni/panel_avx512vnni.h"
#include "kernels/cpu/avx512vnni/tile_pair_avx512vnni.h"
#include "kernels/cpu/table.h"

namespace quern::kernels::cpu {
namespace {

struct Simd : SimdAvx512 {
  static constexpr bool kOwnDots = true;
  template <class F, int T>
  static void groupDots(const std::byte* quants, const TokenActivations* x, std::int64_t column,
                        __m512i (&acc)[T][F::halves]) {
    DotsAvx512::group<F, T>(quants, x, column, acc);
  }
  /// Fewer are bound by the stream of weights, which two tiles at once do not make faster.
  static constexpr std::int64_t kManyTokens = 5;
  template <class F>
  static void manyTokens(const PackedMatrix& weights, std::int64_t rowBegin, std::int64_t rowEnd,
                         const Activations& x, std::int64_t tokens, float* output, std::int64_t stride,
                         bool accumulate) {
    TilePairAvx512<F>::run(weights, rowBegin, rowEnd, x, tokens, output, stride, accumulate);
  }
};

}  // namespace

const Kernels& avx512vnniKernels() {
  static constexpr Kernels table = [] {
    Kernels made = makeTable<Simd>("avx512vnni");
    made.quantizePanelRow = quantizePanelRowAvx512;
    made.panelMatmul = panelMatmulAvx512;
    return made;
  }();
  return table;
}

}  // namespace quern::kernels::cpu
