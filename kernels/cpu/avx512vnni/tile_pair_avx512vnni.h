// Two tiles times several tokens: four activations, once broadcast to all lanes, meet the weights of both.
// What belongs to the tokens (scales and sums) is gathered for eight groups at a time, so that the inner loop
// needs few pointers and all its sums stay in registers over the whole row.
//
//   a group, token and tile   8 "vpdpbusd", a product of scales and one or two multiply-adds on the two ports
//                             that multiply: 73 % of the peak at best, 66 % reached on Zen 4
//
// Tried and slower there: six tokens at once; a tile unpacked to bytes for all tokens, since a store of 64
// bytes costs as much as one and a half multiply-adds; one tile and eight tokens, since a broadcast from
// memory within the multiply-add takes the only load of that cycle.
//
// The operations on a row and token and their order are those of TileMatmul: the bits are the same.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/cpu/avx512vnni/dots_avx512vnni.h"
#include "kernels/cpu/tile_matmul.h"
#include "kernels/cpu/unrolled.h"

namespace quern::kernels::cpu {
namespace {

template <class F>
struct TilePairAvx512 {
  using Tile = TileMatmul<SimdAvx512, F>;
  /// Groups whose scales and sums are gathered together.
  static constexpr std::int64_t kGroups = 8;
  static_assert(kGroups % F::groupsPerBlock == 0);

  /// What T tokens bring to the floats: [token][group], or half a group.
  template <int T>
  struct Facts {
    alignas(64) float scales[T][kGroups];
    alignas(64) float sums[T][kGroups * F::halves];
  };

  /// `scales` and `sums` are those of the first token's first group; the next token's are `groupsOfRow` on.
  template <int T>
  [[gnu::always_inline]] static void gather(const float* scales, const float* sums, std::int64_t groupsOfRow,
                                            std::int64_t groups, Facts<T>& facts) {
    const auto ofScales = static_cast<__mmask8>((1U << groups) - 1U);
    const auto ofSums = static_cast<__mmask16>((1U << (2 * groups)) - 1U);
    unrolled<T>([&]<int t>() __attribute__((always_inline)) {
      _mm256_store_ps(facts.scales[t], _mm256_maskz_loadu_ps(ofScales, scales + t * groupsOfRow));
      const __m512 both = _mm512_maskz_loadu_ps(ofSums, sums + 2 * t * groupsOfRow);
      if constexpr (F::halves == 2) {
        _mm512_store_ps(facts.sums[t], both);
      } else {
        const __m256 crossed = _mm256_hadd_ps(_mm512_castps512_ps256(both), _mm512_extractf32x8_ps(both, 1));
        _mm256_store_ps(facts.sums[t],
                        _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(crossed), 0xD8)));
      }
    });
  }

