// A tile of 16 rows times many tokens: 256 columns at a time are unpacked once into bytes and floats on the
// stack, and all tokens run over them. The first cache holds it:
//
//   quants    [8 groups][8 quads][16 rows × 4 columns]             4 KiB
//   scales    [8 groups][halves][16 rows] and corrections alike    1 KiB (2 with two halves)
//   results   [64 tokens][16 rows]                                 4 KiB
//
// and the tokens' 256 activations come through it. A (row, token) adds its groups one after another from the
// first to the last with the operations of TileMatmul, so the bits are the same as for one token.
//
// On one core of an Emerald Rapids, 256 rows of 2,048 columns times 128 tokens: 93 to 97 G multiply-adds/s
// with 4-bit quants, 84 to 88 with 5 bits, 67 to 70 with 6 and 48 with 8, where the bare loop of int8Peak()
// makes 125. Most of what is between are the four floating operations a group, which wait for the same ports.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/cpu/avx2/dots_avx2.h"
#include "kernels/cpu/tile_matmul.h"
#include "kernels/cpu/unrolled.h"

namespace quern::kernels::cpu {
namespace {

template <class Simd, class F>
struct UnpackedTile {
  using Tile = TileMatmul<Simd, F>;
  using Floats = typename Simd::Floats;
  static constexpr std::int64_t kGroups = 8;
  static constexpr std::int64_t kColumns = 32 * kGroups;
  /// Unpacking costs about as much as one token; this many make it a small part.
  static constexpr std::int64_t kBlockTokens = 64;

  struct Group {
    alignas(64) std::byte bytes[512];
    float scale[F::halves][16];
    float correction[F::halves][16];
  };

  /// Unpacks `groups` groups from `source`, a whole number of blocks; returns where the next ones begin.
  static const std::byte* unpack(const std::byte* source, std::int64_t groups, Group* unpacked) {
    return Tile::eachGroup(source, groups, [&](std::int64_t g, const std::byte* at, const auto& scales) {
      Group& group = unpacked[g];
      for (int h = 0; h < F::halves; ++h) {
        Simd::store(group.scale[h], scales.scale[h]);
        Simd::store(group.correction[h], scales.correction[h]);
      }
      Dots<Simd, F>::unpackGroup(Tile::quantsOf(at), group.bytes);
    });
  }

  /// The sums of whole groups, as addDots() makes them from those of the halves.
  static const float* pairSums(const float* sums, std::int64_t groups, float* pairs) {
    if (groups == kGroups) {
      const __m256 crossed = _mm256_hadd_ps(_mm256_loadu_ps(sums), _mm256_loadu_ps(sums + 8));
      _mm256_storeu_ps(pairs, _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(crossed), 0xD8)));
    } else {
      for (std::int64_t g = 0; g < groups; ++g) pairs[g] = sums[2 * g] + sums[2 * g + 1];
    }
    return pairs;
  }

  /// y[t] += the unpacked groups times the tokens' activations.
  template <int T>
  static void multiply(const Group* unpacked, std::int64_t groups, const TokenActivations* x, float* results,
                       bool begins) {
    Floats y[T];
    float pairs[T][kGroups];
    const float* sums[T];
    for (int t = 0; t < T; ++t) {
      y[t] = begins ? Simd::zero() : Simd::load(results + 16 * t);
      sums[t] = F::halves == 2 ? x[t].sums : pairSums(x[t].sums, groups, pairs[t]);
    }
    for (std::int64_t g = 0; g < groups; ++g) {
      const Group& group = unpacked[g];
      unrolled<F::halves>([&]<int h>() {
        typename Simd::Ints acc[T];
        Dots<Simd, F>::template unpackedHalf<T>(group.bytes, x, 32 * g, h, acc);
        for (int t = 0; t < T; ++t) {
          Tile::addHalf(acc[t], Simd::load(group.scale[h]), Simd::load(group.correction[h]), x[t].scales[g],
                        sums[t][g * F::halves + h], y[t]);
        }
      });
    }
    for (int t = 0; t < T; ++t) Simd::store(results + 16 * t, y[t]);
  }

  static void run(const PackedMatrix& weights, std::int64_t rowBegin, std::int64_t rowEnd,
                  const Activations& x, std::int64_t tokens, float* output, std::int64_t stride,
                  bool accumulate) {
    eachTile(weights, rowBegin, rowEnd, [&](std::int64_t row, const std::byte* tile, std::int64_t rows) {
      multiplyTile(tile, weights.cols, x, tokens, rows, output + row, stride, accumulate);
    });
  }

  static void multiplyTile(const std::byte* tile, std::int64_t cols, const Activations& x,
                           std::int64_t tokens, std::int64_t rows, float* output, std::int64_t stride,
                           bool accumulate) {
    Group unpacked[kGroups];
    alignas(64) float results[kBlockTokens * 16];
    for (std::int64_t first = 0; first < tokens; first += kBlockTokens) {
      const std::int64_t end = first + kBlockTokens < tokens ? first + kBlockTokens : tokens;
      const std::byte* source = tile;
      for (std::int64_t column = 0; column < cols; column += kColumns) {
        const std::int64_t groups = (cols - column < kColumns ? cols - column : kColumns) / 32;
        source = unpack(source, groups, unpacked);
        const auto at = [&](std::int64_t t) {
          return TokenActivations{x.quantized + t * cols + column,
                                  x.scales + (t * cols + column) / kActivationBlock,
                                  x.sums + (t * cols + column) / kSumBlock};
        };
        std::int64_t t = first;
        for (; t + 2 <= end; t += 2) {
          const TokenActivations two[2] = {at(t), at(t + 1)};
          multiply<2>(unpacked, groups, two, results + 16 * (t - first), column == 0);
        }
        if (t < end) {
          const TokenActivations one[1] = {at(t)};
          multiply<1>(unpacked, groups, one, results + 16 * (t - first), column == 0);
        }
      }
      for (std::int64_t t = first; t < end; ++t) {
        storeTile<Simd>(Simd::load(results + 16 * (t - first)), rows, output + t * stride, accumulate);
      }
    }
  }
};

}  // namespace
}  // namespace quern::kernels::cpu
