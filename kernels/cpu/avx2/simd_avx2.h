// Sixteen lanes of AVX2: a row tile is two 256-bit registers. The products of bytes are in dots_avx2.h.
//
// Everything is in an unnamed namespace: each file that includes this is compiled for an instruction set of
// its own, and the linker must not take one's code for another's.
#pragma once

#include <immintrin.h>

#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/avx2/dots_avx2.h"
#include "kernels/cpu/avx2/unpacked_tile_avx2.h"
#include "kernels/cpu/table.h"

namespace quern::kernels::cpu {
namespace {

alignas(64) constexpr std::int32_t kMaskSource[32] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                                      -1, -1, -1, -1, -1, -1, -1, -1};

struct SimdAvx2 {
  struct Floats {
    __m256 a, b;
  };
  struct Ints {
    __m256i a, b;
  };
  using Bytes = Ints;

  // With six rows: 12 sums, 2 registers of keys or values and a broadcast fit the 16 registers.
  static constexpr int kAttentionVectors = 1;
  static constexpr int kTokens = 2;
  /// Whole bytes are multiplied as signed numbers, see ProductsAvx2.
  template <class F>
  static constexpr bool usesSigned() {
    return F::offset == 128;
  }

  /// All bits set in the first n of 16 lanes.
  static Ints first(std::int64_t n) {
    const std::int32_t* p = kMaskSource + 16 - n;
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 8))};
  }

  static Floats zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static Floats set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static Floats load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static Floats loadSome(const float* p, std::int64_t n) {
    if (n == 16) return load(p);
    const Ints m = first(n);
    return {_mm256_maskload_ps(p, m.a), _mm256_maskload_ps(p + 8, m.b)};
  }
  static Floats loadSomeOr(const float* p, std::int64_t n, float rest) {
    if (n == 16) return load(p);
    const Ints m = first(n);
    const Floats v = loadSome(p, n);
    return {_mm256_blendv_ps(_mm256_set1_ps(rest), v.a, _mm256_castsi256_ps(m.a)),
            _mm256_blendv_ps(_mm256_set1_ps(rest), v.b, _mm256_castsi256_ps(m.b))};
  }
  static void store(float* p, Floats x) {
    _mm256_storeu_ps(p, x.a);
    _mm256_storeu_ps(p + 8, x.b);
  }
  static void storeSome(float* p, Floats x, std::int64_t n) {
    if (n == 16) return store(p, x);
    const Ints m = first(n);
    _mm256_maskstore_ps(p, m.a, x.a);
    _mm256_maskstore_ps(p + 8, m.b, x.b);
  }
  static Floats loadHalf(const std::byte* p) {
    const auto* half = reinterpret_cast<const __m128i*>(p);
    return {_mm256_cvtph_ps(_mm_loadu_si128(half)), _mm256_cvtph_ps(_mm_loadu_si128(half + 1))};
  }
  static Floats loadHalfSome(const std::byte* p, std::int64_t n) {
    if (n == 16) return loadHalf(p);
    std::byte padded[32] = {};
    std::memcpy(padded, p, static_cast<std::size_t>(2 * n));
    return loadHalf(padded);
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
  static void storeHalfSome(std::byte* p, Floats x, std::int64_t n) {
    alignas(32) std::byte all[32];
    auto* half = reinterpret_cast<__m128i*>(all);
    _mm_store_si128(half, _mm256_cvtps_ph(x.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    _mm_store_si128(half + 1, _mm256_cvtps_ph(x.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    std::memcpy(p, all, static_cast<std::size_t>(2 * n));
  }
  static Floats loadBfloat(const std::byte* p) {
    const auto* bits = reinterpret_cast<const __m128i*>(p);
    const auto widen = [](__m128i x) {
      return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
    };
    return {widen(_mm_loadu_si128(bits)), widen(_mm_loadu_si128(bits + 1))};
  }
  static Floats loadInt8(const std::byte* p) {
    const __m128i all = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(all)),
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(all, 8)))};
  }
  static Floats loadNibbles(const std::byte* p, bool high) {
    const __m128i both = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i four =
        _mm_and_si128(_mm_srl_epi16(both, _mm_cvtsi32_si128(high ? 4 : 0)), _mm_set1_epi8(15));
    const __m128i all = _mm_sub_epi8(four, _mm_set1_epi8(8));
    return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(all)),
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(all, 8)))};
  }
  static Floats loadNibblesTimes(const std::byte* p, bool high, float scale) {
    return mul(loadNibbles(p, high), set(scale));
  }
  static std::int32_t storeInt8(Floats x, std::int8_t* p) {
    const __m256i a = _mm256_cvtps_epi32(x.a);
    const __m256i b = _mm256_cvtps_epi32(x.b);
    const __m128i low = _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    const __m128i high = _mm_packs_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(low, high));
    const __m256i both = _mm256_add_epi32(a, b);
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1));
    return _mm_cvtsi128_si32(sum);
  }
  static Floats add(Floats x, Floats y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
  static Floats sub(Floats x, Floats y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
  static Floats mul(Floats x, Floats y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
  static Floats div(Floats x, Floats y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
  static Floats fma(Floats x, Floats y, Floats z) {
    return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
  }
  static Floats max(Floats x, Floats y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
  static Floats min(Floats x, Floats y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
  static __m256 abs(__m256 x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), x); }
  static Floats abs(Floats x) { return {abs(x.a), abs(x.b)}; }
  static Floats round(Floats x) {
    constexpr int kMode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    return {_mm256_round_ps(x.a, kMode), _mm256_round_ps(x.b, kMode)};
  }
  static __m256 powerOfTwo(__m256 n) {
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
  }
  static Floats scaleByPowerOfTwo(Floats x, Floats n) {
    return {_mm256_mul_ps(x.a, powerOfTwo(n.a)), _mm256_mul_ps(x.b, powerOfTwo(n.b))};
  }
  static __m256 addLowBitsToExponent(__m256 y, __m256 shifted) {
    return _mm256_castsi256_ps(
        _mm256_add_epi32(_mm256_castps_si256(y), _mm256_slli_epi32(_mm256_castps_si256(shifted), 23)));
  }
  static Floats addLowBitsToExponent(Floats y, Floats shifted) {
    return {addLowBitsToExponent(y.a, shifted.a), addLowBitsToExponent(y.b, shifted.b)};
  }
  static void loadPairs(const float* p, Floats& even, Floats& odd) {
    const auto split = [](const float* from, __m256& evens, __m256& odds) {
      const __m256 low = _mm256_loadu_ps(from);
      const __m256 high = _mm256_loadu_ps(from + 8);
      const auto inOrder = [](__m256 x) {
        return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(x), 0xD8));
      };
      evens = inOrder(_mm256_shuffle_ps(low, high, 0x88));
      odds = inOrder(_mm256_shuffle_ps(low, high, 0xDD));
    };
    split(p, even.a, odd.a);
    split(p + 16, even.b, odd.b);
  }
  static __m256 rotatePairs(__m256 x, __m256 cosSin) {
    const __m256 turned = _mm256_mul_ps(_mm256_permute_ps(x, 0xB1), _mm256_movehdup_ps(cosSin));
    return _mm256_fmaddsub_ps(x, _mm256_moveldup_ps(cosSin), turned);
  }
  static Floats rotatePairs(Floats x, Floats cosSin) {
    return {rotatePairs(x.a, cosSin.a), rotatePairs(x.b, cosSin.b)};
  }
  static Floats zeroWhereBelow(Floats y, Floats x, Floats limit) {
    return {_mm256_andnot_ps(_mm256_cmp_ps(x.a, limit.a, _CMP_LT_OQ), y.a),
            _mm256_andnot_ps(_mm256_cmp_ps(x.b, limit.b, _CMP_LT_OQ), y.b)};
  }
  static Floats selectSmall(Floats small, Floats large, Floats x, Floats limit) {
    return {_mm256_blendv_ps(large.a, small.a, _mm256_cmp_ps(abs(x.a), limit.a, _CMP_LT_OQ)),
            _mm256_blendv_ps(large.b, small.b, _mm256_cmp_ps(abs(x.b), limit.b, _CMP_LT_OQ))};
  }
  static float reduceAdd(Floats x) {
    const __m256 both = _mm256_add_ps(x.a, x.b);
    __m128 sum = _mm_add_ps(_mm256_castps256_ps128(both), _mm256_extractf128_ps(both, 1));
    sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
  }
  static float reduceMax(Floats x) {
    const __m256 both = _mm256_max_ps(x.a, x.b);
    __m128 largest = _mm_max_ps(_mm256_castps256_ps128(both), _mm256_extractf128_ps(both, 1));
    largest = _mm_max_ps(largest, _mm_movehl_ps(largest, largest));
    return _mm_cvtss_f32(_mm_max_ss(largest, _mm_movehdup_ps(largest)));
  }
  static float expScalar(float x) { return _mm256_cvtss_f32(expVector<SimdAvx2>(set(x)).a); }

  static Ints zeroInts() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  static Floats toFloats(Ints x) { return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
  static Bytes loadBytes(const std::byte* p) {
    const auto* halves = reinterpret_cast<const __m256i*>(p);
    return {_mm256_loadu_si256(halves), _mm256_loadu_si256(halves + 1)};
  }
  static void storeBytes(std::byte* p, Bytes x) {
    auto* halves = reinterpret_cast<__m256i*>(p);
    _mm256_storeu_si256(halves, x.a);
    _mm256_storeu_si256(halves + 1, x.b);
  }
  static Bytes lowNibbles(Bytes x) {
    const __m256i mask = _mm256_set1_epi8(15);
    return {_mm256_and_si256(x.a, mask), _mm256_and_si256(x.b, mask)};
  }
  static Bytes highNibbles(Bytes x) {
    const __m256i mask = _mm256_set1_epi8(15);
    return {_mm256_and_si256(_mm256_srli_epi16(x.a, 4), mask),
            _mm256_and_si256(_mm256_srli_epi16(x.b, 4), mask)};
  }
  static Bytes lookUp(Bytes x, const std::int8_t* table, int offset) {
    const __m128i values = _mm_add_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)),
                                        _mm_set1_epi8(static_cast<char>(offset)));
    const __m256i both = _mm256_broadcastsi128_si256(values);
    return {_mm256_shuffle_epi8(both, x.a), _mm256_shuffle_epi8(both, x.b)};
  }
  /// 16 in every byte whose bit is set in `bits`.
  static __m256i bit4(std::uint32_t bits) {
    // Byte i looks at byte i / 8 of the mask, and there at bit i % 8.
    const __m256i spread = _mm256_shuffle_epi8(
        _mm256_set1_epi32(static_cast<int>(bits)),
        _mm256_setr_epi64x(0x0000000000000000, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303));
    const __m256i select = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ULL));
    const __m256i hit = _mm256_cmpeq_epi8(_mm256_and_si256(spread, select), select);
    return _mm256_and_si256(hit, _mm256_set1_epi8(16));
  }
  static Bytes addBit4(Bytes x, const std::byte* mask) {
    std::uint32_t bits[2];
    std::memcpy(bits, mask, 8);
    return {_mm256_or_si256(x.a, bit4(bits[0])), _mm256_or_si256(x.b, bit4(bits[1]))};
  }
  static Bytes addBits45(Bytes x, Bytes plane, int quad) {
    const __m256i two = _mm256_set1_epi8(0x30);
    const auto high = [&](__m256i p) {
      // Where the shifted bits of a neighbouring byte come in, the mask takes them out.
      const __m256i there =
          quad < 2 ? _mm256_slli_epi16(p, 4 - 2 * quad) : _mm256_srli_epi16(p, 2 * quad - 4);
      return _mm256_and_si256(there, two);
    };
    return {_mm256_or_si256(x.a, high(plane.a)), _mm256_or_si256(x.b, high(plane.b))};
  }
  template <class F>
  static Bytes finish(Bytes x) {
    if constexpr (usesSigned<F>()) {
      const __m256i flip = _mm256_set1_epi8(static_cast<char>(0x80));
      return {_mm256_xor_si256(x.a, flip), _mm256_xor_si256(x.b, flip)};
    }
    return x;
  }

  static constexpr bool kOwnDots = true;
  /// Unpacking a group once and keeping it in the first cache pays from here on.
  static constexpr std::int64_t kManyTokens = 3;
  template <class F, int T>
  static void groupDots(const std::byte* quants, const TokenActivations* x, std::int64_t column,
                        Ints (&acc)[T][F::halves]) {
    Dots<SimdAvx2, F>::template packed<T>(quants, x, column, acc);
  }
  template <class F>
  static void manyTokens(const PackedMatrix& weights, std::int64_t rowBegin, std::int64_t rowEnd,
                         const Activations& x, std::int64_t tokens, float* output, std::int64_t stride,
                         bool accumulate) {
    UnpackedTile<SimdAvx2, F>::run(weights, rowBegin, rowEnd, x, tokens, output, stride, accumulate);
  }
  template <class F>
  using Products = ProductsAvx2<F>;

  /// Eight products and their sums as 4-bit quants have them.
  static std::int64_t int8Peak(std::int64_t iterations) {
    constexpr int kChains = 4;
    constexpr int kProducts = 8;
    __m256i acc[kChains];
    for (auto& a : acc) a = _mm256_setzero_si256();
    __m256i x = _mm256_set1_epi8(3);
    __m256i y = _mm256_set1_epi8(5);
    const __m256i ones = _mm256_set1_epi16(1);
    for (std::int64_t i = 0; i < iterations; ++i) {
      for (auto& a : acc) {
        __m256i sum = _mm256_setzero_si256();
        for (int p = 0; p < kProducts; ++p) {
          // The barrier keeps the compiler from computing the product once for all.
          asm volatile("" : "+x"(x), "+x"(y));
          const __m256i product = _mm256_maddubs_epi16(x, y);
          sum = p == 0 ? product : _mm256_add_epi16(sum, product);
        }
        a = _mm256_add_epi32(a, _mm256_madd_epi16(sum, ones));
      }
    }
    __m256i total = _mm256_setzero_si256();
    for (const auto& a : acc) total = _mm256_add_epi32(total, a);
    volatile int sink = _mm256_extract_epi32(total, 0);
    (void)sink;
    return iterations * kChains * kProducts * 32;
  }
};

}  // namespace
}  // namespace quern::kernels::cpu
