// The AVX-512 VNNI table.
//
// A group of 32 columns of a 4-bit form is 4 loads, 8 unpacking operations and 8 "vpdpbusd" a token, whose
// activations come from memory as an embedded broadcast. Decoding one token is bound by the stream of
// weights. Prompts go through panel_avx512vnni.cpp.

#include "kernels/cpu/avx512vnni/dots_avx512vnni.h"
#include "kernels/cpu/avx512vnni/panel_avx512vnni.h"
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
