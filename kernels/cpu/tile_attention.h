// Attention over the paged cache, written once over Simd.
//
// The query heads of a group times the tokens of a share are the rows of one matrix, token after token.
// Chunks of kAttentionChunk positions are taken in their order, in a chunk tiles of 64 keys, in a tile strips
// of 24 rows (in prefill; a share of decoding has a few rows, which are one strip):
//
//   scores = queries · keys      mask, softcap      online softmax
//   output = output · decay + p · values
//
// Queries are copied, turned (norm, rotation) and multiplied with scale · log2(e) beforehand. Many rows read
// tiles of keys and values that have been widened to float32 once; few rows read the cache itself. Strips
// skip tiles in which they see nothing, and only strips on the edge of what they see are masked. A chunk's
// output, maximum and sum are then added to the row's total, or left as partials when a sequence is shared
// out along its length.
//
// Bytes: a tile of keys and one of values are read once a share, from the cache's 2 · 64 · kvRowBytes. In
// prefill that is nothing beside 2 · 64 · headDim multiply-adds a row; decoding is bound by it.
//
// Reached on one core of an Emerald Rapids at 2.75 GHz (AVX-512: 87 G, AVX2: 43.5 G float32 multiply-adds/s
// in a bare loop), float16 cache, masked parts of tiles not counted as work, attend() called in a loop,
// shares of some 192 rows: a prompt of 512 tokens, headDim 64, three heads a key: 69 to 74 % (AVX-512), 87 %
// (AVX2); headDim 128 and 256: 80 %, 90 %. The products themselves run at 95 %; of the time, 10 % go into
// exponentials, the rest into what happens once a chunk or a tile. Decoding one token at 4,096 positions,
// three heads a key: 28 GB/s of a cache that lies in the second-level cache, 15 GB/s of 94 MB that do not.
//
// Every row's sums run in one order: elements for scores; keys of a tile, tiles of a chunk, chunks. It
// depends on the row's position only, never on its share.
//
// Source: Dao et al. 2022 (tiling), Dao et al. 2023 "Flash-Decoding" (chunks).
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/cpu/attention_operands.h"
#include "kernels/cpu/attention_product.h"
#include "kernels/cpu/attention_softmax.h"
#include "kernels/cpu/hadamard.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/rope.h"
#include "kernels/cpu/vector_math.h"

namespace quern::kernels::cpu {

/// Rows of a strip: a tile of keys (16 KiB at headDim 64) is read from the second-level cache once a strip,
/// and the strip's queries, scores and output (3 · 6 KiB) stay in the first.
constexpr std::int64_t kStripRows = 24;
/// Up to this many rows read the cache itself: two blocks of rows, so elements are widened at most twice,
/// which costs less than a float32 tile that does not fit the first-level cache.
constexpr std::int64_t kDirectRows = 2 * kRowBlock;

constexpr std::int64_t toVectors(std::int64_t n) { return (n + 15) / 16 * 16; }

/// Where everything lies in AttentionTask::scratch. (A template, like all that is more than arithmetic here:
/// its code must not be shared between instruction sets.)
template <class Simd>
struct AttentionScratch {
  std::int64_t padded = 0;  ///< headDim in whole vectors, the stride of queries and outputs
  float* queries;           ///< [rows, padded]
  float* outputs;           ///< [rows, padded], of the chunk at hand
  float* laneSums;          ///< [rows, 16], of the chunk at hand
  RowTotals chunk;          ///< of the chunk at hand
  float* totalOutputs;      ///< [rows, padded], of the chunks before
  RowTotals total;          ///< of the chunks before
  float* before;            ///< [rows]
  float* after;             ///< [rows]
  float* keys;              ///< [headDim, kTileKeys]
  float* values;            ///< [kTileKeys, padded]
  float* scores;            ///< [kStripRows, kTileKeys]
  float* decays;            ///< [kStripRows]
  float* keyScales;         ///< [headDim/32, kTileKeys]
  float* valueScales;       ///< [headDim/32, kTileKeys]
  std::size_t floats = 0;

