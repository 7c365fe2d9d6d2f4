// Rotary position embedding of one head, in place, in both orders of pairs.
//
// One vector of a head takes two loads, a permutation or two, a multiply-add and a store; the table of
// (cos, sin) pairs is the same for all heads of a token and stays in the first-level cache.
#pragma once

#include <cstdint>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/vector_math.h"

namespace quern::kernels::cpu {

/// (x[i], x[i + rotary/2]) turned by pair i.
template <class Simd>
void ropeHalves(float* head, const float* cosSin, std::int64_t rotary) {
  const std::int64_t half = rotary / 2;
  std::int64_t i = 0;
  for (; i + 16 <= half; i += 16) {
    typename Simd::Floats cos;
    typename Simd::Floats sin;
    Simd::loadPairs(cosSin + 2 * i, cos, sin);
    const auto a = Simd::load(head + i);
    const auto b = Simd::load(head + half + i);
    const auto minusSin = Simd::sub(Simd::zero(), sin);
    Simd::store(head + i, Simd::fma(a, cos, Simd::mul(b, minusSin)));
    Simd::store(head + half + i, Simd::fma(b, cos, Simd::mul(a, sin)));
  }
  for (; i < half; ++i) {
    const float a = head[i];
    const float b = head[half + i];
    head[i] = a * cosSin[2 * i] - b * cosSin[2 * i + 1];
    head[half + i] = b * cosSin[2 * i] + a * cosSin[2 * i + 1];
  }
}

/// (x[2i], x[2i + 1]) turned by pair i.
template <class Simd>
void ropeNeighbours(float* head, const float* cosSin, std::int64_t rotary) {
  forLanes(rotary / 2 * 2, [&](std::int64_t i, std::int64_t count) {
    const auto turned = Simd::rotatePairs(Simd::loadSome(head + i, count), Simd::loadSome(cosSin + i, count));
    Simd::storeSome(head + i, turned, count);
  });
}

template <class Simd>
void rope(float* head, const float* cosSin, std::int64_t rotary, bool neox) {
  if (neox) {
    ropeHalves<Simd>(head, cosSin, rotary);
  } else {
    ropeNeighbours<Simd>(head, cosSin, rotary);
  }
}

/// Norm and rotation of the head of token `token`; `number` is the head's, counted from the one whose norm
/// turn.norm is.
template <class Simd>
void turnHead(const HeadTurn& turn, std::int64_t token, std::int64_t number, std::int64_t headDim,
              float* head) {
  if (turn.norm != nullptr) {
    const float* norm = turn.norm + number * turn.normHeadStride;
    if (turn.isCentred) {
      layerNorm<Simd>(head, norm, nullptr, turn.epsilon, headDim, head);
    } else {
      rmsNorm<Simd>(head, norm, turn.epsilon, headDim, head);
    }
  }
  if (turn.rotary > 0) rope<Simd>(head, turn.cosSin + token * turn.cosSinStride, turn.rotary, turn.neox);
}

}  // namespace quern::kernels::cpu
