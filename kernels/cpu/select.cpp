#include <cstring>

#include "kernels/cpu/table.h"

namespace quern::kernels::cpu {

CpuFeatures cpuFeatures() {
  CpuFeatures features;
#if defined(__x86_64__)
  // The compiler's own check also asks the operating system whether it saves the wide registers.
  features.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("f16c") && __builtin_cpu_supports("bmi2");
  features.avx512vnni = features.avx2 && __builtin_cpu_supports("avx512f") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
#endif
  return features;
}

const Kernels* selectKernels(const char* name) {
  const auto wanted = [&](const char* candidate) {
    return name == nullptr || std::strcmp(name, candidate) == 0;
  };
  [[maybe_unused]] const CpuFeatures features = cpuFeatures();
#ifdef QUERN_HAVE_AVX512VNNI
  if (features.avx512vnni && wanted("avx512vnni")) return &avx512vnniKernels();
#endif
#ifdef QUERN_HAVE_AVX2
  if (features.avx2 && wanted("avx2")) return &avx2Kernels();
#endif
  return wanted("generic") ? &genericKernels() : nullptr;
}

}  // namespace quern::kernels::cpu