  /// `first` is the first token's activations; output[t][16 · tile + row].
  template <int Tiles, int T>
  [[gnu::noinline]] static void multiply(const std::byte* source, std::size_t tileBytes, std::int64_t cols,
                                         TokenActivations first, std::int64_t rows, float* output,
                                         std::int64_t stride, bool accumulate) {
    const std::int64_t groupsOfRow = cols / 32;
    Facts<T> facts;
    __m512 y[T][Tiles];
    unrolled<T * Tiles>([&]<int i>() __attribute__((always_inline)) {
      y[i / Tiles][i % Tiles] = _mm512_setzero_ps();
    });
    const std::int8_t* quantized[T];
    unrolled<T>([&]<int t>() __attribute__((always_inline)) { quantized[t] = first.quantized + t * cols; });
    for (std::int64_t begin = 0; begin < groupsOfRow; begin += kGroups) {
      const std::int64_t groups = groupsOfRow - begin < kGroups ? groupsOfRow - begin : kGroups;
      gather<T>(first.scales + begin, first.sums + 2 * begin, groupsOfRow, groups, facts);
      __m512 superScale[Tiles];
      __m512 superMinimum[Tiles];
      if constexpr (F::isSuper) {
        unrolled<Tiles>([&]<int i>() __attribute__((always_inline)) {
          superScale[i] = SimdAvx512::loadHalf(source + i * tileBytes);
          if constexpr (F::minimums == Minimums::kSuper) {
            superMinimum[i] = SimdAvx512::loadHalf(source + i * tileBytes + 32);
          }
        });
        source += F::headerBytes;
      }
      for (std::int64_t g = 0; g < groups; ++g, source += F::groupBytes) {
        for (int i = 0; i < Tiles; ++i) {
          for (int line = 0; line < F::groupBytes; line += 64) {
            __builtin_prefetch(source + i * tileBytes + kAheadBytes + line, 0, 3);
          }
        }
        __m512i acc[T][F::halves][Tiles];
        unrolled<T * F::halves * Tiles>([&]<int i>() __attribute__((always_inline)) {
          acc[i / (F::halves * Tiles)][i / Tiles % F::halves][i % Tiles] = _mm512_setzero_si512();
        });
        unrolled<4>([&]<int quad>() __attribute__((always_inline)) {
          __m512i low[Tiles];
          __m512i high[Tiles];
          unrolled<Tiles>([&]<int i>() __attribute__((always_inline)) {
            DotsAvx512::unpack<F>(Tile::quantsOf(source + i * tileBytes), quad, low[i], high[i]);
          });
          const auto add = [&]<int h>(const __m512i(&w)[Tiles]) __attribute__((always_inline)) {
            unrolled<T>([&]<int t>() __attribute__((always_inline)) {
              std::int32_t four;
              std::memcpy(&four, quantized[t] + 4 * quad + 16 * h, 4);
              const __m512i a = _mm512_set1_epi32(four);
              unrolled<Tiles>([&]<int i>() __attribute__((always_inline)) {
                multiplyAdd(acc[t][h * (F::halves - 1)][i], w[i], a);
              });
            });
          };
          add.template operator()<0>(low);
          add.template operator()<1>(high);
        });
        typename Tile::GroupScales scales[Tiles];
        unrolled<Tiles>([&]<int i>() __attribute__((always_inline)) {
          scales[i] = Tile::readScales(source + i * tileBytes, superScale[i], superMinimum[i]);
        });
        unrolled<F::halves>([&]<int h>() __attribute__((always_inline)) {
          unrolled<T>([&]<int t>() __attribute__((always_inline)) {
            unrolled<Tiles>([&]<int i>() __attribute__((always_inline)) {
              Tile::addHalf(acc[t][h][i], scales[i].scale[h], scales[i].correction[h], facts.scales[t][g],
                            facts.sums[t][g * F::halves + h], y[t][i]);
            });
          });
        });
        unrolled<T>([&]<int t>() __attribute__((always_inline)) { quantized[t] += 32; });
      }
    }
    unrolled<T * Tiles>([&]<int n>() __attribute__((always_inline)) {
      constexpr int i = n % Tiles;
      storeTile<SimdAvx512>(y[n / Tiles][i], rows - 16 * i, output + n / Tiles * stride + 16 * i, accumulate);
    });
  }

  template <int Tiles>
  static void multiplyTiles(const std::byte* tile, std::size_t tileBytes, std::int64_t cols,
                            const Activations& x, std::int64_t tokens, std::int64_t rows, float* output,
                            std::int64_t stride, bool accumulate) {
    std::int64_t t = 0;
    const auto multiplyRuns = [&]<int T>() {
      for (; t + T <= tokens; t += T) {
        const TokenActivations first = {x.quantized + t * cols, x.scales + t * (cols / kActivationBlock),
                                        x.sums + t * (cols / kSumBlock)};
        multiply<Tiles, T>(tile, tileBytes, cols, first, rows, output + t * stride, stride, accumulate);
      }
    };
    multiplyRuns.template operator()<4>();
    multiplyRuns.template operator()<2>();
    multiplyRuns.template operator()<1>();
  }

  static void run(const PackedMatrix& weights, std::int64_t rowBegin, std::int64_t rowEnd,
                  const Activations& x, std::int64_t tokens, float* output, std::int64_t stride,
                  bool accumulate) {
    constexpr std::int64_t kRows = 2 * kRowTile;
    const std::size_t tileBytes = packedMatrixBytes(weights.type, kRowTile, weights.cols);
    for (std::int64_t row = rowBegin; row < rowEnd; row += kRows) {
      const std::byte* tile = weights.data + static_cast<std::size_t>(row / kRowTile) * tileBytes;
      const std::int64_t rows = rowEnd - row < kRows ? rowEnd - row : kRows;
      (rows > kRowTile ? multiplyTiles<2> : multiplyTiles<1>)(tile, tileBytes, weights.cols, x, tokens, rows,
                                                              output + row, stride, accumulate);
    }
  }
};

}  // namespace
}  // namespace quern::kernels::cpu
