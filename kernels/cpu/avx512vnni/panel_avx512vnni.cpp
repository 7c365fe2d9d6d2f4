// Prompts: many tokens times a panel of weights expanded to int8.
//
// A packed 4-bit group of 32 columns costs three or four floating operations a token beside its eight
// multiply-adds, on the same two ports, and its integers need unpacking: about half of the peak. So for
// prompts the weights are brought to one int8 scale for a row of 64 columns first, the activations likewise,
// and two operations follow sixteen multiply-adds: 89 % at best.
//
//   panel   [quad of columns][tile of 16 rows][16 rows × 4 columns]   256 columns of two tiles, 8 KiB
//   u       round(w / s) + 128 as vpdpbusd wants it;  s = bound of |w| over a row's 64 columns / 127
//   y[r,t]  Σ_64 s[r] · sx[t] · (Σ u·a − 128 · Σ a)                   the integers start from the last sum
//
// Longer blocks are faster, but activations have outliers and rows have large weights: against exact groups
// SmolLM2's perplexity grows by 0.2 % with blocks of 64, 0.7 % with 128 and 1.4 % with 256. Expanding takes
// about 300 cycles for a tile and 256 columns, once for all tokens of the call; 512 tokens then take 20,000.
// Two tiles × 6 tokens are 12 integer and 12 float sums in registers: 6 broadcasts and 2 loads feed 12
// multiply-adds. Floats that went through memory after every block would cost more: where a 512-bit store is
// two (Zen 4), it holds a multiplying port up for one and a half cycles.

#include "kernels/cpu/avx512vnni/panel_avx512vnni.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "kernels/cpu/avx512vnni/dots_avx512vnni.h"

