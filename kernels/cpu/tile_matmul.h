// Matrix times activations over the packed layout (layout.h), written once for every instruction set. A Simd
// struct supplies 16 lanes, one per row of a tile; see generic/simd_generic.h for the list of what it must
// have.
//
// Per group of 32 columns a tile streams its scales and quants once, unpacks them into registers, and
// multiplies them with `T` tokens. Integer sums are exact, and every (row, token) adds its groups in the same
// order with the same operations whatever T is, so a result does not depend on how many tokens were computed
// together.
//
// A Simd may take over two parts where its instruction set has a better way; both must give the same bits:
//   groupDots<F, T>(quants, x, column, acc)  the integer sums of one group, where Simd has a kOwnDots;
//   manyTokens<F>(weights, rowBegin, rowEnd, x, tokens, output, stride, accumulate)  what matmul() does, from
//   Simd::kManyTokens tokens on.
//
// Included by one file per instruction set only, inside that file's own unnamed namespace rules: everything
// here is a template over Simd, so no two instruction sets share a symbol.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/layout.h"
#include "kernels/cpu/unrolled.h"

namespace quern::kernels::cpu {

/// How far ahead of the multiplication the weights are asked for: the processor's own prefetchers stop at the
/// end of every page of 4 KiB and start late behind it. Into the first cache: one Emerald Rapids core reads
/// 25 GB/s of memory so, 23 into the second cache, 16–21 without, and 8 with the non-temporal kind, which
/// waits for the few fill buffers.
constexpr std::int64_t kAheadBytes = 4096;

/// Where one token's activations lie.
struct TokenActivations {
  const std::int8_t* quantized;
  const float* scales;
  const float* sums;
};

template <class Simd, class F>
struct TileMatmul {
  using Floats = typename Simd::Floats;
  using Ints = typename Simd::Ints;
  using Bytes = typename Simd::Bytes;

  static constexpr bool kSigned = Simd::template usesSigned<F>();
  /// What is left to subtract from a quant after Simd has unpacked it.
  static constexpr int kOffset = kSigned ? 0 : F::offset;

  /// Scale and correction of each half of a group, as floats per row.
  struct GroupScales {
    Floats scale[F::halves];
    Floats correction[F::halves];
  };

  static GroupScales readScales(const std::byte* group, const Floats& superScale,
                                const Floats& superMinimum) {
    GroupScales result;
    const std::byte* minimums = group + F::scaleBytes;
    for (int h = 0; h < F::halves; ++h) {
      if constexpr (F::scales == Scales::kHalf) {
        result.scale[h] = Simd::loadHalf(group);
      } else if constexpr (F::scales == Scales::kBfloat) {
        result.scale[h] = Simd::loadBfloat(group);
      } else {
        result.scale[h] = Simd::mul(superScale, Simd::loadInt8(group + 16 * h));
      }
      if constexpr (F::minimums == Minimums::kHalf) {
        result.correction[h] = Simd::loadHalf(minimums);
      } else if constexpr (F::minimums == Minimums::kSuper) {
        result.correction[h] = Simd::mul(superMinimum, Simd::loadInt8(minimums + 16 * h));
      } else if constexpr (kOffset != 0) {
        result.correction[h] = Simd::mul(result.scale[h], Simd::set(-static_cast<float>(kOffset)));
      } else {
        result.correction[h] = Simd::zero();
      }
    }
    return result;
  }

  /// acc[t][half] += quads `low` and `high` times the tokens' activations.
  template <int T>
  static void dotQuads(Ints (&acc)[T][F::halves], const Bytes& low, const Bytes& high, int quad,
                       const TokenActivations* x, std::int64_t column) {
    for (int t = 0; t < T; ++t) {
      const std::int8_t* a = x[t].quantized + column + 4 * quad;
      acc[t][0] = Simd::template dot<F>(acc[t][0], low, a);
      acc[t][F::halves - 1] = Simd::template dot<F>(acc[t][F::halves - 1], high, a + 16);
    }
  }

  template <int T>
  static void group(const std::byte* source, const GroupScales& scales, const TokenActivations* x,
                    std::int64_t column, Floats (&y)[T]) {
    Ints acc[T][F::halves];
    dots<T>(quantsOf(source), x, column, acc);
    addDots<T>(acc, scales, x, column, y);
  }

  /// The integer sums of a group: acc[t][half].
  template <int T>
  static void dots(const std::byte* quants, const TokenActivations* x, std::int64_t column,
                   Ints (&acc)[T][F::halves]) {
    if constexpr (requires { Simd::kOwnDots; }) {
      Simd::template groupDots<F, T>(quants, x, column, acc);
    } else {
      plainDots<T>(quants, x, column, acc);
    }
  }

