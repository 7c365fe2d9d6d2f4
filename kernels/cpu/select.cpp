#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <cstring>

#include "kernels/cpu/table.h"

namespace quern::kernels::cpu {

namespace {

#if defined(__x86_64__)
/// clang 14's __builtin_cpu_supports does not know F16C: leaf 1, bit 29 of ECX.
bool hasF16c() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & (1U << 29)) != 0;
}

/// clang 14 and g++ 12 know AVX-VNNI by different names: leaf 7, second part, bit 4 of EAX.
bool hasAvxVnni() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & (1U << 4)) != 0;
}
#endif

}  // namespace

CpuFeatures cpuFeatures() {
  CpuFeatures features;
#if defined(__x86_64__)
  // The compiler's own check also asks the operating system whether it saves the wide registers.
  features.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && hasF16c() &&
                  __builtin_cpu_supports("bmi2");
  features.avxvnni = features.avx2 && hasAvxVnni();
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
#ifdef QUERN_HAVE_AVXVNNI
  if (features.avxvnni && wanted("avxvnni")) return &avxvnniKernels();
#endif
#ifdef QUERN_HAVE_AVX2
  if (features.avx2 && wanted("avx2")) return &avx2Kernels();
#endif
  return wanted("generic") ? &genericKernels() : nullptr;
}

}  // namespace quern::kernels::cpu
