// The product that attention consists of, twice: c[r, v] = start + Σ_k a[r, k] · b[k, v], with a's elements
// broadcast and b's vectors (attention_operands.h) from a tile or the cache.
//
//   scores   a: queries [rows, headDim]        b: keys [headDim, 64 keys]       k: elements
//   output   a: probabilities [rows, 64 keys]  b: values [keys, headDim]        k: keys
//
// kRowBlock rows × Simd::kAttentionVectors vectors of sums stay in registers over all k. With AVX-512 that is
// 6 × 4: a step of k takes 4 loads, 6 broadcasting loads and 24 multiply-adds, 12 cycles of which the loads
// need 5. The sums of an element run over k in its order, whatever the block, so blocks do not show in
// results.
#pragma once

#include <cstdint>

namespace quern::kernels::cpu {

constexpr int kRowBlock = 6;

/// One block of kRows × kVectors. `decay`: what each row of c is multiplied with before the sum is added, or
/// null to begin with 0.
template <class Simd, int kRows, int kVectors, class Operand>
void multiplyBlock(const float* a, std::int64_t aStride, const Operand& b, std::int64_t depth, float* c,
                   std::int64_t cStride, const float* decay) {
  typename Simd::Floats sums[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      sums[r][v] = decay == nullptr ? Simd::zero()
                                    : Simd::mul(Simd::load(c + r * cStride + 16 * v), Simd::set(decay[r]));
    }
  }
  for (std::int64_t k = 0; k < depth; k += Operand::kRowsTogether) {
    b.template fetchAhead<kVectors>(k);
    for (std::int64_t j = 0; j < Operand::kRowsTogether; ++j) {
      typename Simd::Floats row[kVectors];
      for (int v = 0; v < kVectors; ++v) row[v] = b.at(k, j, v);
      for (int r = 0; r < kRows; ++r) {
        const auto x = Simd::set(a[r * aStride + k + j]);
        for (int v = 0; v < kVectors; ++v) sums[r][v] = Simd::fma(x, row[v], sums[r][v]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) Simd::store(c + r * cStride + 16 * v, sums[r][v]);
  }
}

/// All vectors of kRows rows.
template <class Simd, int kRows, class Operand>
void multiplyRows(const float* a, std::int64_t aStride, const Operand& b, std::int64_t depth, float* c,
                  std::int64_t cStride, std::int64_t vectors, const float* decay) {
  // More rows than kRowBlock leave registers for fewer vectors.
  constexpr int kWide = kRows > kRowBlock && Simd::kAttentionVectors > 2 ? 2 : Simd::kAttentionVectors;
  std::int64_t v = 0;
  for (; v + kWide <= vectors; v += kWide) {
    multiplyBlock<Simd, kRows, kWide>(a, aStride, b.from(v), depth, c + 16 * v, cStride, decay);
  }
  if constexpr (Simd::kAttentionVectors > 2) {
    for (; v + 2 <= vectors; v += 2) {
      multiplyBlock<Simd, kRows, 2>(a, aStride, b.from(v), depth, c + 16 * v, cStride, decay);
    }
  }
  for (; v < vectors; ++v) {
    multiplyBlock<Simd, kRows, 1>(a, aStride, b.from(v), depth, c + 16 * v, cStride, decay);
  }
}

/// c [rows, 16 · vectors].
template <class Simd, class Operand>
void multiply(const float* a, std::int64_t aStride, std::int64_t rows, const Operand& b, std::int64_t depth,
              float* c, std::int64_t cStride, std::int64_t vectors, const float* decay) {
  std::int64_t r = 0;
  const auto next = [&]<int kRows>() {
    multiplyRows<Simd, kRows>(a + r * aStride, aStride, b, depth, c + r * cStride, cStride, vectors,
                              decay == nullptr ? nullptr : decay + r);
    r += kRows;
  };
  // Seven and eight query heads share a key in many models: widening their elements once is worth more than
  // wide blocks.
  if constexpr (!Operand::kIsWide && Simd::kAttentionVectors > 2) {
    if (rows == 8) return next.template operator()<8>();
    if (rows == 7) return next.template operator()<7>();
  }
  while (rows - r >= kRowBlock) next.template operator()<kRowBlock>();
  if (rows - r >= 4) next.template operator()<4>();
  if (rows - r == 3) next.template operator()<3>();
  if (rows - r == 2) next.template operator()<2>();
  if (rows - r == 1) next.template operator()<1>();
}

}  // namespace quern::kernels::cpu
