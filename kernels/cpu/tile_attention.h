// Online-softmax attention over a paged cache, written once over Simd.
//
// Blocks of the cache are taken in the order of their positions. For each block, keys and values are widened
// to float32 once in scratch and serve every (query token, head) of the task:
//
//   s_j = scale · q·k_j (capped, masked)     m' = max(m, max s_j)     p_j = e^{s_j − m'}
//   l = l · e^{m − m'} + Σ p_j               o = o · e^{m − m'} + Σ p_j v_j           result: o / l
//
// Source: Milakov & Gimelshein 2018 (online softmax); Dao et al. 2022 (tiling). A query skips the blocks in
// which it sees nothing, so its result depends on its own position only, never on what else is in the task.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/vector_math.h"
#include "kernels/formats/blocks.h"

namespace quern::kernels::cpu {

/// Widens one cache row to float32.
template <class Simd>
void loadKvRow(KvType type, const std::byte* source, float* target, std::int64_t headDim) {
  switch (type) {
    case KvType::kF32:
      std::memcpy(target, source, static_cast<std::size_t>(headDim) * 4);
      return;
    case KvType::kF16: {
      forLanes(headDim, [&](std::int64_t i, std::int64_t count) {
        Simd::storeSome(target + i, Simd::loadHalfSome(source + 2 * i, count), count);
      });
      return;
    }
    case KvType::kQ8_0: {
      for (std::int64_t b = 0; b < headDim / 32; ++b, source += sizeof(BlockQ8_0)) {
        const float scale = Simd::halfToFloat(source);
        for (int half = 0; half < 2; ++half) {
          Simd::store(target + 32 * b + 16 * half,
                      Simd::mul(Simd::set(scale), Simd::loadInt8(source + sizeof(Half) + 16 * half)));
        }
      }
      return;
    }
  }
}

template <class Simd>
void storeKv(KvType type, const float* source, std::byte* target, std::int64_t headDim) {
  switch (type) {
    case KvType::kF32:
      std::memcpy(target, source, static_cast<std::size_t>(headDim) * 4);
      return;
    case KvType::kF16: {
      forLanes(headDim, [&](std::int64_t i, std::int64_t count) {
        Simd::storeHalfSome(target + 2 * i, Simd::loadSome(source + i, count), count);
      });
      return;
    }
    case KvType::kQ8_0: {
      for (std::int64_t b = 0; b < headDim / 32; ++b, target += sizeof(BlockQ8_0)) {
        const auto low = Simd::load(source + 32 * b);
        const auto high = Simd::load(source + 32 * b + 16);
        const float largest = Simd::reduceMax(Simd::max(Simd::abs(low), Simd::abs(high)));
        // Rounded to half first, so that the stored values fit the scale they will be multiplied with.
        const float scale = Simd::storeHalf(target, largest / 127.0F);
        const float inverse = scale > 0.0F ? 1.0F / scale : 0.0F;
        auto* values = reinterpret_cast<std::int8_t*>(target + sizeof(Half));
        Simd::storeInt8(Simd::mul(low, Simd::set(inverse)), values);
        Simd::storeInt8(Simd::mul(high, Simd::set(inverse)), values + 16);
      }
      return;
    }
  }
}

/// Scratch: keys and values of one block as float32, and per (token, head): output, maximum, sum.
constexpr std::int64_t kMaxAttentionBlock = 64;

template <class Simd>
std::size_t attentionScratchFloats(std::int64_t queryTokens, std::int64_t groupHeads, std::int64_t headDim) {
  return static_cast<std::size_t>(2 * kMaxAttentionBlock * headDim + queryTokens * groupHeads * 2 +
                                  kMaxAttentionBlock);
}

template <class Simd>
float dotFloats(const float* a, const float* b, std::int64_t n) {
  auto total = Simd::zero();
  forLanes(n, [&](std::int64_t i, std::int64_t count) {
    total = Simd::fma(Simd::loadSome(a + i, count), Simd::loadSome(b + i, count), total);
  });
  return Simd::reduceAdd(total);
}

/// One query over one block: updates maximum, sum and output. `scores` holds the block's scores on entry for
/// [first, end) and is overwritten.
template <class Simd>
void softmaxBlock(float* scores, std::int64_t first, std::int64_t end, const float* values,
                  std::int64_t headDim, float& maximum, float& sum, float* output) {
  const std::int64_t n = end - first;
  auto largest = Simd::set(-std::numeric_limits<float>::infinity());
  forLanes(n, [&](std::int64_t i, std::int64_t count) {
    largest = Simd::max(largest,
                        Simd::loadSomeOr(scores + first + i, count, -std::numeric_limits<float>::infinity()));
  });
  const float newMaximum = std::fmax(maximum, Simd::reduceMax(largest));
  auto total = Simd::zero();
  forLanes(n, [&](std::int64_t i, std::int64_t count) {
    const auto s = Simd::loadSomeOr(scores + first + i, count, -std::numeric_limits<float>::infinity());
    const auto p = expVector<Simd>(Simd::sub(s, Simd::set(newMaximum)));
    Simd::storeSome(scores + first + i, p, count);
    total = Simd::add(total, p);
  });
  const float decay = Simd::expScalar(maximum - newMaximum);
  sum = sum * decay + Simd::reduceAdd(total);
  maximum = newMaximum;
  forLanes(headDim, [&](std::int64_t i, std::int64_t count) {
    auto o = Simd::mul(Simd::loadSome(output + i, count), Simd::set(decay));
    for (std::int64_t j = first; j < end; ++j) {
      o = Simd::fma(Simd::set(scores[j]), Simd::loadSome(values + j * headDim + i, count), o);
    }
    Simd::storeSome(output + i, o, count);
  });
}

template <class Simd>
void attend(const AttentionTask& task) {
  const std::int64_t headDim = task.headDim;
  const std::int64_t queries = task.queryTokens * task.groupHeads;
  float* keys = task.scratch;
  float* values = keys + kMaxAttentionBlock * headDim;
  float* maxima = values + kMaxAttentionBlock * headDim;
  float* sums = maxima + queries;
  float* scores = sums + queries;
  for (std::int64_t i = 0; i < queries; ++i) {
    maxima[i] = -std::numeric_limits<float>::infinity();
    sums[i] = 0.0F;
  }
  for (std::int64_t t = 0; t < task.queryTokens; ++t) {
    for (std::int64_t h = 0; h < task.groupHeads; ++h) {
      std::memset(task.output + t * task.outputTokenStride + h * task.outputHeadStride, 0,
                  static_cast<std::size_t>(headDim) * sizeof(float));
    }
  }
  const auto firstSeen = [&](std::int64_t position) {
    return task.window > 0 && position >= task.window ? position - task.window + 1 : 0;
  };
  const std::size_t rowBytes = kvRowBytes(task.type, headDim);
  const std::int64_t lastPosition = task.firstPosition + task.queryTokens - 1;
  for (std::int64_t b = firstSeen(task.firstPosition) / task.blockTokens;
       b <= lastPosition / task.blockTokens; ++b) {
    const std::int64_t begin = b * task.blockTokens;
    const std::int64_t filled =
        lastPosition + 1 - begin < task.blockTokens ? lastPosition + 1 - begin : task.blockTokens;
    for (std::int64_t j = 0; j < filled; ++j) {
      const std::size_t offset = static_cast<std::size_t>(j) * rowBytes;
      loadKvRow<Simd>(task.type, task.keyBlocks[b] + offset, keys + j * headDim, headDim);
      loadKvRow<Simd>(task.type, task.valueBlocks[b] + offset, values + j * headDim, headDim);
    }
    for (std::int64_t t = 0; t < task.queryTokens; ++t) {
      const std::int64_t position = task.firstPosition + t;
      const std::int64_t seen = firstSeen(position);
      const std::int64_t first = seen > begin ? seen - begin : 0;
      const std::int64_t end = position + 1 - begin < filled ? position + 1 - begin : filled;
      if (first >= end) continue;
      for (std::int64_t h = 0; h < task.groupHeads; ++h) {
        const float* query = task.query + t * task.queryTokenStride + h * task.queryHeadStride;
        for (std::int64_t j = first; j < end; ++j) {
          scores[j] = dotFloats<Simd>(query, keys + j * headDim, headDim) * task.scale;
        }
        if (task.softcap > 0.0F) softcap<Simd>(scores + first, task.softcap, end - first);
        const std::int64_t i = t * task.groupHeads + h;
        softmaxBlock<Simd>(scores, first, end, values, headDim, maxima[i], sums[i],
                           task.output + t * task.outputTokenStride + h * task.outputHeadStride);
      }
    }
  }
  for (std::int64_t t = 0; t < task.queryTokens; ++t) {
    for (std::int64_t h = 0; h < task.groupHeads; ++h) {
      float* output = task.output + t * task.outputTokenStride + h * task.outputHeadStride;
      const auto inverse = Simd::set(1.0F / sums[t * task.groupHeads + h]);
      forLanes(headDim, [&](std::int64_t i, std::int64_t count) {
        Simd::storeSome(output + i, Simd::mul(Simd::loadSome(output + i, count), inverse), count);
      });
    }
  }
}

}  // namespace quern::kernels::cpu
