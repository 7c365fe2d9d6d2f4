// What a block of the KV cache holds: kKvBlock = 32 tokens of one head.
//
//   keys     lanes are tokens, so that a query's element is broadcast to 32 keys and nothing is summed across
//            lanes, in decoding as in prefill:
//              F32, F16   [headDim][32 tokens]                     one element of 32 keys = 128 or 64 bytes
//              Q8_0       scales [headDim/32][32 tokens] as half, then [headDim][32 tokens] as int8
//              Q4_0       scales likewise, then [headDim/2][32 tokens] as bytes: elements 2i (low) and 2i + 1
//   values   lanes are elements, a probability is broadcast:
//              F32, F16   [32 tokens][headDim]
//              Q8_0       scales [headDim/32][32 tokens] as half, then [32 tokens][headDim] as int8
//              Q4_0       scales likewise, then [32 tokens][headDim/32][16] as bytes: of 32 elements i (low)
//                         and i + 16
//
// Q8_0 and Q4_0 are the file formats' arithmetic in another order: 32 elements of a token share a scale of
// max|x| / 127, or of x / −8 for the x that is farthest from 0, and a 4-bit number q means (q − 8) · scale.
// What a Q4_0 cache holds is turned first, see hadamard.h.
//
// No byte holds elements of two tokens, since other workers may be writing those. All parts are whole cache
// lines when headDim is a multiple of 32.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/kernels.h"

namespace quern::kernels::cpu {

/// Elements of a token that share a scale in a Q8_0 or Q4_0 cache.
constexpr std::int64_t kKvScaleBlock = 32;

/// Bytes of the scales at the beginning of such a block.
constexpr std::size_t kvScaleBytes(std::int64_t headDim) {
  return static_cast<std::size_t>(headDim / kKvScaleBlock * kKvBlock) * 2;
}

constexpr bool kvHasScales(KvType type) { return type == KvType::kQ8_0 || type == KvType::kQ4_0; }

/// Elements of a token that lie in one unit of storage, a byte or more …
constexpr std::int64_t kvElementsAUnit(KvType type) { return type == KvType::kQ4_0 ? 2 : 1; }
/// … and its bytes.
constexpr std::size_t kvUnitBytes(KvType type) {
  return type == KvType::kF32 ? 4 : type == KvType::kF16 ? 2 : 1;
}

/// Bytes before the elements.
constexpr std::size_t kvHeaderBytes(KvType type, std::int64_t headDim) {
  return kvHasScales(type) ? kvScaleBytes(headDim) : 0;
}

}  // namespace quern::kernels::cpu
