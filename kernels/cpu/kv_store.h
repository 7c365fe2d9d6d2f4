// Writing one token's key and value of one head into the cache; kv_layout.h has the layout.
//
// A key is spread over headDim cache lines of its block. That is no more traffic than attention makes, which
// reads those lines next; in prefill 32 tokens meet in the block while it is in the first-level cache.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/cpu/hadamard.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/kv_layout.h"
#include "kernels/cpu/rope.h"
#include "kernels/cpu/vector_math.h"

namespace quern::kernels::cpu {

/// Between −largest and largest; NaN becomes −largest. Nothing in the cache may be infinite, because a masked
/// position's value is multiplied by 0.
template <class Simd>
typename Simd::Floats finite(const typename Simd::Floats& x, float largest) {
  return Simd::min(Simd::max(x, Simd::set(-largest)), Simd::set(largest));
}

inline constexpr float kLargestFloat = 0x1.fffffep127F;
inline constexpr float kLargestHalf = 65504.0F;

/// Calls put(i, bytes of element i) for a vector that is stored as float32 or half.
template <class Simd, KvType kType, class Put>
void storePlain(const float* source, std::int64_t headDim, Put&& put) {
  constexpr std::size_t kBytes = kvUnitBytes(kType);
  forLanes(headDim, [&](std::int64_t i, std::int64_t count) {
    alignas(64) std::byte part[16 * kBytes];
    const auto x = Simd::loadSome(source + i, count);
    if constexpr (kType == KvType::kF32) {
      Simd::store(reinterpret_cast<float*>(part), finite<Simd>(x, kLargestFloat));
    } else {
      Simd::storeHalfSome(part, finite<Simd>(x, kLargestHalf), 16);
    }
    for (std::int64_t j = 0; j < count; ++j) put(i + j, part + static_cast<std::size_t>(j) * kBytes);
  });
}

/// Stores a vector as int8: put(i, the element's byte) and the scales to scales[i / 32 · kKvBlock].
template <class Simd, class Put>
void storeQuantized(const float* source, std::int64_t headDim, std::byte* scales, Put&& put) {
  for (std::int64_t b = 0; b < headDim / kKvScaleBlock; ++b) {
    // Scales must be finite halves.
    const auto low = finite<Simd>(Simd::load(source + 32 * b), kLargestHalf * 127);
    const auto high = finite<Simd>(Simd::load(source + 32 * b + 16), kLargestHalf * 127);
    const float largest = Simd::reduceMax(Simd::max(Simd::abs(low), Simd::abs(high)));
    // Rounded to half first, so that the stored values fit the scale they will be multiplied with.
    const float scale = Simd::storeHalf(scales + b * kKvBlock * 2, largest / 127.0F);
    const float inverse = scale > 0.0F ? 1.0F / scale : 0.0F;
    const auto limited = [&](const typename Simd::Floats& x) {
      return finite<Simd>(Simd::mul(x, Simd::set(inverse)), 127.0F);
    };
    std::int8_t values[32];
    Simd::storeInt8(limited(low), values);
    Simd::storeInt8(limited(high), values + 16);
    for (std::int64_t j = 0; j < 32; ++j) put(32 * b + j, reinterpret_cast<const std::byte*>(values + j));
  }
}

/// Stores a vector, turned, as numbers of four bits: put(u, byte u of headDim/2). A byte's elements are
/// neighbours
/// (`pairs`, keys) or sixteen apart (values).
template <class Simd, class Put>
void storeNibbles(const float* source, std::int64_t headDim, bool pairs, std::byte* scales, Put&& put) {
  const std::int64_t together = turnedTogether(headDim);
  alignas(64) float turned[kMostTurnedTogether];
  for (std::int64_t b = 0; b < headDim / kKvScaleBlock; ++b) {
    const std::int64_t at = 32 * b % together;
    if (at == 0) {
      // What is not finite would reach all elements.
      for (std::int64_t i = 0; i < together; i += 16)
        Simd::store(turned + i, finite<Simd>(Simd::load(source + 32 * b + i), kLargestHalf));
      turnByHadamard<Simd>(turned, together, turned);
    }
    // Scales must be finite halves.
    const auto low = finite<Simd>(Simd::load(turned + at), kLargestHalf * 8);
    const auto high = finite<Simd>(Simd::load(turned + at + 16), kLargestHalf * 8);
    const float largest = Simd::reduceMax(Simd::max(low, high));
    const float smallest =
        -Simd::reduceMax(Simd::max(Simd::sub(Simd::zero(), low), Simd::sub(Simd::zero(), high)));
    // The element that is farthest from 0 becomes −8, the end of the range that has a step more.
    const float extreme = -smallest > largest ? smallest : largest;
    const float scale = Simd::storeHalf(scales + b * kKvBlock * 2, extreme / -8.0F);
    const float inverse = scale != 0.0F ? 1.0F / scale : 0.0F;
    const auto limited = [&](const typename Simd::Floats& x) {
      const auto scaled = Simd::mul(x, Simd::set(inverse));
      return Simd::add(Simd::min(Simd::max(scaled, Simd::set(-8.0F)), Simd::set(7.0F)), Simd::set(8.0F));
    };
    std::int8_t q[32];
    Simd::storeInt8(limited(low), q);
    Simd::storeInt8(limited(high), q + 16);
    for (std::int64_t i = 0; i < 16; ++i) {
      const int first = q[pairs ? 2 * i : i];
      const int second = q[pairs ? 2 * i + 1 : i + 16];
      put(16 * b + i, static_cast<std::byte>(first | second << 4));
    }
  }
}

template <class Simd, KvType kType>
void storeKvAs(const KvWrite& write) {
  constexpr std::size_t kBytes = kvUnitBytes(kType);
  const auto slot = static_cast<std::size_t>(write.slot);
  const auto units = static_cast<std::size_t>(write.headDim / kvElementsAUnit(kType));
  std::byte* keys = write.keyBlock + kvHeaderBytes(kType, write.headDim) + slot * kBytes;
  const std::size_t valuesAt = kvHeaderBytes(kType, write.headDim) + slot * units * kBytes;
  const auto putKey = [&](std::int64_t i, const std::byte* element) {
    std::memcpy(keys + static_cast<std::size_t>(i) * kKvBlock * kBytes, element, kBytes);
  };
  const auto putValue = [&](std::int64_t i, const std::byte* element) {
    std::memcpy(write.valueBlock + valuesAt + static_cast<std::size_t>(i) * kBytes, element, kBytes);
  };
  if constexpr (kType == KvType::kQ8_0) {
    storeQuantized<Simd>(write.key, write.headDim, write.keyBlock + 2 * slot, putKey);
    if (write.valueBlock == nullptr) return;
    storeQuantized<Simd>(write.value, write.headDim, write.valueBlock + 2 * slot, putValue);
  } else if constexpr (kType == KvType::kQ4_0) {
    storeNibbles<Simd>(write.key, write.headDim, true, write.keyBlock + 2 * slot,
                       [&](std::int64_t u, std::byte two) { putKey(u, &two); });
    if (write.valueBlock == nullptr) return;
    storeNibbles<Simd>(write.value, write.headDim, false, write.valueBlock + 2 * slot,
                       [&](std::int64_t u, std::byte two) { putValue(u, &two); });
  } else {
    storePlain<Simd, kType>(write.key, write.headDim, putKey);
    if (write.valueBlock == nullptr) return;
    storePlain<Simd, kType>(write.value, write.headDim, putValue);
  }
}

template <class Simd>
void storeKv(const KvWrite& write) {
  turnHead<Simd>(write.turn, 0, 0, write.headDim, write.key);
  switch (write.type) {
    case KvType::kF32:
      return storeKvAs<Simd, KvType::kF32>(write);
    case KvType::kF16:
      return storeKvAs<Simd, KvType::kF16>(write);
    case KvType::kQ8_0:
      return storeKvAs<Simd, KvType::kQ8_0>(write);
    case KvType::kQ4_0:
      return storeKvAs<Simd, KvType::kQ4_0>(write);
  }
}

}  // namespace quern::kernels::cpu
