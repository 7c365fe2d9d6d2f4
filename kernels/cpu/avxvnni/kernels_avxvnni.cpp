// The table of processors that have VNNI in 256 bits but no AVX-512 (Alder Lake and its successors): AVX2,
// but "vpdpbusd" multiplies four unsigned bytes with four signed ones and adds all of it in 32 bits. Nothing
// saturates, so whole bytes stay unsigned as they are packed.

#include <immintrin.h>

#include "kernels/cpu/avx2/simd_avx2.h"
#include "kernels/cpu/unrolled.h"

namespace quern::kernels::cpu {
namespace {

struct ProductsAvxVnni {
  static constexpr int kSums = 8;

  static __m256i first(__m256i weights, __m256i four) {
    return _mm256_dpbusd_avx_epi32(_mm256_setzero_si256(), weights, four);
  }
  static __m256i sum(__m256i a, __m256i b) { return _mm256_add_epi32(a, b); }
  static __m256i add(__m256i sums, __m256i weights, __m256i four) {
    return _mm256_dpbusd_avx_epi32(sums, weights, four);
  }
  static __m256i widen(__m256i sums) { return sums; }
};

struct SimdAvxVnni : SimdAvx2 {
  template <class F>
  using Products = ProductsAvxVnni;
  template <class F>
  static constexpr bool usesSigned() {
    return false;
  }
  template <class F>
  static Bytes finish(Bytes x) {
    return x;
  }
  template <class F, int T>
  static void groupDots(const std::byte* quants, const TokenActivations* x, std::int64_t column,
                        Ints (&acc)[T][F::halves]) {
    Dots<SimdAvxVnni, F>::template packed<T>(quants, x, column, acc);
  }
  template <class F>
  static void manyTokens(const PackedMatrix& weights, std::int64_t rowBegin, std::int64_t rowEnd,
                         const Activations& x, std::int64_t tokens, float* output, std::int64_t stride,
                         bool accumulate) {
    UnpackedTile<SimdAvxVnni, F>::run(weights, rowBegin, rowEnd, x, tokens, output, stride, accumulate);
  }

  static std::int64_t int8Peak(std::int64_t iterations) {
    // Two a cycle, each five cycles long: ten chains.
    constexpr int kChains = 10;
    __m256i acc[kChains];
    __m256i x = _mm256_set1_epi8(3);
    __m256i y = _mm256_set1_epi8(5);
    // Each begins somewhere else, or the compiler sees that they are one.
    unrolled<kChains>([&]<int c>() { acc[c] = _mm256_set1_epi32(c); });
    for (std::int64_t i = 0; i < iterations; ++i) {
      // The barrier keeps the compiler from computing all turns at once.
      asm volatile("" : "+x"(x), "+x"(y));
      unrolled<kChains>([&]<int c>() { acc[c] = _mm256_dpbusd_avx_epi32(acc[c], x, y); });
    }
    __m256i total = _mm256_setzero_si256();
    unrolled<kChains>([&]<int c>() { total = _mm256_add_epi32(total, acc[c]); });
    volatile int sink = _mm256_extract_epi32(total, 0);
    (void)sink;
    return iterations * kChains * 32;
  }
};

}  // namespace

const Kernels& avxvnniKernels() {
  static constexpr Kernels table = makeTable<SimdAvxVnni>("avxvnni");
  return table;
}

}  // namespace quern::kernels::cpu