  /// With null for memory only `floats` is found.
  AttentionScratch(float* memory, std::int64_t rows, std::int64_t headDim) : padded(toVectors(headDim)) {
    const auto take = [&](std::int64_t count) {
      float* taken = memory == nullptr ? nullptr : memory + floats;
      floats += static_cast<std::size_t>(toVectors(count));
      return taken;
    };
    const std::int64_t scales = headDim / kKvScaleBlock * kTileKeys;
    queries = take(rows * padded);
    outputs = take(rows * padded);
    laneSums = take(rows * 16);
    chunk = {take(rows), take(rows)};
    totalOutputs = take(rows * padded);
    total = {take(rows), take(rows)};
    before = take(rows);
    after = take(rows);
    keys = take(headDim * kTileKeys);
    values = take(kTileKeys * padded);
    scores = take(kStripRows * kTileKeys);
    decays = take(kStripRows);
    keyScales = take(scales);
    valueScales = take(scales);
  }
};

template <class Simd>
std::size_t attentionScratchFloats(std::int64_t queryTokens, std::int64_t groupHeads, std::int64_t headDim) {
  return AttentionScratch<Simd>(nullptr, queryTokens * groupHeads, headDim).floats;
}

/// A partial is [maximum, sum, …, then from float 16 on the output, padded to whole vectors].
template <class Simd>
std::size_t attentionPartialFloats(std::int64_t headDim) {
  return static_cast<std::size_t>(16 + toVectors(headDim));
}

/// A share of attention at work.
template <class Simd>
class Attention {
 public:
  explicit Attention(const AttentionTask& task)
      : task_(task),
        rows_(task.queryTokens * task.groupHeads),
        space_(task.scratch, rows_, task.headDim),
        last_(task.firstPosition + task.queryTokens - 1) {}

  template <KvType kType>
  void run() {
    prepareQueries();
    const std::int64_t begin = task_.partials == nullptr ? firstChunk() : max(firstChunk(), task_.firstChunk);
    const std::int64_t end = task_.partials == nullptr ? endChunk() : min(endChunk(), task_.endChunk);
    const std::int64_t endPosition = min(end * kAttentionChunk, last_ + 1);
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      beginChunk();
      const std::int64_t chunkBegin = max(chunk * kAttentionChunk, seenFrom(0) / kTileKeys * kTileKeys);
      const std::int64_t chunkEnd = min((chunk + 1) * kAttentionChunk, last_ + 1);
      for (std::int64_t at = chunkBegin; at < chunkEnd; at += kTileKeys) {
        attendTile<kType>(at, min(kTileKeys, chunkEnd - at), endPosition);
      }
      finishChunk(chunk);
    }
    if (task_.partials == nullptr) writeOutput();
  }

  /// The partials in place of chunks that are computed now.
  void merge() {
    beginTotals();
    for (std::int64_t chunk = firstChunk(); chunk < endChunk(); ++chunk) {
      for (std::int64_t r = 0; r < rows_; ++r) {
        space_.chunk.maxima[r] = partial(chunk, r)[0];
        space_.chunk.sums[r] = partial(chunk, r)[1];
      }
      addChunk<Simd>(space_.total, space_.chunk, rows_, space_.before, space_.after);
      for (std::int64_t r = 0; r < rows_; ++r) addRow(r, partial(chunk, r) + 16);
    }
    writeOutput();
  }