namespace quern::kernels::cpu {
namespace {

constexpr int kTiles = 2;
/// Tokens whose partial sums are kept on the stack: 66 KiB.
constexpr std::int64_t kMostTokens = 44 * kPanelTokens;
/// How far ahead the activations are asked for.
constexpr int kPrefetchQuads = 16;
/// Columns that are expanded at once.
constexpr std::int64_t kColumns = 256;
constexpr int kGroups = kColumns / 32;
constexpr int kGroupsABlock = kPanelBlock / 32;
constexpr int kQuads = kColumns / 4;
constexpr int kBlocks = kColumns / kPanelBlock;
constexpr int kQuadsABlock = kPanelBlock / 4;
/// Tokens whose sums stay in registers.
constexpr int kTokens = kPanelTokens / 2;
constexpr std::int64_t kZeroPoint = 128;

/// Some columns of up to two tiles, expanded.
struct Panel {
  alignas(64) std::uint8_t weights[kQuads][kTiles][64];
  alignas(64) float scales[kBlocks][kTiles][16];
};

/// The smallest and largest quant of a form once its offset is gone.
template <class F>
struct QuantRange {
  static constexpr int bits = std::is_same_v<F, FormQ2_K>      ? 2  // kept in nibbles
                              : std::is_same_v<F, FormQ3_K>    ? 3
                              : F::quants == Quants::kNibbles  ? 4
                              : F::quants == Quants::kFiveBits ? 5
                              : F::quants == Quants::kSixBits  ? 6
                                                               : 8;
  static constexpr int low = F::table == nullptr ? -F::offset : *std::min_element(F::table, F::table + 16);
  static constexpr int high =
      F::table == nullptr ? (1 << bits) - 1 - F::offset : *std::max_element(F::table, F::table + 16);
  /// Quants that take 8 bits leave no room for a fraction in 16-bit products.
  static constexpr bool isWide = high - low > 63;
};

/// A 16-bit number a row, in both halves of its lane.
__m512i twice(__m512i wide) {
  return _mm512_or_si512(_mm512_and_si512(wide, _mm512_set1_epi32(0xFFFF)), _mm512_slli_epi32(wide, 16));
}

/// u = (q · scale + offset) >> 8 in 16-bit arithmetic modulo 2^16, where scale and offset are fixed-point
/// numbers with eight bits of fraction: whatever the signs, the result lies in 1 … 255, so that nothing is
/// lost.
struct NarrowExpansion {
  __m512i scale;
  __m512i offset;
  NarrowExpansion(__m512 ratio, __m512 add)
      : scale(twice(_mm512_cvtps_epi32(_mm512_mul_ps(ratio, _mm512_set1_ps(256.0F))))),
        offset(twice(_mm512_cvtps_epi32(
            _mm512_mul_ps(_mm512_add_ps(add, _mm512_set1_ps(kZeroPoint + 0.5F)), _mm512_set1_ps(256.0F))))) {}
  __m512i operator()(__m512i q) const {
    const __m512i low = _mm512_set1_epi16(0x00FF);
    const __m512i even = _mm512_add_epi16(_mm512_mullo_epi16(_mm512_and_si512(q, low), scale), offset);
    const __m512i odd = _mm512_add_epi16(_mm512_mullo_epi16(_mm512_srli_epi16(q, 8), scale), offset);
    // low ? even >> 8 : odd
    return _mm512_ternarylogic_epi64(low, _mm512_srli_epi16(even, 8), odd, 0xCA);
  }
};

/// u = round(q · ratio) + 128 for signed 8-bit q and |ratio| <= 1, by the rounding multiplication of
/// fractions.
struct WideExpansion {
  __m512i scale;
  WideExpansion(__m512 ratio, __m512 /*add*/)
      : scale(twice(_mm512_cvtps_epi32(_mm512_mul_ps(ratio, _mm512_set1_ps(32767.0F))))) {}
  __m512i operator()(__m512i q) const {
    const __m512i even = _mm512_mulhrs_epi16(_mm512_srai_epi16(_mm512_slli_epi16(q, 8), 8), scale);
    const __m512i odd = _mm512_mulhrs_epi16(_mm512_srai_epi16(q, 8), scale);
    const __m512i both =
        _mm512_ternarylogic_epi64(_mm512_set1_epi16(0x00FF), even, _mm512_slli_epi16(odd, 8), 0xCA);
    return _mm512_xor_si512(both, _mm512_set1_epi8(static_cast<char>(0x80)));
  }
};

/// The quants of quads `quad` and `quad + 4` of a group; signed where they take all eight bits.
template <class F>
void unpackQuads(const std::byte* quants, int quad, __m512i& low, __m512i& high) {
  DotsAvx512::unpack<F>(quants, quad, low, high);
  if constexpr (QuantRange<F>::isWide) {
    // An offset of 128 is the top bit.
    static_assert(F::offset == kZeroPoint);
    const __m512i top = _mm512_set1_epi8(static_cast<char>(0x80));
    low = _mm512_xor_si512(low, top);
    high = _mm512_xor_si512(high, top);
  }
}

/// Expands the next `groups` groups of one tile into panel column `tile`, block by block; returns where the
/// ones after them begin.
template <class F>
const std::byte* expand(const std::byte* source, int groups, int tile, Panel& panel) {
  using Tile = TileMatmul<SimdAvx512, F>;
  using Range = QuantRange<F>;
  using Expansion = std::conditional_t<Range::isWide, WideExpansion, NarrowExpansion>;
  typename Tile::GroupScales scales[kGroups];
  const std::byte* quants[kGroups];
  const std::byte* behind =
      Tile::eachGroup(source, groups, [&](std::int64_t g, const std::byte* at, const auto& read) {
        scales[g] = read;
        quants[g] = Tile::quantsOf(at);
      });
  for (int first = 0; first < groups; first += kGroupsABlock) {
    const int end = std::min(groups, first + kGroupsABlock);
    // What the largest and smallest possible quants would be worth: no weight is larger.
    __m512 bound = _mm512_setzero_ps();
    for (int g = first; g < end; ++g) {
      for (int h = 0; h < F::halves; ++h) {
        const __m512 lowest = scales[g].correction[h];
        const __m512 highest =
            _mm512_fmadd_ps(scales[g].scale[h], _mm512_set1_ps(Range::high - Range::low), lowest);
        bound = _mm512_max_ps(bound, _mm512_max_ps(_mm512_abs_ps(lowest), _mm512_abs_ps(highest)));
      }
    }
    // A row so small that its reciprocal overflows counts as zero.
    const __mmask16 isUsed = _mm512_cmp_ps_mask(bound, _mm512_set1_ps(1e-30F), _CMP_GT_OQ);
    const __m512 inverse = _mm512_maskz_div_ps(isUsed, _mm512_set1_ps(127.0F), bound);
    _mm512_store_ps(panel.scales[first / kGroupsABlock][tile],
                    _mm512_maskz_mul_ps(isUsed, bound, _mm512_set1_ps(1.0F / 127.0F)));
    for (int g = first; g < end; ++g) {
      const auto expansion = [&](int half) {
        return Expansion(_mm512_mul_ps(scales[g].scale[half], inverse),
                         _mm512_mul_ps(scales[g].correction[half], inverse));
      };
      const Expansion low = expansion(0);
      const Expansion high = F::halves == 1 ? low : expansion(F::halves - 1);
      for (int quad = 0; quad < 4; ++quad) {
        __m512i a;
        __m512i b;
        unpackQuads<F>(quants[g], quad, a, b);
        _mm512_store_si512(panel.weights[8 * g + quad][tile], low(a));
        _mm512_store_si512(panel.weights[8 * g + quad + 4][tile], high(b));
      }
    }
  }
  return behind;
}

/// What multiply() reads of the activations: some columns of T tokens of a group, and what belongs to their
/// first block; the next block's is kPanelTokens on.
struct PanelTokens {
  const std::int8_t* quantized;
  const float* scales;
  const std::int32_t* starts;
};

/// y[t][tile] += s · sx · Σ over one block of `Quads` quads.
template <int Tiles, int T, int Quads>
[[gnu::always_inline]] inline void multiplyBlock(const std::uint8_t (*weights)[kTiles][64],
                                                 const float (*scales)[16], const PanelTokens& x,
                                                 __m512 (&y)[T * Tiles]) {
  __m512i acc[T * Tiles];
  unrolled<T>([&]<int t>() __attribute__((always_inline)) {
    const __m512i start = _mm512_set1_epi32(x.starts[t]);
    unrolled<Tiles>([&]<int i>() __attribute__((always_inline)) { acc[t * Tiles + i] = start; });
  });
  // A loop would keep the sums in memory: g++ 12 does not see that they could stay in registers.
  unrolled<Quads>([&]<int quad>() __attribute__((always_inline)) {
    const std::int8_t* quantized = x.quantized + quad * 4 * kPanelTokens;
    __m512i w[Tiles];
    unrolled<Tiles>([&]<int i>()
                        __attribute__((always_inline)) { w[i] = _mm512_load_si512(weights[quad][i]); });
    _mm_prefetch(reinterpret_cast<const char*>(quantized + kPrefetchQuads * 4 * kPanelTokens), _MM_HINT_T0);
    unrolled<T>([&]<int t>() __attribute__((always_inline)) {
      std::int32_t four;
      std::memcpy(&four, quantized + 4 * t, 4);
      const __m512i a = _mm512_set1_epi32(four);
      unrolled<Tiles>([&]<int i>()
                          __attribute__((always_inline)) { multiplyAdd(acc[t * Tiles + i], w[i], a); });
    });
  });
  unrolled<Tiles>([&]<int i>() __attribute__((always_inline)) {
    const __m512 scale = _mm512_load_ps(scales[i]);
    unrolled<T>([&]<int t>() __attribute__((always_inline)) {
      const __m512 s = _mm512_mul_ps(scale, _mm512_set1_ps(x.scales[t]));
      y[t * Tiles + i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[t * Tiles + i]), s, y[t * Tiles + i]);
    });
  });
}

/// The panel's columns times T tokens of a group: totals[t][tile] (= or +=) Σ s · sx · Σ.
template <int Tiles, int T>
void multiply(const Panel& panel, std::int64_t width, PanelTokens x, bool adds, float* totals) {
  __m512 y[T * Tiles];
  unrolled<T>([&]<int t>() __attribute__((always_inline)) {
    unrolled<Tiles>([&]<int i>() __attribute__((always_inline)) {
      // Minus zero is what adding to changes nothing, zeros included.
      y[t * Tiles + i] = adds ? _mm512_load_ps(totals + 16 * (t * kTiles + i)) : _mm512_set1_ps(-0.0F);
    });
  });
  const auto* weights = panel.weights;
  const auto* scales = panel.scales;
  for (; width >= kPanelBlock; width -= kPanelBlock) {
    multiplyBlock<Tiles, T, kQuadsABlock>(weights, *scales++, x, y);
    weights += kQuadsABlock;
    x = {x.quantized + kPanelBlock * kPanelTokens, x.scales + kPanelTokens, x.starts + kPanelTokens};
  }
  if (width > 0) multiplyBlock<Tiles, T, kQuadsABlock / 2>(weights, *scales, x, y);
  unrolled<T>([&]<int t>() __attribute__((always_inline)) {
    unrolled<Tiles>([&]<int i>() __attribute__((always_inline)) {
      _mm512_store_ps(totals + 16 * (t * kTiles + i), y[t * Tiles + i]);
    });
  });
}

/// Two tiles of rows (or one, the last) times tokens [first, first + tokens).
template <class F, int Tiles>
void multiplyTiles(const PackedMatrix& weights, std::int64_t row, std::int64_t rows,
                   const PanelActivations& x, std::int64_t first, std::int64_t tokens, float* output,
                   std::int64_t stride, bool accumulate) {
  const std::int64_t cols = weights.cols;
  const std::int64_t blocks = panelBlocks(cols);
  const std::size_t tileBytes = packedMatrixBytes(weights.type, kRowTile, cols);
  const std::byte* source = weights.data + static_cast<std::size_t>(row / kRowTile) * tileBytes;
  const std::byte* from[2] = {source, source + (Tiles - 1) * tileBytes};
  Panel panel;
  // Kept close together: rows of the output are far apart, often by a power of two, and would push each other
  // out of the cache.
  alignas(64) float totals[kMostTokens * kTiles * 16];
  constexpr auto kAllRows = static_cast<__mmask16>(0xFFFF);
  const __mmask16 rowsOfLast = rows >= 16 * Tiles ? kAllRows : SimdAvx512::first(rows - 16 * (Tiles - 1));
  for (std::int64_t column = 0; column < cols; column += kColumns) {
    const auto width = static_cast<int>(std::min(kColumns, cols - column));
    const bool isLast = column + width == cols;
    for (int i = 0; i < Tiles; ++i) from[i] = expand<F>(from[i], width / 32, i, panel);
    const auto run = [&]<int T>(std::int64_t t) {
      const std::int64_t group = t / kPanelTokens;
      const std::int64_t within = t % kPanelTokens;
      float* total = totals + (t - first) * kTiles * 16;
      float* out = output + (t - first) * stride + row;
      if (isLast) {
        // The output is larger than the second cache: its lines are on their way while the sums are made.
        for (int i = 0; i < T * Tiles; ++i) {
          __builtin_prefetch(out + i / Tiles * stride + 16 * (i % Tiles), 1);
        }
      }
      const std::int64_t scaleAt = (group * blocks + column / kPanelBlock) * kPanelTokens + within;
      const PanelTokens at{x.quantized + (group * cols + column) * kPanelTokens + 4 * within,
                           x.scales + scaleAt, x.starts + scaleAt};
      multiply<Tiles, T>(panel, width, at, column > 0, total);
      for (int i = 0; isLast && i < T * Tiles; ++i) {
        const __mmask16 mask = i % Tiles + 1 < Tiles ? kAllRows : rowsOfLast;
        float* to = out + i / Tiles * stride + 16 * (i % Tiles);
        __m512 y = _mm512_load_ps(total + 16 * (i / Tiles * kTiles + i % Tiles));
        if (accumulate) y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(mask, to));
        _mm512_mask_storeu_ps(to, mask, y);
      }
    };
    for (std::int64_t t = first; t < first + tokens;) {
      const std::int64_t left = std::min(first + tokens - t, kPanelTokens - t % kPanelTokens);
      // Eight and nine are two fours and a rest.
      if (left >= kTokens && left != 8 && left != 9) {
        run.template operator()<kTokens>(t);
        t += kTokens;
      } else if (left >= 4) {
        run.template operator()<4>(t);
        t += 4;
      } else {
        run.template operator()<1>(t);
        t += 1;
      }
    }
  }
}

}  // namespace

