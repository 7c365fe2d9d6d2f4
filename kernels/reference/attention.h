// Plain attention in double precision, and a plain reader of the KV cache: what the tiled kernels are tested
// against.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/cpu/kernels.h"

namespace quern::kernels::reference {

/// One query over keys and values [positions, headDim]; positions before `first` are not seen. `sink`: a
/// score that takes part in the softmax and has no value, or null. Returns [headDim].
std::vector<double> attention(const std::vector<float>& query, const std::vector<std::vector<float>>& keys,
                              const std::vector<std::vector<float>>& values, std::int64_t first, double scale,
                              double softcap, const float* sink = nullptr);

/// A head [headDim] of token `token`, normed and rotated.
std::vector<float> turned(const std::vector<float>& head, const cpu::HeadTurn& turn, std::int64_t token);

/// H / √n · x for every part of n elements, straight from H[i][j] = (−1)^(ones in i & j).
std::vector<float> hadamard(const std::vector<float>& x, std::int64_t n);

/// What a cache block (kernels/cpu/kv_layout.h) holds for the token in `slot`: [headDim]. The elements as
/// they lie there, and what they are worth: the same, or turned back.
std::vector<float> storedKey(cpu::KvType type, const std::byte* block, std::int64_t slot,
                             std::int64_t headDim);
std::vector<float> storedValue(cpu::KvType type, const std::byte* block, std::int64_t slot,
                               std::int64_t headDim);
std::vector<float> cachedKey(cpu::KvType type, const std::byte* block, std::int64_t slot,
                             std::int64_t headDim);
std::vector<float> cachedValue(cpu::KvType type, const std::byte* block, std::int64_t slot,
                               std::int64_t headDim);

}  // namespace quern::kernels::reference