  template <int T>
  static void plainDots(const std::byte* quants, const TokenActivations* x, std::int64_t column,
                        Ints (&acc)[T][F::halves]) {
    for (int t = 0; t < T; ++t) {
      for (int h = 0; h < F::halves; ++h) acc[t][h] = Simd::zeroInts();
    }
    for (int quad = 0; quad < 4; ++quad) {
      if constexpr (F::quants == Quants::kBytes) {
        const Bytes low = Simd::template finish<F>(Simd::loadBytes(quants + 64 * quad));
        const Bytes high = Simd::template finish<F>(Simd::loadBytes(quants + 64 * (quad + 4)));
        dotQuads<T>(acc, low, high, quad, x, column);
      } else {
        const Bytes both = Simd::loadBytes(quants + 64 * quad);
        Bytes low = Simd::lowNibbles(both);
        Bytes high = Simd::highNibbles(both);
        if constexpr (F::table != nullptr) {
          low = Simd::lookUp(low, F::table, kSigned ? 0 : F::offset);
          high = Simd::lookUp(high, F::table, kSigned ? 0 : F::offset);
        }
        if constexpr (F::quants == Quants::kFiveBits) {
          low = Simd::addBit4(low, quants + 256 + 8 * quad);
          high = Simd::addBit4(high, quants + 256 + 8 * (quad + 4));
        } else if constexpr (F::quants == Quants::kSixBits) {
          low = Simd::addBits45(low, Simd::loadBytes(quants + 256), quad);
          high = Simd::addBits45(high, Simd::loadBytes(quants + 256 + 64), quad);
        }
        dotQuads<T>(acc, low, high, quad, x, column);
      }
    }
  }

  /// y += scale · sx · acc + correction · sum for one half of a group and one token.
  static void addHalf(const Ints& acc, const Floats& scale, const Floats& correction, float sx, float sum,
                      Floats& y) {
    y = Simd::fma(Simd::toFloats(acc), Simd::mul(scale, Simd::set(sx)), y);
    if constexpr (kOffset != 0 || F::minimums != Minimums::kNone) {
      y = Simd::fma(correction, Simd::set(sum), y);
    }
  }

  /// A group's halves in the one order in which they are added to a row and token.
  template <int T>
  static void addDots(const Ints (&acc)[T][F::halves], const GroupScales& scales, const TokenActivations* x,
                      std::int64_t column, Floats (&y)[T]) {
    unrolled<T>([&]<int t>() __attribute__((always_inline)) {
      const float* sums = x[t].sums + column / kSumBlock;
      unrolled<F::halves>([&]<int h>() __attribute__((always_inline)) {
        addHalf(acc[t][h], scales.scale[h], scales.correction[h], x[t].scales[column / kActivationBlock],
                F::halves == 2 ? sums[h] : sums[0] + sums[1], y[t]);
      });
    });
  }

  /// Calls body(g, group, scales) for the next `groups` groups of a tile, whole blocks of them, and returns
  /// where the ones after them begin.
  template <class Body>
  [[gnu::always_inline]] static const std::byte* eachGroup(const std::byte* source, std::int64_t groups,
                                                           Body&& body) {
    for (std::int64_t first = 0; first < groups; first += F::groupsPerBlock, source += F::blockBytes) {
      Floats superScale = Simd::zero();
      Floats superMinimum = Simd::zero();
      if constexpr (F::isSuper) {
        superScale = Simd::loadHalf(source);
        if constexpr (F::minimums == Minimums::kSuper) superMinimum = Simd::loadHalf(source + 32);
      }
      for (int g = 0; g < F::groupsPerBlock; ++g) {
        const std::byte* group = source + F::headerBytes + g * F::groupBytes;
        body(first + g, group, readScales(group, superScale, superMinimum));
      }
    }
    return source;
  }
  static const std::byte* quantsOf(const std::byte* group) { return group + F::scaleBytes + F::minimumBytes; }

  /// One tile of 16 rows times T tokens.
  template <int T>
  static void tile(const std::byte* source, std::int64_t cols, const TokenActivations* x, Floats (&y)[T]) {
    for (int t = 0; t < T; ++t) y[t] = Simd::zero();
    eachGroup(
        source, cols / 32,
        [&](std::int64_t g, const std::byte* at, const GroupScales& scales) __attribute__((always_inline)) {
          // With more tokens the weights stay in the first cache for a while, and the loads have time.
          if constexpr (T <= 4) {
            for (int line = 0; line < F::groupBytes; line += 64)
              __builtin_prefetch(at + kAheadBytes + line, 0, 3);
          }
          group<T>(at, scales, x, 32 * g, y);
        });
  }
};

/// The same shape for floating weights: [column][16 rows].
template <class Simd, DType type>
struct TileMatmulFloat {
  using Floats = typename Simd::Floats;
  static constexpr std::int64_t kElementBytes = type == DType::kF32 ? 4 : 2;

  static Floats load(const std::byte* source) {
    if constexpr (type == DType::kF32) return Simd::load(reinterpret_cast<const float*>(source));
    if constexpr (type == DType::kF16) return Simd::loadHalf(source);
    if constexpr (type == DType::kBF16) return Simd::loadBfloat(source);
  }

