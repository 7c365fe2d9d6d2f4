// Online softmax of rows of scores, a tile of keys at a time, in powers of two: the scores come multiplied
// with log2(e).
//
//   m' = max(m, max s)     decay = 2^(m − m')     p = 2^(s − m')     l' = l · decay + Σ p
//
// The sums l are kept as 16 lanes until the end of a chunk, lane i for the keys with position % 16 == i. A
// row that has seen nothing has m = −∞ and l = 0, and −∞ − −∞ is NaN, for which exp2Vector gives 0: such rows
// need no case of their own, and keys that a row does not see (−∞) come out as p = 0.
//
// Source: Milakov & Gimelshein 2018.
#pragma once

#include <cstdint>
#include <limits>

#include "kernels/cpu/attention_operands.h"
#include "kernels/cpu/vector_math.h"

namespace quern::kernels::cpu {

constexpr float kNothingSeen = -std::numeric_limits<float>::infinity();

/// Which keys of a tile a row sees: [first, end), empty when end <= first.
struct SeenKeys {
  std::int64_t first = 0;
  std::int64_t end = kTileKeys;
};

/// Overwrites the scores of keys that are not seen.
template <class Simd>
void maskScores(float* scores, SeenKeys seen, std::int64_t vectors) {
  for (std::int64_t v = 0; v < vectors; ++v) {
    const std::int64_t left = seen.end - 16 * v;
    if (left >= 16) continue;
    Simd::store(scores + 16 * v,
                left > 0 ? Simd::loadSomeOr(scores + 16 * v, left, kNothingSeen) : Simd::set(kNothingSeen));
  }
  const std::int64_t unseen = seen.first < 16 * vectors ? seen.first : 16 * vectors;
  for (std::int64_t j = 0; j < unseen; ++j) scores[j] = kNothingSeen;
}

/// One tile: scores [rows, kTileKeys], of which `vectors` vectors a row are there, become probabilities.
/// maxima [rows] and sums [rows, 16] are brought up to date, decays [rows] left for the output.
template <class Simd>
void softmaxTile(float* scores, std::int64_t rows, std::int64_t vectors, float* maxima, float* sums,
                 float* decays) {
  // The tile's maxima go where the decays will be.
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* row = scores + r * kTileKeys;
    auto largest = Simd::load(row);
    for (std::int64_t v = 1; v < vectors; ++v) largest = Simd::max(largest, Simd::load(row + 16 * v));
    decays[r] = Simd::reduceMax(largest);
  }
  forLanes(rows, [&](std::int64_t r, std::int64_t count) {
    const auto old = Simd::loadSome(maxima + r, count);
    const auto now = Simd::max(old, Simd::loadSome(decays + r, count));
    Simd::storeSome(maxima + r, now, count);
    Simd::storeSome(decays + r, exp2Vector<Simd>(Simd::sub(old, now)), count);
  });
  for (std::int64_t r = 0; r < rows; ++r) {
    float* row = scores + r * kTileKeys;
    const auto maximum = Simd::set(maxima[r]);
    typename Simd::Floats p[kTileKeys / 16];
    for (std::int64_t v = 0; v < kTileKeys / 16; ++v) {
      if (v >= vectors) {
        p[v] = Simd::zero();
        continue;
      }
      p[v] = exp2Vector<Simd>(Simd::sub(Simd::load(row + 16 * v), maximum));
      Simd::store(row + 16 * v, p[v]);
    }
    const auto total = Simd::add(Simd::add(p[0], p[1]), Simd::add(p[2], p[3]));
    Simd::store(sums + 16 * r, Simd::fma(Simd::load(sums + 16 * r), Simd::set(decays[r]), total));
  }
}

/// What rows have come to over some chunks; their outputs, Σ p·v without the division, lie elsewhere.
struct RowTotals {
  float* maxima;  ///< [rows]
  float* sums;    ///< [rows]
};

/// Adds a later chunk's maxima and sums to the totals, and leaves what addOutput() needs: the factors of the
/// outputs before and of the chunk's.
template <class Simd>
void addChunk(const RowTotals& total, const RowTotals& chunk, std::int64_t rows, float* before,
              float* after) {
  forLanes(rows, [&](std::int64_t r, std::int64_t count) {
    const auto old = Simd::loadSome(total.maxima + r, count);
    const auto maximum = Simd::loadSome(chunk.maxima + r, count);
    const auto now = Simd::max(old, maximum);
    const auto ofTotal = exp2Vector<Simd>(Simd::sub(old, now));
    const auto ofChunk = exp2Vector<Simd>(Simd::sub(maximum, now));
    const auto added = Simd::mul(Simd::loadSome(chunk.sums + r, count), ofChunk);
    Simd::storeSome(total.sums + r, Simd::fma(Simd::loadSome(total.sums + r, count), ofTotal, added), count);
    Simd::storeSome(total.maxima + r, now, count);
    Simd::storeSome(before + r, ofTotal, count);
    Simd::storeSome(after + r, ofChunk, count);
  });
}

/// The sum of row r with a score more (in powers of two, as all of them) that has no value. A sink far above
/// all scores leaves next to nothing of the output, which 2^127 does as well as more would.
template <class Simd>
float sumWithSink(const RowTotals& total, std::int64_t r, float sink) {
  const auto above = Simd::min(Simd::set(sink - total.maxima[r]), Simd::set(127.0F));
  float lanes[16];
  Simd::store(lanes, exp2Vector<Simd>(above));
  return total.sums[r] + lanes[0];
}

/// total = total · before + output · after, of `padded` floats.
template <class Simd>
void addOutput(float* total, const float* output, float before, float after, std::int64_t padded) {
  for (std::int64_t i = 0; i < padded; i += 16) {
    const auto added = Simd::mul(Simd::load(output + i), Simd::set(after));
    Simd::store(total + i, Simd::fma(Simd::load(total + i), Simd::set(before), added));
  }
}

}  // namespace quern::kernels::cpu
