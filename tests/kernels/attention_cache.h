// A cache of one head filled with random keys and values, and attention over it, plain and tiled.
#pragma once

#include <cmath>
#include <random>
#include <vector>

#include "kernels/cpu/kernels.h"
#include "kernels/reference/attention.h"

namespace quern::kernels::cpu {

inline std::vector<float> normalFloats(std::size_t n, float scale, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> number(0.0F, scale);
  std::vector<float> values(n);
  for (float& v : values) v = number(random);
  return values;
}

struct AttentionShape {
  KvType type = KvType::kF16;
  std::int64_t headDim = 64;
  std::int64_t tokens = 1;
  std::int64_t heads = 1;
  std::int64_t first = 0;  ///< position of the first query token
  std::int64_t window = 0;
  float softcap = 0;
  const float* sinks = nullptr;  ///< [heads]

  std::size_t queryFloats() const { return static_cast<std::size_t>(tokens * heads * headDim); }
};

/// Blocks lie apart from each other and are full of rubbish where nothing was stored, as in a used cache.
struct AttentionCache {
  AttentionCache(const Kernels& table, KvType kvType, std::int64_t positions, std::int64_t dim,
                 float scale = 1.0F)
      : type(kvType), headDim(dim) {
    const std::size_t blockBytes = kvRowBytes(type, headDim) * kKvBlock;
    const auto count = static_cast<std::size_t>((positions + kKvBlock - 1) / kKvBlock);
    keyStore.assign(count, std::vector<std::byte>(blockBytes, std::byte{0x11}));
    valueStore = keyStore;
    for (std::int64_t p = 0; p < positions; ++p) {
      std::vector<float> key =
          normalFloats(static_cast<std::size_t>(headDim), scale, static_cast<unsigned>(2 * p));
      const std::vector<float> value =
          normalFloats(static_cast<std::size_t>(headDim), scale, static_cast<unsigned>(2 * p + 1));
      store(table, p, key, value);
    }
    for (std::size_t b = 0; b < count; ++b) {
      keyBlocks.push_back(keyStore[b].data());
      valueBlocks.push_back(valueStore[b].data());
    }
  }

  void store(const Kernels& table, std::int64_t position, std::vector<float> key,
             const std::vector<float>& value, const HeadTurn& turn = {}) {
    const auto block = static_cast<std::size_t>(position / kKvBlock);
    table.storeKv({key.data(), value.data(), turn, type, keyStore[block].data(), valueStore[block].data(),
                   position % kKvBlock, headDim});
  }
  std::vector<float> key(std::int64_t position) const {
    return reference::cachedKey(type, keyStore[static_cast<std::size_t>(position / kKvBlock)].data(),
                                position % kKvBlock, headDim);
  }
  std::vector<float> value(std::int64_t position) const {
    return reference::cachedValue(type, valueStore[static_cast<std::size_t>(position / kKvBlock)].data(),
                                  position % kKvBlock, headDim);
  }

  KvType type;
  std::int64_t headDim;
  std::vector<std::vector<std::byte>> keyStore, valueStore;
  std::vector<const std::byte*> keyBlocks, valueBlocks;
};

inline AttentionTask taskOf(const AttentionCache& cache, const AttentionShape& shape, const float* query,
                            float* output, float* scratch, const HeadTurn& turn = {}) {
  AttentionTask task;
  task.query = query;
  task.queryTokenStride = shape.heads * shape.headDim;
  task.queryHeadStride = shape.headDim;
  task.turn = turn;
  task.output = output;
  task.outputTokenStride = shape.heads * shape.headDim;
  task.outputHeadStride = shape.headDim;
  task.queryTokens = shape.tokens;
  task.groupHeads = shape.heads;
  task.headDim = shape.headDim;
  task.firstPosition = shape.first;
  task.window = shape.window;
  task.keyBlocks = cache.keyBlocks.data();
  task.valueBlocks = cache.valueBlocks.data();
  task.type = shape.type;
  task.scale = 1.0F / std::sqrt(static_cast<float>(shape.headDim));
  task.softcap = shape.softcap;
  task.sinks = shape.sinks;
  task.scratch = scratch;
  return task;
}

/// Scratch full of NaN: nothing may be read before it is written.
inline std::vector<float> dirtyScratch(const Kernels& table, const AttentionShape& shape) {
  return std::vector<float>(table.attentionScratchFloats(shape.tokens, shape.heads, shape.headDim),
                            std::nanf(""));
}

inline std::vector<float> tiledAttention(const Kernels& table, const AttentionCache& cache,
                                         const AttentionShape& shape, const std::vector<float>& query,
                                         const HeadTurn& turn = {}) {
  std::vector<float> output(query.size());
  std::vector<float> scratch = dirtyScratch(table, shape);
  table.attend(taskOf(cache, shape, query.data(), output.data(), scratch.data(), turn));
  return output;
}

/// The same with every chunk attended to on its own, last chunk first.
inline std::vector<float> sharedOutAttention(const Kernels& table, const AttentionCache& cache,
                                             const AttentionShape& shape, const std::vector<float>& query) {
  std::vector<float> output(query.size());
  std::vector<float> scratch = dirtyScratch(table, shape);
  const std::int64_t chunks = (shape.first + shape.tokens - 1) / kAttentionChunk + 1;
  std::vector<float> partials(static_cast<std::size_t>(chunks * shape.tokens * shape.heads) *
                                  table.attentionPartialFloats(shape.headDim),
                              std::nanf(""));
  AttentionTask task = taskOf(cache, shape, query.data(), output.data(), scratch.data());
  task.partials = partials.data();
  for (std::int64_t chunk = chunks - 1; chunk >= 0; --chunk) {
    task.firstChunk = chunk;
    task.endChunk = chunk + 1;
    table.attend(task);
  }
  table.mergeAttention(task);
  return output;
}

/// The same by the plain formula, from what the cache holds.
inline std::vector<double> plainAttention(const AttentionCache& cache, const AttentionShape& shape,
                                          const std::vector<float>& query, const HeadTurn& turn = {}) {
  std::vector<std::vector<float>> keys;
  std::vector<std::vector<float>> values;
  std::vector<double> output;
  for (std::int64_t p = 0; p < shape.first + shape.tokens; ++p) {
    keys.push_back(cache.key(p));
    values.push_back(cache.value(p));
  }
  for (std::int64_t t = 0; t < shape.tokens; ++t) {
    const auto end = static_cast<std::ptrdiff_t>(shape.first + t + 1);
    const std::int64_t seen =
        shape.window > 0 ? std::max<std::int64_t>(0, shape.first + t - shape.window + 1) : 0;
    for (std::int64_t h = 0; h < shape.heads; ++h) {
      const auto offset = static_cast<std::ptrdiff_t>((t * shape.heads + h) * shape.headDim);
      const std::vector<float> one(query.begin() + offset, query.begin() + offset + shape.headDim);
      for (const double x :
           reference::attention(reference::turned(one, turn, t), {keys.begin(), keys.begin() + end},
                                {values.begin(), values.begin() + end}, seen,
                                1.0 / std::sqrt(static_cast<double>(shape.headDim)), shape.softcap,
                                shape.sinks == nullptr ? nullptr : shape.sinks + h)) {
        output.push_back(x);
      }
    }
  }
  return output;
}

}  // namespace quern::kernels::cpu
