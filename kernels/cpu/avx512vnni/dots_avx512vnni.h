// The integer sums of a packed group for AVX-512 VNNI: 4 loads, 8 unpacking operations and 8 "vpdpbusd" a
// token.
#pragma once

#include "kernels/cpu/avx512vnni/simd_avx512vnni.h"
#include "kernels/cpu/layout.h"
#include "kernels/cpu/tile_matmul.h"
#include "kernels/cpu/unrolled.h"

namespace quern::kernels::cpu {
namespace {

/// acc += Σ of four products a lane. Written out, since g++ 12 copies and spills every sum that goes through
/// the intrinsic (its operand has another mode than __m512i).
[[gnu::always_inline]] inline void multiplyAdd(__m512i& acc, __m512i unsignedBytes, __m512i signedBytes) {
  asm("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(unsignedBytes), "v"(signedBytes));
}
/// The same with four bytes of memory for all lanes.
[[gnu::always_inline]] inline void multiplyAdd(__m512i& acc, __m512i unsignedBytes, const std::int8_t* four) {
  asm("vpdpbusd %2%{1to16%}, %1, %0"
      : "+v"(acc)
      : "v"(unsignedBytes), "m"(*reinterpret_cast<const char(*)[4]>(four)));
}

struct DotsAvx512 {
  /// The quants of quads `quad` (columns 4·quad …) and `quad + 4` (16 columns on), unsigned.
  template <class F>
  [[gnu::always_inline]] static void unpack(const std::byte* quants, int quad, __m512i& low, __m512i& high) {
    using Simd = SimdAvx512;
    if constexpr (F::quants == Quants::kBytes) {
      low = Simd::loadBytes(quants + 64 * quad);
      high = Simd::loadBytes(quants + 64 * (quad + 4));
      return;
    }
    const __m512i both = Simd::loadBytes(quants + 64 * quad);
    low = Simd::lowNibbles(both);
    high = Simd::highNibbles(both);
    if constexpr (F::table != nullptr) {
      low = Simd::lookUp(low, F::table, F::offset);
      high = Simd::lookUp(high, F::table, F::offset);
    }
    if constexpr (F::quants == Quants::kFiveBits) {
      low = Simd::addBit4(low, quants + 256 + 8 * quad);
      high = Simd::addBit4(high, quants + 256 + 8 * (quad + 4));
    } else if constexpr (F::quants == Quants::kSixBits) {
      low = Simd::addBits45(low, Simd::loadBytes(quants + 256), quad);
      high = Simd::addBits45(high, Simd::loadBytes(quants + 256 + 64), quad);
    }
  }

  template <class F, int T>
  [[gnu::always_inline]] static void group(const std::byte* quants, const TokenActivations* x,
                                           std::int64_t column, __m512i (&acc)[T][F::halves]) {
    unrolled<T>([&]<int t>() __attribute__((always_inline)) {
      unrolled<F::halves>([&]<int h>()
                              __attribute__((always_inline)) { acc[t][h] = _mm512_setzero_si512(); });
    });
    unrolled<4>([&]<int quad>() __attribute__((always_inline)) {
      __m512i low;
      __m512i high;
      unpack<F>(quants, quad, low, high);
      unrolled<T>([&]<int t>() __attribute__((always_inline)) {
        const std::int8_t* a = x[t].quantized + column + 4 * quad;
        multiplyAdd(acc[t][0], low, a);
        multiplyAdd(acc[t][F::halves - 1], high, a + 16);
      });
    });
  }
};

}  // namespace
}  // namespace quern::kernels::cpu
