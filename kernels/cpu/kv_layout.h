// What a block of the KV cache holds: kKvBlock = 32 tokens of one head.
//
//   keys     lanes are tokens, so that a query's element is broadcast to 32 keys and nothing is summed across
//            lanes, in decoding as in prefill:
//              F32, F16   [headDim][32 tokens]                     one element of 32 keys = 128 or 64 bytes
//              Q8_0       scales [headDim/32][32 tokens] as half, then [headDim][32 tokens] as int8
//   values   lanes are elements, a probability is broadcast:
//              F32, F16   [32 tokens][headDim]
//              Q8_0       scales [headDim/32][32 tokens] as half, then [32 tokens][headDim] as int8
//
// Q8_0 is the file format's arithmetic (32 elements of a token share a scale of max|x| / 127) in another
// order. All parts are whole cache lines when headDim is a multiple of 32.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/kernels.h"

namespace quern::kernels::cpu {

/// Elements of a token that share a scale in a Q8_0 cache.
constexpr std::int64_t kKvScaleBlock = 32;

/// Bytes of the scales at the beginning of a Q8_0 block.
constexpr std::size_t kvScaleBytes(std::int64_t headDim) {
  return static_cast<std::size_t>(headDim / kKvScaleBlock * kKvBlock) * 2;
}

constexpr std::size_t kvElementBytes(KvType type) {
  return type == KvType::kF32 ? 4 : type == KvType::kF16 ? 2 : 1;
}

/// Bytes before the elements.
constexpr std::size_t kvHeaderBytes(KvType type, std::int64_t headDim) {
  return type == KvType::kQ8_0 ? kvScaleBytes(headDim) : 0;
}

}  // namespace quern::kernels::cpu
