#include "kernels/cpu/generic/simd_generic.h"
#include "kernels/cpu/table.h"

namespace quern::kernels::cpu {

const Kernels& genericKernels() {
  static constexpr Kernels table = makeTable<SimdGeneric>("generic");
  return table;
}

}  // namespace quern::kernels::cpu
