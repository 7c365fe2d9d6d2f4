// The vector operations of the table and their mathematics, written once over Simd (16 lanes).
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/kernels.h"

namespace quern::kernels::cpu {

/// e^x to about 2 units in the last place: x = n·ln 2 + r with |r| <= ln 2 / 2, a polynomial of degree 6 for
/// e^r (Cephes' expf coefficients), and 2^n put into the exponent. Arguments below −87.3 give 0.
template <class Simd>
typename Simd::Floats expVector(const typename Simd::Floats& argument) {
  using Floats = typename Simd::Floats;
  const Floats x = Simd::max(Simd::min(argument, Simd::set(88.0F)), Simd::set(-87.336F));
  const Floats n = Simd::round(Simd::mul(x, Simd::set(1.44269504088896341F)));
  // ln 2 in two parts, so that n · ln 2 loses nothing.
  Floats r = Simd::fma(n, Simd::set(-0.693359375F), x);
  r = Simd::fma(n, Simd::set(2.12194440e-4F), r);
  Floats p = Simd::set(1.9875691500e-4F);
  p = Simd::fma(p, r, Simd::set(1.3981999507e-3F));
  p = Simd::fma(p, r, Simd::set(8.3334519073e-3F));
  p = Simd::fma(p, r, Simd::set(4.1665795894e-2F));
  p = Simd::fma(p, r, Simd::set(1.6666665459e-1F));
  p = Simd::fma(p, r, Simd::set(5.0000001201e-1F));
  p = Simd::fma(Simd::mul(p, r), r, Simd::add(r, Simd::set(1.0F)));
  return Simd::zeroWhereBelow(Simd::scaleByPowerOfTwo(p, n), argument, Simd::set(-87.336F));
}

/// 2^x to 1.4 units in the last place between 2^−126 and 2^127, for x <= 127: x = n + r with |r| <= 1/2, a
/// polynomial of degree 5 for 2^r (relative error 9.2e-8, minimax with a constant term of 1, so that 2^0 is 1
/// exactly), and n added to the exponent's bits. From −127 down, and for NaN, exactly 0.
template <class Simd>
typename Simd::Floats exp2Vector(const typename Simd::Floats& argument) {
  using Floats = typename Simd::Floats;
  // NaN takes the second operand.
  const Floats x = Simd::max(argument, Simd::set(-127.0F));
  // Adding 1.5 · 2^23 rounds to a whole number and leaves it in the lowest bits.
  const Floats shift = Simd::set(12582912.0F);
  const Floats shifted = Simd::add(x, shift);
  const Floats r = Simd::sub(x, Simd::sub(shifted, shift));
  Floats p = Simd::set(0x1.5bba14p-10F);
  p = Simd::fma(p, r, Simd::set(0x1.3cea88p-7F));
  p = Simd::fma(p, r, Simd::set(0x1.c6b752p-5F));
  p = Simd::fma(p, r, Simd::set(0x1.ebf9bcp-3F));
  p = Simd::fma(p, r, Simd::set(0x1.62e42ap-1F));
  p = Simd::fma(p, r, Simd::set(1.0F));
  return Simd::addLowBitsToExponent(p, shifted);
}

/// tanh(x) = 1 − 2 / (e^{2x} + 1); small arguments, where that cancels, take a Taylor polynomial.
template <class Simd>
typename Simd::Floats tanhVector(const typename Simd::Floats& x) {
  using Floats = typename Simd::Floats;
  const Floats one = Simd::set(1.0F);
  const Floats e = expVector<Simd>(Simd::add(x, x));
  const Floats large = Simd::sub(one, Simd::div(Simd::set(2.0F), Simd::add(e, one)));
  const Floats square = Simd::mul(x, x);
  Floats p = Simd::set(62.0F / 2835.0F);
  p = Simd::fma(p, square, Simd::set(-17.0F / 315.0F));
  p = Simd::fma(p, square, Simd::set(2.0F / 15.0F));
  p = Simd::fma(p, square, Simd::set(-1.0F / 3.0F));
  p = Simd::fma(Simd::mul(p, square), x, x);
  return Simd::selectSmall(p, large, x, Simd::set(0.25F));
}

/// Calls body(offset, count) over n elements; count is 16, or less for the last part.
template <class Body>
void forLanes(std::int64_t n, Body&& body) {
  std::int64_t i = 0;
  for (; i + 16 <= n; i += 16) body(i, std::int64_t{16});
  if (i < n) body(i, n - i);
}

template <class Simd>
void quantizeRow(const float* x, std::int64_t cols, std::int8_t* quantized, float* scales, float* sums) {
  using Floats = typename Simd::Floats;
  for (std::int64_t b = 0; b < cols / kActivationBlock; ++b) {
    const Floats low = Simd::load(x + 32 * b);
    const Floats high = Simd::load(x + 32 * b + 16);
    const float largest = Simd::reduceMax(Simd::max(Simd::abs(low), Simd::abs(high)));
    const float scale = largest / 127.0F;
    // A largest so small that its reciprocal overflows counts as zero.
    const float inverse = largest > 1e-30F ? 127.0F / largest : 0.0F;
    scales[b] = scale;
    sums[2 * b] =
        scale * static_cast<float>(Simd::storeInt8(Simd::mul(low, Simd::set(inverse)), quantized + 32 * b));
    sums[2 * b + 1] = scale * static_cast<float>(Simd::storeInt8(Simd::mul(high, Simd::set(inverse)),
                                                                 quantized + 32 * b + 16));
  }
}

template <class Simd>
void rmsNorm(const float* x, const float* weight, float eps, std::int64_t n, float* out) {
  typename Simd::Floats total = Simd::zero();
  forLanes(n, [&](std::int64_t i, std::int64_t count) {
    const auto v = Simd::loadSome(x + i, count);
    total = Simd::fma(v, v, total);
  });
  const float scale = 1.0F / std::sqrt(Simd::reduceAdd(total) / static_cast<float>(n) + eps);
  forLanes(n, [&](std::int64_t i, std::int64_t count) {
    auto v = Simd::mul(Simd::loadSome(x + i, count), Simd::set(scale));
    if (weight != nullptr) v = Simd::mul(v, Simd::loadSome(weight + i, count));
    Simd::storeSome(out + i, v, count);
  });
}

template <class Simd>
void siluMul(const float* gate, const float* up, float* out, std::int64_t n) {
  forLanes(n, [&](std::int64_t i, std::int64_t count) {
    const auto x = Simd::loadSome(gate + i, count);
    const auto e = expVector<Simd>(Simd::sub(Simd::zero(), x));
    const auto silu = Simd::div(x, Simd::add(Simd::set(1.0F), e));
    Simd::storeSome(out + i, Simd::mul(silu, Simd::loadSome(up + i, count)), count);
  });
}

template <class Simd>
void geluMul(const float* gate, const float* up, float* out, std::int64_t n) {
  forLanes(n, [&](std::int64_t i, std::int64_t count) {
    const auto x = Simd::loadSome(gate + i, count);
    const auto cube = Simd::mul(Simd::mul(x, x), x);
    const auto inner = Simd::mul(Simd::set(0.79788456080286536F), Simd::fma(cube, Simd::set(0.044715F), x));
    const auto gelu =
        Simd::mul(Simd::mul(Simd::set(0.5F), x), Simd::add(Simd::set(1.0F), tanhVector<Simd>(inner)));
    Simd::storeSome(out + i, Simd::mul(gelu, Simd::loadSome(up + i, count)), count);
  });
}

/// gpt-oss's activation; the constants are the model's (transformers: GptOssExperts).
template <class Simd>
void swigluOai(const float* gate, const float* up, float* out, std::int64_t n) {
  const auto limit = Simd::set(7.0F);
  const auto one = Simd::set(1.0F);
  forLanes(n, [&](std::int64_t i, std::int64_t count) {
    const auto g = Simd::min(Simd::loadSome(gate + i, count), limit);
    const auto u = Simd::max(Simd::min(Simd::loadSome(up + i, count), limit), Simd::set(-7.0F));
    const auto e = expVector<Simd>(Simd::mul(g, Simd::set(-1.702F)));
    Simd::storeSome(out + i, Simd::mul(Simd::add(u, one), Simd::div(g, Simd::add(e, one))), count);
  });
}

template <class Simd>
void softcap(float* x, float cap, std::int64_t n) {
  forLanes(n, [&](std::int64_t i, std::int64_t count) {
    const auto v = Simd::mul(Simd::loadSome(x + i, count), Simd::set(1.0F / cap));
    Simd::storeSome(x + i, Simd::mul(tanhVector<Simd>(v), Simd::set(cap)), count);
  });
}

template <class Simd>
void addVectors(float* x, const float* y, std::int64_t n) {
  forLanes(n, [&](std::int64_t i, std::int64_t count) {
    Simd::storeSome(x + i, Simd::add(Simd::loadSome(x + i, count), Simd::loadSome(y + i, count)), count);
  });
}

}  // namespace quern::kernels::cpu
