// Sixteen lanes of AVX-512: one 512-bit register is one vector of the layout, a row a lane.
//
// Everything is in an unnamed namespace: each file of this folder gets its own copy, and none can be picked
// by the linker for a file that must run without these instructions.
#pragma once

#include <immintrin.h>

#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/vector_math.h"

namespace quern::kernels::cpu {
namespace {

struct SimdAvx512 {
  using Floats = __m512;
  using Ints = __m512i;
  using Bytes = __m512i;

  // With six rows: 24 sums, 4 vectors of keys or values and a broadcast fit the 32 registers.
  static constexpr int kAttentionVectors = 4;
  // 8 float and 8 integer sums, a pair of weight vectors and the scales fit the 32 registers.
  static constexpr int kTokens = 8;
  template <class F>
  static constexpr bool usesSigned() {
    return false;
  }

  static __mmask16 first(std::int64_t n) { return static_cast<__mmask16>((1U << n) - 1U); }

  static Floats zero() { return _mm512_setzero_ps(); }
  static Floats set(float x) { return _mm512_set1_ps(x); }
  static Floats load(const float* p) { return _mm512_loadu_ps(p); }
  static Floats loadSome(const float* p, std::int64_t n) { return _mm512_maskz_loadu_ps(first(n), p); }
  static Floats loadSomeOr(const float* p, std::int64_t n, float rest) {
    return _mm512_mask_loadu_ps(set(rest), first(n), p);
  }
  static void store(float* p, Floats a) { _mm512_storeu_ps(p, a); }
  static void storeSome(float* p, Floats a, std::int64_t n) { _mm512_mask_storeu_ps(p, first(n), a); }
  static Floats loadHalf(const std::byte* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static Floats loadHalfSome(const std::byte* p, std::int64_t n) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first(n), p));
  }
  static float halfToFloat(const std::byte* p) {
    std::uint16_t half;
    std::memcpy(&half, p, 2);
    return _cvtsh_ss(half);
  }
  static float storeHalf(std::byte* p, float x) {
    const std::uint16_t half = _cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT);
    std::memcpy(p, &half, 2);
    return _cvtsh_ss(half);
  }
  static void storeHalfSome(std::byte* p, Floats a, std::int64_t n) {
    _mm256_mask_storeu_epi16(p, first(n), _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static Floats loadBfloat(const std::byte* p) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  static Floats loadInt8(const std::byte* p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  static Floats nibbles() { return _mm512_setr_ps(-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7); }
  /// The permutation looks at the lowest four bits of its indices only.
  static Floats lookUpNibbles(const std::byte* p, bool high, Floats table) {
    const __m512i both = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    return _mm512_permutexvar_ps(high ? _mm512_srli_epi32(both, 4) : both, table);
  }
  static Floats loadNibbles(const std::byte* p, bool high) { return lookUpNibbles(p, high, nibbles()); }
  static Floats loadNibblesTimes(const std::byte* p, bool high, float scale) {
    return lookUpNibbles(p, high, mul(nibbles(), set(scale)));
  }
  static std::int32_t storeInt8(Floats a, std::int8_t* p) {
    const __m512i whole = _mm512_cvtps_epi32(a);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(whole));
    return _mm512_reduce_add_epi32(whole);
  }
  static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats sub(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
  static Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats div(Floats a, Floats b) { return _mm512_div_ps(a, b); }
  static Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static Floats max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
  static Floats min(Floats a, Floats b) { return _mm512_min_ps(a, b); }
  static Floats abs(Floats a) { return _mm512_abs_ps(a); }
  static Floats round(Floats a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static Floats scaleByPowerOfTwo(Floats a, Floats n) { return _mm512_scalef_ps(a, n); }
  static Floats addLowBitsToExponent(Floats a, Floats shifted) {
    return _mm512_castsi512_ps(
        _mm512_add_epi32(_mm512_castps_si512(a), _mm512_slli_epi32(_mm512_castps_si512(shifted), 23)));
  }
  static void loadPairs(const float* p, Floats& even, Floats& odd) {
    const __m512i places = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const Floats low = load(p);
    const Floats high = load(p + 16);
    even = _mm512_permutex2var_ps(low, places, high);
    odd = _mm512_permutex2var_ps(low, _mm512_add_epi32(places, _mm512_set1_epi32(1)), high);
  }
  static Floats rotatePairs(Floats x, Floats cosSin) {
    const Floats turned = _mm512_mul_ps(_mm512_permute_ps(x, 0xB1), _mm512_movehdup_ps(cosSin));
    return _mm512_fmaddsub_ps(x, _mm512_moveldup_ps(cosSin), turned);
  }
  static Floats zeroWhereBelow(Floats a, Floats x, Floats limit) {
    return _mm512_mask_mov_ps(a, _mm512_cmp_ps_mask(x, limit, _CMP_LT_OQ), zero());
  }
  static Floats selectSmall(Floats small, Floats large, Floats x, Floats limit) {
    return _mm512_mask_mov_ps(large, _mm512_cmp_ps_mask(abs(x), limit, _CMP_LT_OQ), small);
  }
  static float reduceAdd(Floats a) { return _mm512_reduce_add_ps(a); }
  static float reduceMax(Floats a) { return _mm512_reduce_max_ps(a); }
  static float expScalar(float x) { return _mm512_cvtss_f32(expVector<SimdAvx512>(set(x))); }

  static Ints zeroInts() { return _mm512_setzero_si512(); }
  static Floats toFloats(Ints a) { return _mm512_cvtepi32_ps(a); }
  static Bytes loadBytes(const std::byte* p) { return _mm512_loadu_si512(p); }
  static Bytes lowNibbles(Bytes a) { return _mm512_and_si512(a, _mm512_set1_epi8(15)); }
  static Bytes highNibbles(Bytes a) {
    return _mm512_and_si512(_mm512_srli_epi16(a, 4), _mm512_set1_epi8(15));
  }
  static Bytes lookUp(Bytes a, const std::int8_t* table, int offset) {
    const __m128i values = _mm_add_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)),
                                        _mm_set1_epi8(static_cast<char>(offset)));
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(values), a);
  }
  static Bytes addBit4(Bytes a, const std::byte* mask) {
    std::uint64_t bits;
    std::memcpy(&bits, mask, 8);
    return _mm512_mask_add_epi8(a, bits, a, _mm512_set1_epi8(16));
  }
  static Bytes addBits45(Bytes a, Bytes plane, int quad) {
    const __m512i low = _mm512_srl_epi16(plane, _mm_cvtsi32_si128(2 * quad));
    return _mm512_or_si512(a, _mm512_slli_epi16(_mm512_and_si512(low, _mm512_set1_epi8(3)), 4));
  }
  template <class F>
  static Bytes finish(Bytes a) {
    return a;
  }
  template <class F>
  static Ints dot(Ints acc, Bytes b, const std::int8_t* a) {
    std::int32_t four;
    std::memcpy(&four, a, 4);
    return _mm512_dpbusd_epi32(acc, b, _mm512_set1_epi32(four));
  }

  static std::int64_t int8Peak(std::int64_t iterations) {
    // Twelve chains hide the latency of the multiply-add.
    constexpr int kChains = 12;
    __m512i acc[kChains];
    for (auto& a : acc) a = _mm512_setzero_si512();
    __m512i x = _mm512_set1_epi8(3);
    __m512i y = _mm512_set1_epi8(5);
    for (std::int64_t i = 0; i < iterations; ++i) {
      // The barrier keeps the compiler from seeing through the constants.
      asm volatile("" : "+v"(x), "+v"(y));
      for (auto& a : acc) a = _mm512_dpbusd_epi32(a, x, y);
    }
    __m512i total = _mm512_setzero_si512();
    for (const auto& a : acc) total = _mm512_add_epi32(total, a);
    volatile int sink = _mm512_reduce_add_epi32(total);
    (void)sink;
    return iterations * kChains * 64;
  }
};

}  // namespace
}  // namespace quern::kernels::cpu
