// Sixteen lanes in plain C++: the reference for what a Simd must offer, and the fallback on every processor.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/layout.h"
#include "kernels/formats/half.h"

namespace quern::kernels::cpu {

struct SimdGeneric {
  struct Floats {
    float v[16];
  };
  struct Ints {
    std::int32_t v[16];
  };
  /// Four columns of sixteen rows: byte 4·r + i.
  struct Bytes {
    std::uint8_t v[64];
  };

  /// Vectors of sums that attention keeps beside each other.
  static constexpr int kAttentionVectors = 1;
  /// Tokens whose sums are kept in registers together.
  static constexpr int kTokens = 2;
  /// Whether dot() takes a form's quants as signed numbers (offset subtracted already) instead of unsigned
  /// ones.
  template <class F>
  static constexpr bool usesSigned() {
    return false;
  }

  template <class Operation>
  static Floats each(Operation&& operation) {
    Floats r;
    for (int i = 0; i < 16; ++i) r.v[i] = operation(i);
    return r;
  }
  static Floats zero() { return set(0.0F); }
  static Floats set(float x) {
    return each([&](int) { return x; });
  }
  static Floats load(const float* p) {
    return each([&](int i) { return p[i]; });
  }
  static Floats loadSome(const float* p, std::int64_t n) { return loadSomeOr(p, n, 0.0F); }
  static Floats loadSomeOr(const float* p, std::int64_t n, float rest) {
    return each([&](int i) { return i < n ? p[i] : rest; });
  }
  static void store(float* p, const Floats& a) { std::memcpy(p, a.v, sizeof a.v); }
  static void storeSome(float* p, const Floats& a, std::int64_t n) {
    for (int i = 0; i < n; ++i) p[i] = a.v[i];
  }
  static Floats loadHalf(const std::byte* p) { return loadHalfSome(p, 16); }
  static Floats loadHalfSome(const std::byte* p, std::int64_t n) {
    return each([&](int i) { return i < n ? halfToFloat(p + 2 * i) : 0.0F; });
  }
  static float halfToFloat(const std::byte* p) {
    std::uint16_t half;
    std::memcpy(&half, p, 2);
    return kernels::halfToFloat(half);
  }
  /// Writes a half and returns what it is worth.
  static float storeHalf(std::byte* p, float x) {
    const std::uint16_t half = floatToHalf(x);
    std::memcpy(p, &half, 2);
    return kernels::halfToFloat(half);
  }
  static void storeHalfSome(std::byte* p, const Floats& a, std::int64_t n) {
    for (int i = 0; i < n; ++i) storeHalf(p + 2 * i, a.v[i]);
  }
  static Floats loadBfloat(const std::byte* p) {
    return each([&](int i) {
      std::uint16_t bits;
      std::memcpy(&bits, p + 2 * i, 2);
      return bfloatToFloat(bits);
    });
  }
  static Floats loadInt8(const std::byte* p) {
    return each([&](int i) { return static_cast<float>(static_cast<std::int8_t>(p[i])); });
  }
  /// Sixteen bytes, of each its high or low half minus 8.
  static Floats loadNibbles(const std::byte* p, bool high) {
    return each([&](int i) {
      const int byte = static_cast<int>(p[i]);
      return static_cast<float>((high ? byte >> 4 : byte & 15) - 8);
    });
  }
  /// loadNibbles() · scale
  static Floats loadNibblesTimes(const std::byte* p, bool high, float scale) {
    return mul(loadNibbles(p, high), set(scale));
  }
  /// Rounds to nearest even, writes 16 int8 and returns their sum.
  static std::int32_t storeInt8(const Floats& a, std::int8_t* p) {
    std::int32_t sum = 0;
    for (int i = 0; i < 16; ++i) {
      p[i] = static_cast<std::int8_t>(std::nearbyint(a.v[i]));
      sum += p[i];
    }
    return sum;
  }
  static Floats add(const Floats& a, const Floats& b) {
    return each([&](int i) { return a.v[i] + b.v[i]; });
  }
  static Floats sub(const Floats& a, const Floats& b) {
    return each([&](int i) { return a.v[i] - b.v[i]; });
  }
  static Floats mul(const Floats& a, const Floats& b) {
    return each([&](int i) { return a.v[i] * b.v[i]; });
  }
  static Floats div(const Floats& a, const Floats& b) {
    return each([&](int i) { return a.v[i] / b.v[i]; });
  }
  /// a · b + c; rounded twice here, once where the processor has the instruction.
  static Floats fma(const Floats& a, const Floats& b, const Floats& c) {
    return each([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
  }
  static Floats max(const Floats& a, const Floats& b) {
    return each([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
  }
  static Floats min(const Floats& a, const Floats& b) {
    return each([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
  }
  static Floats abs(const Floats& a) {
    return each([&](int i) { return std::fabs(a.v[i]); });
  }
  static Floats round(const Floats& a) {
    return each([&](int i) { return std::nearbyint(a.v[i]); });
  }
  /// a · 2^n for whole n between −126 and 127.
  static Floats scaleByPowerOfTwo(const Floats& a, const Floats& n) {
    return each([&](int i) {
      return a.v[i] * std::bit_cast<float>((static_cast<std::int32_t>(n.v[i]) + 127) << 23);
    });
  }
  /// a · 2^n, n being the whole number in the lowest bits of `shifted`; the exponent must stay in its range,
  /// or come to 0 for a = 1.
  static Floats addLowBitsToExponent(const Floats& a, const Floats& shifted) {
    return each([&](int i) {
      return std::bit_cast<float>(std::bit_cast<std::uint32_t>(a.v[i]) +
                                  (std::bit_cast<std::uint32_t>(shifted.v[i]) << 23));
    });
  }
  /// 32 floats: those at even places, and those at odd ones.
  static void loadPairs(const float* p, Floats& even, Floats& odd) {
    even = each([&](int i) { return p[2 * i]; });
    odd = each([&](int i) { return p[2 * i + 1]; });
  }
  /// Eight pairs (a, b) turned by eight pairs (cos, sin): (a·cos − b·sin, b·cos + a·sin).
  static Floats rotatePairs(const Floats& x, const Floats& cosSin) {
    return each([&](int i) {
      const int pair = i / 2 * 2;
      return i % 2 == 0 ? x.v[pair] * cosSin.v[pair] - x.v[pair + 1] * cosSin.v[pair + 1]
                        : x.v[pair + 1] * cosSin.v[pair] + x.v[pair] * cosSin.v[pair + 1];
    });
  }
  /// a, but 0 where x < limit.
  static Floats zeroWhereBelow(const Floats& a, const Floats& x, const Floats& limit) {
    return each([&](int i) { return x.v[i] < limit.v[i] ? 0.0F : a.v[i]; });
  }
  /// small where |x| < limit, large elsewhere.
  static Floats selectSmall(const Floats& small, const Floats& large, const Floats& x, const Floats& limit) {
    return each([&](int i) { return std::fabs(x.v[i]) < limit.v[i] ? small.v[i] : large.v[i]; });
  }
  static float reduceAdd(const Floats& a) {
    float lanes[16];
    std::memcpy(lanes, a.v, sizeof lanes);
    for (int width = 8; width > 0; width /= 2) {
      for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
    }
    return lanes[0];
  }
  static float reduceMax(const Floats& a) {
    float largest = a.v[0];
    for (const float x : a.v) largest = x > largest ? x : largest;
    return largest;
  }
  static float expScalar(float x) { return std::exp(x); }

  static Ints zeroInts() { return {}; }
  static Floats toFloats(const Ints& a) {
    return each([&](int i) { return static_cast<float>(a.v[i]); });
  }
  static Bytes loadBytes(const std::byte* p) {
    Bytes r;
    std::memcpy(r.v, p, 64);
    return r;
  }
  static Bytes lowNibbles(const Bytes& a) {
    Bytes r;
    for (int i = 0; i < 64; ++i) r.v[i] = a.v[i] & 15;
    return r;
  }
  static Bytes highNibbles(const Bytes& a) {
    Bytes r;
    for (int i = 0; i < 64; ++i) r.v[i] = a.v[i] >> 4;
    return r;
  }
  /// table[a] + offset
  static Bytes lookUp(const Bytes& a, const std::int8_t* table, int offset) {
    Bytes r;
    for (int i = 0; i < 64; ++i) r.v[i] = static_cast<std::uint8_t>(table[a.v[i]] + offset);
    return r;
  }
  /// Sets bit 4 of the bytes whose bit is set in the 64-bit mask at `mask`.
  static Bytes addBit4(const Bytes& a, const std::byte* mask) {
    std::uint64_t bits;
    std::memcpy(&bits, mask, 8);
    Bytes r;
    for (int i = 0; i < 64; ++i) r.v[i] = static_cast<std::uint8_t>(a.v[i] | (((bits >> i) & 1) << 4));
    return r;
  }
  /// Takes bits 2·quad and 2·quad + 1 of `plane` as bits 4 and 5.
  static Bytes addBits45(const Bytes& a, const Bytes& plane, int quad) {
    Bytes r;
    for (int i = 0; i < 64; ++i)
      r.v[i] = static_cast<std::uint8_t>(a.v[i] | (((plane.v[i] >> (2 * quad)) & 3) << 4));
    return r;
  }
  /// What a form's whole bytes need before dot().
  template <class F>
  static Bytes finish(const Bytes& a) {
    return a;
  }
  /// Per row: acc + Σ of four quants times the four activations at `a`.
  template <class F>
  static Ints dot(const Ints& acc, const Bytes& b, const std::int8_t* a) {
    Ints r;
    for (int i = 0; i < 16; ++i) {
      r.v[i] = acc.v[i] + b.v[4 * i] * a[0] + b.v[4 * i + 1] * a[1] + b.v[4 * i + 2] * a[2] +
               b.v[4 * i + 3] * a[3];
    }
    return r;
  }

  static std::int64_t int8Peak(std::int64_t iterations) {
    volatile std::uint32_t sink = 0;
    std::int8_t a[64];
    std::uint8_t b[64];
    for (int i = 0; i < 64; ++i) {
      a[i] = static_cast<std::int8_t>(i);
      b[i] = static_cast<std::uint8_t>(i);
    }
    std::uint32_t sum = 0;  // wraps around: only the work counts
    for (std::int64_t n = 0; n < iterations; ++n) {
      b[n % 64] = static_cast<std::uint8_t>(n);
      for (int i = 0; i < 64; ++i) sum += static_cast<std::uint32_t>(a[i] * b[i]);
    }
    sink = sum;
    (void)sink;
    return iterations * 64;
  }
};

}  // namespace quern::kernels::cpu