void quantizePanelRowAvx512(const float* x, std::int64_t cols, const PanelActivations& target,
                            std::int64_t token) {
  const std::int64_t group = token / kPanelTokens;
  const std::int64_t within = token % kPanelTokens;
  const std::int64_t blocks = panelBlocks(cols);
  std::int8_t* quads = target.quantized + group * cols * kPanelTokens + 4 * within;
  for (std::int64_t block = 0; block < blocks; ++block) {
    const std::int64_t begin = block * kPanelBlock;
    const std::int64_t end = std::min<std::int64_t>(cols, begin + kPanelBlock);
    __m512 largest = _mm512_setzero_ps();
    for (std::int64_t c = begin; c < end; c += 16) {
      largest = _mm512_max_ps(largest, _mm512_abs_ps(_mm512_loadu_ps(x + c)));
    }
    const float bound = _mm512_reduce_max_ps(largest);
    // A bound so small that its reciprocal overflows counts as zero.
    const __m512 inverse = _mm512_set1_ps(bound > 1e-30F ? 127.0F / bound : 0.0F);
    __m512i sum = _mm512_setzero_si512();
    for (std::int64_t c = begin; c < end; c += 16) {
      const __m512i whole = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + c), inverse));
      const __m128i bytes = _mm512_cvtepi32_epi8(whole);
      sum = _mm512_add_epi32(sum, whole);
      std::int8_t* to = quads + c * kPanelTokens;
      unrolled<4>([&]<int i>() __attribute__((always_inline)) {
        const int four = _mm_extract_epi32(bytes, i);
        std::memcpy(to + i * 4 * kPanelTokens, &four, 4);
      });
    }
    const std::int64_t at = (group * blocks + block) * kPanelTokens + within;
    target.scales[at] = bound / 127.0F;
    target.starts[at] = static_cast<std::int32_t>(-kZeroPoint) * _mm512_reduce_add_epi32(sum);
  }
}

void panelMatmulAvx512(const PackedMatrix& weights, std::int64_t rowBegin, std::int64_t rowEnd,
                       const PanelActivations& x, std::int64_t firstToken, std::int64_t tokens, float* output,
                       std::int64_t outputStride, bool accumulate) {
  withForm(weights.type, [&]<class F>() {
    for (std::int64_t t = 0; t < tokens; t += kMostTokens) {
      const std::int64_t some = std::min(kMostTokens, tokens - t);
      for (std::int64_t row = rowBegin; row < rowEnd; row += kTiles * kRowTile) {
        const std::int64_t rows = std::min(kTiles * kRowTile, rowEnd - row);
        const auto multiplyRows = rows > kRowTile ? multiplyTiles<F, 2> : multiplyTiles<F, 1>;
        multiplyRows(weights, row, rows, x, firstToken + t, some, output + t * outputStride, outputStride,
                     accumulate);
      }
    }
  });
}

}  // namespace quern::kernels::cpu
