// The integer sums of a group with 256-bit registers. Without VNNI a product of bytes is "vpmaddubsw", which
// adds pairs in 16 bits and saturates there, and "vpmaddwd" with ones, which widens to 32 bits. Quants of few
// bits leave room in the 16 bits, so several products are added there before one widening:
//
//   largest quant q, activations within ±127: a pair is at most 2 · 127 · q in size
//   4 bits  2 · 127 · 15 =  3,810   8 of them make 30,480       8 products, 7 additions, 1 widening a group
//   5 bits  2 · 127 · 31 =  7,874   4 of them make 31,496       8, 6, 2 and 1 addition in 32 bits
//   6 bits  2 · 127 · 63 = 16,002   2 of them make 32,004       8, 4, 4 and 2
//   8 bits  unsigned, one pair alone could saturate (2 · 127 · 255 = 64,770): taken as signed numbers w,
//   whose
//           w · a is |w| · (a with w's sign); 2 · 127 · 128 = 32,512 fits, and every product is widened.
//
// All of it is exact, so the order of these sums changes nothing.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "kernels/cpu/tile_matmul.h"

namespace quern::kernels::cpu {
namespace {

/// The largest unsigned quant that a form can hold.
template <class F>
constexpr int largestQuant() {
  if constexpr (F::table != nullptr) {
    int largest = 0;
    for (int i = 0; i < 16; ++i)
      largest = F::table[i] + F::offset > largest ? F::table[i] + F::offset : largest;
    return largest;
  } else {
    return F::quants == Quants::kNibbles    ? 15
           : F::quants == Quants::kFiveBits ? 31
           : F::quants == Quants::kSixBits  ? 63
                                            : 255;
  }
}

/// Products of four bytes a row, summed in whatever width F leaves room for.
template <class F>
struct ProductsAvx2 {
  static constexpr bool kSigned = F::offset == 128;
  static constexpr int kRoom = kSigned ? 8 : 32767 / (2 * 127 * largestQuant<F>());
  /// How many products may be added before they are widened.
  static constexpr int kSums = kRoom >= 8 ? 8 : kRoom >= 4 ? 4 : kRoom >= 2 ? 2 : 1;
  static_assert(kRoom >= 1);

  static __m256i first(__m256i weights, __m256i four) {
    if constexpr (kSigned) {
      const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(four, weights));
      return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
    } else {
      return _mm256_maddubs_epi16(weights, four);
    }
  }
  static __m256i sum(__m256i a, __m256i b) {
    if constexpr (kSigned) return _mm256_add_epi32(a, b);
    return _mm256_add_epi16(a, b);
  }
  static __m256i add(__m256i sums, __m256i weights, __m256i four) {
    __m256i total = sum(sums, first(weights, four));
    // Left to itself the compiler regroups these exact sums into a tree, keeps every product for it, and runs
    // out of registers. In this order one register a sum is enough.
    asm("" : "+x"(total));
    return total;
  }
  static __m256i widen(__m256i sums) {
    if constexpr (kSigned) return sums;
    return _mm256_madd_epi16(sums, _mm256_set1_epi16(1));
  }
};

/// Four activations for every row.
inline __m256i fourActivations(const std::int8_t* a) {
  std::int32_t bits;
  std::memcpy(&bits, a, 4);
  return _mm256_set1_epi32(bits);
}

template <class Simd, class F>
struct Dots {
  using Ints = typename Simd::Ints;
  using Bytes = typename Simd::Bytes;
  using Products = typename Simd::template Products<F>;
  static constexpr int kQuadsAHalf = 8 / F::halves;
  /// Quads whose products are added before they are widened.
  static constexpr int kRun = Products::kSums < kQuadsAHalf ? Products::kSums : kQuadsAHalf;

  /// Quad `quad` and quad `quad + 4` of a packed group.
  static void unpack(const std::byte* quants, int quad, Bytes& low, Bytes& high) {
    if constexpr (F::quants == Quants::kBytes) {
      low = Simd::template finish<F>(Simd::loadBytes(quants + 64 * quad));
      high = Simd::template finish<F>(Simd::loadBytes(quants + 64 * (quad + 4)));
      return;
    }
    const Bytes both = Simd::loadBytes(quants + 64 * quad);
    low = Simd::lowNibbles(both);
    high = Simd::highNibbles(both);
    if constexpr (F::table != nullptr) {
      constexpr int kAdd = Simd::template usesSigned<F>() ? 0 : F::offset;
      low = Simd::lookUp(low, F::table, kAdd);
      high = Simd::lookUp(high, F::table, kAdd);
    }
    if constexpr (F::quants == Quants::kFiveBits) {
      low = Simd::addBit4(low, quants + 256 + 8 * quad);
      high = Simd::addBit4(high, quants + 256 + 8 * (quad + 4));
    } else if constexpr (F::quants == Quants::kSixBits) {
      low = Simd::addBits45(low, Simd::loadBytes(quants + 256), quad);
      high = Simd::addBits45(high, Simd::loadBytes(quants + 256 + 64), quad);
    }
  }