 private:
  static std::int64_t min(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
  static std::int64_t max(std::int64_t a, std::int64_t b) { return a > b ? a : b; }

  /// The first position that token `token` of the share sees.
  std::int64_t seenFrom(std::int64_t token) const {
    const std::int64_t position = task_.firstPosition + token;
    return task_.window > 0 && position >= task_.window ? position - task_.window + 1 : 0;
  }
  std::int64_t firstChunk() const { return seenFrom(0) / kAttentionChunk; }
  std::int64_t endChunk() const { return last_ / kAttentionChunk + 1; }

  void prepareQueries() {
    const bool caps = task_.softcap > 0.0F;
    const auto factor =
        Simd::set(caps ? task_.scale / task_.softcap : task_.scale * static_cast<float>(kLog2E));
    for (std::int64_t r = 0; r < rows_; ++r) {
      const std::int64_t token = r / task_.groupHeads;
      float* query = space_.queries + r * space_.padded;
      std::memcpy(query,
                  task_.query + token * task_.queryTokenStride + r % task_.groupHeads * task_.queryHeadStride,
                  static_cast<std::size_t>(task_.headDim) * sizeof(float));
      turnHead<Simd>(task_.turn, token, task_.headDim, query);
      if (task_.type == KvType::kQ4_0) turnByHadamard<Simd>(query, task_.headDim, query);
      forLanes(task_.headDim, [&](std::int64_t i, std::int64_t count) {
        Simd::storeSome(query + i, Simd::mul(Simd::loadSome(query + i, count), factor), count);
      });
    }
  }

  float* partial(std::int64_t chunk, std::int64_t row) const {
    const std::size_t floats = attentionPartialFloats<Simd>(task_.headDim);
    return task_.partials + static_cast<std::size_t>(chunk * rows_ + row) * floats;
  }

  void beginChunk() {
    std::memset(space_.outputs, 0, static_cast<std::size_t>(rows_ * space_.padded) * sizeof(float));
    std::memset(space_.laneSums, 0, static_cast<std::size_t>(rows_ * 16) * sizeof(float));
    for (std::int64_t r = 0; r < rows_; ++r) space_.chunk.maxima[r] = kNothingSeen;
  }

  void beginTotals() {
    std::memset(space_.totalOutputs, 0, static_cast<std::size_t>(rows_ * space_.padded) * sizeof(float));
    for (std::int64_t r = 0; r < rows_; ++r) {
      space_.total.maxima[r] = kNothingSeen;
      space_.total.sums[r] = 0.0F;
    }
  }

  void finishChunk(std::int64_t chunk) {
    for (std::int64_t r = 0; r < rows_; ++r) {
      space_.chunk.sums[r] = Simd::reduceAdd(Simd::load(space_.laneSums + 16 * r));
    }
    if (task_.partials == nullptr) {
      if (chunk == firstChunk()) beginTotals();
      addChunk<Simd>(space_.total, space_.chunk, rows_, space_.before, space_.after);
      for (std::int64_t r = 0; r < rows_; ++r) addRow(r, space_.outputs + r * space_.padded);
      return;
    }
    for (std::int64_t r = 0; r < rows_; ++r) {
      float* left = partial(chunk, r);
      left[0] = space_.chunk.maxima[r];
      left[1] = space_.chunk.sums[r];
      std::memcpy(left + 16, space_.outputs + r * space_.padded,
                  static_cast<std::size_t>(space_.padded) * sizeof(float));
    }
  }

  void addRow(std::int64_t row, const float* output) {
    addOutput<Simd>(space_.totalOutputs + row * space_.padded, output, space_.before[row], space_.after[row],
                    space_.padded);
  }

  float sinkOf(std::int64_t row) const {
    return task_.sinks[row % task_.groupHeads] * static_cast<float>(kLog2E);
  }

  void writeOutput() {
    for (std::int64_t r = 0; r < rows_; ++r) {
      float* total = space_.totalOutputs + r * space_.padded;
      if (task_.type == KvType::kQ4_0) turnByHadamard<Simd>(total, task_.headDim, total);
      float* output = task_.output + r / task_.groupHeads * task_.outputTokenStride +
                      r % task_.groupHeads * task_.outputHeadStride;
      const float sum =
          task_.sinks == nullptr ? space_.total.sums[r] : sumWithSink<Simd>(space_.total, r, sinkOf(r));
      const auto inverse = Simd::set(1.0F / sum);
      forLanes(task_.headDim, [&](std::int64_t i, std::int64_t count) {
        Simd::storeSome(output + i, Simd::mul(Simd::loadSome(total + i, count), inverse), count);
      });
    }
  }

  /// Blocks of the tile at position `at`, up to the last one that is seen.
  CacheTile tileAt(std::int64_t at) const {
    const std::int64_t first = at / kKvBlock;
    const std::int64_t second = min(first + 1, last_ / kKvBlock);
    return {{task_.keyBlocks[first], task_.keyBlocks[second]},
            {task_.valueBlocks[first], task_.valueBlocks[second]}};
  }

  /// Keys [at, at + filled) of the `end` that this share attends to.
  template <KvType kType>
  void attendTile(std::int64_t at, std::int64_t filled, std::int64_t end) {
    const CacheTile tile = tileAt(at);
    const CacheTile next = at + kTileKeys < end ? tileAt(at + kTileKeys) : tile;
    const auto keys = cachedKeys<Simd, kType>(tile, next, task_.headDim, space_.keyScales);
    const auto values = cachedValues<Simd, kType>(tile, next, task_.headDim, space_.valueScales);
    if (rows_ <= kDirectRows && task_.headDim % 16 == 0) return attendStrip(at, 0, rows_, keys, values);
    widenKeys<Simd, kType>(keys, task_.headDim, (filled + 15) / 16, space_.keys);
    widenValues<Simd, kType>(values, task_.headDim, filled, space_.values, space_.padded);
    const FloatTile<Simd> wideKeys{space_.keys, kTileKeys};
    const FloatTile<Simd> wideValues{space_.values, space_.padded};
    for (std::int64_t row = 0; row < rows_; row += kStripRows) {
      attendStrip(at, row, min(kStripRows, rows_ - row), wideKeys, wideValues);
    }
  }

  template <class Keys, class Values>
  void attendStrip(std::int64_t at, std::int64_t firstRow, std::int64_t rows, const Keys& keys,
                   const Values& values) {
    const std::int64_t firstToken = firstRow / task_.groupHeads;
    const std::int64_t lastToken = (firstRow + rows - 1) / task_.groupHeads;
    const std::int64_t end = min(kTileKeys, task_.firstPosition + lastToken + 1 - at);
    if (end <= 0 || seenFrom(firstToken) >= at + kTileKeys) return;
    const std::int64_t vectors = (end + 15) / 16;
    float* output = space_.outputs + firstRow * space_.padded;
    multiply<Simd>(space_.queries + firstRow * space_.padded, space_.padded, rows, keys, task_.headDim,
                   space_.scores, kTileKeys, vectors, nullptr);
    if (task_.softcap > 0.0F) capScores(rows, vectors);
    const bool onEdge = task_.firstPosition + firstToken + 1 - at < 16 * vectors || seenFrom(lastToken) > at;
    for (std::int64_t r = 0; r < rows && onEdge; ++r) {
      const std::int64_t token = (firstRow + r) / task_.groupHeads;
      maskScores<Simd>(space_.scores + r * kTileKeys,
                       {seenFrom(token) - at, task_.firstPosition + token + 1 - at}, vectors);
    }
    softmaxTile<Simd>(space_.scores, rows, vectors, space_.chunk.maxima + firstRow,
                      space_.laneSums + 16 * firstRow, space_.decays);
    multiply<Simd>(space_.scores, kTileKeys, rows, values, end, output, space_.padded, space_.padded / 16,
                   space_.decays);
  }

  /// s = softcap · log2(e) · tanh(s), the scores having been divided by softcap already.
  void capScores(std::int64_t rows, std::int64_t vectors) {
    const auto factor = Simd::set(task_.softcap * static_cast<float>(kLog2E));
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t v = 0; v < vectors; ++v) {
        float* scores = space_.scores + r * kTileKeys + 16 * v;
        Simd::store(scores, Simd::mul(tanhVector<Simd>(Simd::load(scores)), factor));
      }
    }
  }

  static constexpr double kLog2E = 1.44269504088896340736;

  const AttentionTask& task_;
  const std::int64_t rows_;
  const AttentionScratch<Simd> space_;
  const std::int64_t last_;  ///< position of the last token
};

template <class Simd>
void attend(const AttentionTask& task) {
  Attention<Simd> attention(task);
  switch (task.type) {
    case KvType::kF32:
      return attention.template run<KvType::kF32>();
    case KvType::kF16:
      return attention.template run<KvType::kF16>();
    case KvType::kQ8_0:
      return attention.template run<KvType::kQ8_0>();
    case KvType::kQ4_0:
      return attention.template run<KvType::kQ4_0>();
  }
}

template <class Simd>
void mergeAttention(const AttentionTask& task) {
  Attention<Simd>(task).merge();
}

}  // namespace quern::kernels::cpu