  template <int T>
  static void tile(const std::byte* source, std::int64_t cols, const float* const* x, Floats (&y)[T]) {
    for (int t = 0; t < T; ++t) y[t] = Simd::zero();
    for (std::int64_t c = 0; c < cols; ++c, source += kRowTile * kElementBytes) {
      const Floats w = load(source);
      for (int t = 0; t < T; ++t) y[t] = Simd::fma(w, Simd::set(x[t][c]), y[t]);
    }
  }
};

template <class Simd>
void storeTile(const typename Simd::Floats& y, std::int64_t rows, float* output, bool accumulate) {
  float lanes[kRowTile];
  if (rows >= kRowTile) {
    Simd::store(output, accumulate ? Simd::add(y, Simd::load(output)) : y);
    return;
  }
  Simd::store(lanes, y);
  for (std::int64_t r = 0; r < rows; ++r) output[r] = accumulate ? output[r] + lanes[r] : lanes[r];
}

/// Runs `tokens` tokens over one tile in runs of Simd::kTokens, then singly. `runTile` is called as
/// runTile.template operator()<T>(firstToken, y).
template <class Simd, class RunTile>
void tileOverTokens(std::int64_t tokens, std::int64_t rows, float* output, std::int64_t stride,
                    bool accumulate, RunTile&& runTile) {
  std::int64_t t = 0;
  const auto run = [&]<int T>() {
    for (; t + T <= tokens; t += T) {
      typename Simd::Floats y[T];
      runTile.template operator()<T>(t, y);
      for (int i = 0; i < T; ++i) storeTile<Simd>(y[i], rows, output + (t + i) * stride, accumulate);
    }
  };
  run.template operator()<Simd::kTokens>();
  if constexpr (Simd::kTokens > 4) run.template operator()<4>();
  if constexpr (Simd::kTokens > 2) run.template operator()<2>();
  run.template operator()<1>();
}

/// Calls runRow(row, tile, rows) for every tile of rows [rowBegin, rowEnd).
template <class RunRow>
void eachTile(const PackedMatrix& weights, std::int64_t rowBegin, std::int64_t rowEnd, RunRow&& runRow) {
  const std::size_t tileBytes = packedMatrixBytes(weights.type, kRowTile, weights.cols);
  for (std::int64_t row = rowBegin; row < rowEnd; row += kRowTile) {
    runRow(row, weights.data + static_cast<std::size_t>(row / kRowTile) * tileBytes,
           rowEnd - row < kRowTile ? rowEnd - row : kRowTile);
  }
}

template <class Simd, DType type>
void matmulFloat(const PackedMatrix& weights, std::int64_t rowBegin, std::int64_t rowEnd,
                 const Activations& x, std::int64_t tokens, float* output, std::int64_t stride,
                 bool accumulate) {
  eachTile(weights, rowBegin, rowEnd, [&](std::int64_t row, const std::byte* tile, std::int64_t rows) {
    tileOverTokens<Simd>(tokens, rows, output + row, stride, accumulate,
                         [&]<int T>(std::int64_t first, typename Simd::Floats(&y)[T]) {
                           const float* at[T];
                           for (int t = 0; t < T; ++t) at[t] = x.values + (first + t) * x.stride;
                           TileMatmulFloat<Simd, type>::template tile<T>(tile, weights.cols, at, y);
                         });
  });
}

template <class Simd, class F>
void matmulQuantized(const PackedMatrix& weights, std::int64_t rowBegin, std::int64_t rowEnd,
                     const Activations& x, std::int64_t tokens, float* output, std::int64_t stride,
                     bool accumulate) {
  if constexpr (requires { Simd::kManyTokens; }) {
    if (tokens >= Simd::kManyTokens) {
      Simd::template manyTokens<F>(weights, rowBegin, rowEnd, x, tokens, output, stride, accumulate);
      return;
    }
  }
  const std::int64_t cols = weights.cols;
  eachTile(weights, rowBegin, rowEnd, [&](std::int64_t row, const std::byte* tile, std::int64_t rows) {
    tileOverTokens<Simd>(tokens, rows, output + row, stride, accumulate,
                         [&]<int T>(std::int64_t first, typename Simd::Floats(&y)[T]) {
                           TokenActivations at[T];
                           for (int t = 0; t < T; ++t) {
                             at[t] = {x.quantized + (first + t) * cols,
                                      x.scales + (first + t) * (cols / kActivationBlock),
                                      x.sums + (first + t) * (cols / kSumBlock)};
                           }
                           TileMatmul<Simd, F>::template tile<T>(tile, cols, at, y);
                         });
  });
}

template <class Simd>
void matmul(const PackedMatrix& weights, std::int64_t rowBegin, std::int64_t rowEnd, const Activations& x,
            std::int64_t tokens, float* output, std::int64_t outputStride, bool accumulate) {
  const auto run = [&](auto matmulOfType) {
    matmulOfType(weights, rowBegin, rowEnd, x, tokens, output, outputStride, accumulate);
  };
  switch (weights.type) {
    case DType::kF32:
      return run(matmulFloat<Simd, DType::kF32>);
    case DType::kF16:
      return run(matmulFloat<Simd, DType::kF16>);
    case DType::kBF16:
      return run(matmulFloat<Simd, DType::kBF16>);
    default:
      withForm(weights.type, [&]<class F>() { run(matmulQuantized<Simd, F>); });
  }
}

}  // namespace quern::kernels::cpu