  static Ints first(const Bytes& weights, __m256i four) {
    return {Products::first(weights.a, four), Products::first(weights.b, four)};
  }
  static Ints add(const Ints& sums, const Bytes& weights, __m256i four) {
    return {Products::add(sums.a, weights.a, four), Products::add(sums.b, weights.b, four)};
  }
  static Ints sum(const Ints& a, const Ints& b) { return {Products::sum(a.a, b.a), Products::sum(a.b, b.b)}; }
  static Ints widen(const Ints& sums) { return {Products::widen(sums.a), Products::widen(sums.b)}; }
  static Ints addWide(const Ints& a, const Ints& b) {
    return {_mm256_add_epi32(a.a, b.a), _mm256_add_epi32(a.b, b.b)};
  }

  /// The sums of a packed group, straight from the stream: for few tokens.
  template <int T>
  static void packed(const std::byte* quants, const TokenActivations* x, std::int64_t column,
                     Ints (&acc)[T][F::halves]) {
    Ints low[T];
    Ints high[T];
    addQuads<0>(quants, x, column, low, high, acc);
    addQuads<1>(quants, x, column, low, high, acc);
    addQuads<2>(quants, x, column, low, high, acc);
    addQuads<3>(quants, x, column, low, high, acc);
  }

  /// Adds quads `quad` and `quad + 4`, and widens what has been added when the 16 bits are full.
  template <int quad, int T>
  static void addQuads(const std::byte* quants, const TokenActivations* x, std::int64_t column,
                       Ints (&low)[T], Ints (&high)[T], Ints (&acc)[T][F::halves]) {
    constexpr int kSteps = kRun < 4 ? kRun : 4;
    Bytes lowBytes;
    Bytes highBytes;
    unpack(quants, quad, lowBytes, highBytes);
    for (int t = 0; t < T; ++t) {
      const std::int8_t* a = x[t].quantized + column + 4 * quad;
      const __m256i lowFour = fourActivations(a);
      const __m256i highFour = fourActivations(a + 16);
      if constexpr (quad % kSteps == 0) {
        low[t] = first(lowBytes, lowFour);
        high[t] = first(highBytes, highFour);
      } else {
        low[t] = add(low[t], lowBytes, lowFour);
        high[t] = add(high[t], highBytes, highFour);
      }
      if constexpr (quad % kSteps == kSteps - 1) {
        constexpr bool kBegins = quad < kSteps;
        if constexpr (F::halves == 1 && kRun == 8) {
          acc[t][0] = widen(sum(low[t], high[t]));
        } else if constexpr (F::halves == 1) {
          const Ints both = addWide(widen(low[t]), widen(high[t]));
          acc[t][0] = kBegins ? both : addWide(acc[t][0], both);
        } else {
          acc[t][0] = kBegins ? widen(low[t]) : addWide(acc[t][0], widen(low[t]));
          acc[t][1] = kBegins ? widen(high[t]) : addWide(acc[t][1], widen(high[t]));
        }
      }
    }
  }

  /// Unpacks a group into eight quads of 64 bytes, one after another.
  static void unpackGroup(const std::byte* quants, std::byte* bytes) {
    for (int quad = 0; quad < 4; ++quad) {
      Bytes low;
      Bytes high;
      unpack(quants, quad, low, high);
      Simd::storeBytes(bytes + 64 * quad, low);
      Simd::storeBytes(bytes + 64 * (quad + 4), high);
    }
  }

  /// The sums of half `h` of a group that unpackGroup() has written: for many tokens.
  template <int T>
  static void unpackedHalf(const std::byte* bytes, const TokenActivations* x, std::int64_t column, int h,
                           Ints (&acc)[T]) {
    for (int run = 0; run < kQuadsAHalf / kRun; ++run) {
      Ints sums[T];
      for (int i = 0; i < kRun; ++i) {
        const int quad = h * kQuadsAHalf + run * kRun + i;
        const Bytes weights = Simd::loadBytes(bytes + 64 * quad);
        for (int t = 0; t < T; ++t) {
          const __m256i four = fourActivations(x[t].quantized + column + 4 * quad);
          sums[t] = i == 0 ? first(weights, four) : add(sums[t], weights, four);
        }
      }
      for (int t = 0; t < T; ++t) acc[t] = run == 0 ? widen(sums[t]) : addWide(acc[t], widen(sums[t]));
    }
  }
};

}  // namespace
}  // namespace quern::kernels::cpu
