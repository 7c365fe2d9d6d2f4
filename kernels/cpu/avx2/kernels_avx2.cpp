#include "kernels/cpu/avx2/simd_avx2.h"

namespace quern::kernels::cpu {

const Kernels& avx2Kernels() {
  static constexpr Kernels table = makeTable<SimdAvx2>("avx2");
  return table;
}

}  // namespace quern::kernels::cpu
