// How attention reads keys and values: as vectors of 16 floats, either from a tile that has been widened to
// float32 once for many queries, or straight from the cache, when few queries read it.
//
// An operand has at(k, v): vector v of row k. For keys a row is one element of 64 keys (k: element, v: keys
// 16v … 16v+15), for values it is one key (k: key, v: elements 16v … 16v+15). from(v) is the same operand
// with its first v vectors left out. What at() gives is the same float32 for a tile and for the cache it came
// from, so it does not matter to a result which of them served it. kIsWide: at() is a load and no more.
// kRowsTogether: rows that lie in the same bytes; at(k, j, v) is vector v of row k + j, for k a multiple and
// j a constant below that.
//
// fetchAhead(k) asks for what row k of the next tile will read. A tile ahead is about a microsecond, several
// times what memory takes to answer; the processor's own prefetchers begin anew at every page, and a block is
// not longer than one.
#pragma once

#include <cstdint>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/kv_layout.h"

namespace quern::kernels::cpu {

/// Keys of a tile: two blocks of the cache.
constexpr std::int64_t kTileKeys = kAttentionTile;
static_assert(kTileKeys == 2 * kKvBlock && kAttentionChunk % kTileKeys == 0);

/// Sixteen elements of a cache without scales.
template <class Simd, KvType kType>
typename Simd::Floats loadElements(const std::byte* p) {
  static_assert(!kvHasScales(kType));
  if constexpr (kType == KvType::kF32) {
    return Simd::load(reinterpret_cast<const float*>(p));
  } else {
    return Simd::loadHalf(p);
  }
}

/// Into the second-level cache.
template <class Simd>
void fetchLine(const std::byte* p) {
  __builtin_prefetch(p, 0, 2);
}

/// A float32 tile [rows, stride].
template <class Simd>
struct FloatTile {
  static constexpr bool kIsWide = true;
  static constexpr std::int64_t kRowsTogether = 1;
  const float* data;
  std::int64_t stride;

  FloatTile from(std::int64_t v) const { return {data + 16 * v, stride}; }
  typename Simd::Floats at(std::int64_t k, std::int64_t, std::int64_t v) const {
    return Simd::load(data + k * stride + 16 * v);
  }
  template <int kVectors>
  void fetchAhead(std::int64_t) const {}
};

/// Two blocks of keys in the cache. from() takes even numbers, unless only vector 0 is read afterwards.
template <class Simd, KvType kType>
struct CachedKeys {
  static constexpr bool kIsWide = false;
  static constexpr std::int64_t kBytes = static_cast<std::int64_t>(kvUnitBytes(kType));
  static constexpr std::int64_t kRowsTogether = kvElementsAUnit(kType);
  const std::byte* block[2];  ///< elements, past the header
  const std::byte* next[2];   ///< the same of the next tile
  const float* scales;        ///< Q8_0, Q4_0: [headDim/32][kTileKeys]

  CachedKeys from(std::int64_t v) const {
    const std::int64_t offset = v % 2 * 16 * kBytes;
    const std::byte* first = block[v / 2] + offset;
    const std::byte* nextFirst = next[v / 2] + offset;
    return {{first, v < 2 ? block[1] : first}, {nextFirst, v < 2 ? next[1] : nextFirst}, scales + 16 * v};
  }
  typename Simd::Floats at(std::int64_t k, std::int64_t j, std::int64_t v) const {
    const std::byte* p = block[v / 2] + (k / kRowsTogether * kKvBlock + v % 2 * 16) * kBytes;
    if constexpr (kType == KvType::kQ4_0) {
      return Simd::mul(Simd::loadNibbles(p, j != 0), scaleOf(k, v));
    } else if constexpr (kType == KvType::kQ8_0) {
      return Simd::mul(Simd::loadInt8(p), scaleOf(k, v));
    } else {
      return loadElements<Simd, kType>(p);
    }
  }
  template <int kVectors>
  void fetchAhead(std::int64_t k) const {
    for (int v = 0; v < kVectors; v += 2)
      fetchLine<Simd>(next[v / 2] + k / kRowsTogether * kKvBlock * kBytes);
  }
  typename Simd::Floats scaleOf(std::int64_t k, std::int64_t v) const {
    return Simd::load(scales + k / kKvScaleBlock * kTileKeys + 16 * v);
  }
};

/// Two blocks of values in the cache; headDim % 16 == 0. from() takes even numbers when the type has scales,
/// unless only vector 0 is read afterwards.
template <class Simd, KvType kType>
struct CachedValues {
  static constexpr bool kIsWide = false;
  static constexpr std::int64_t kRowsTogether = 1;
  static constexpr std::int64_t kBytes = static_cast<std::int64_t>(kvUnitBytes(kType));
  const std::byte* block[2];  ///< elements, past the header
  const std::byte* next[2];   ///< the same of the next tile
  std::int64_t rowBytes;
  const float* scales;  ///< Q8_0, Q4_0: [headDim/32][kTileKeys]
  /// Q4_0: vector 0 is in the high halves of its bytes. Known when compiling where vectors go by twos.
  bool isHigh = false;

  CachedValues from(std::int64_t v) const {
    const std::int64_t offset = offsetOf(v);
    return {{block[0] + offset, block[1] + offset},
            {next[0] + offset, next[1] + offset},
            rowBytes,
            scales + v / 2 * kTileKeys,
            Simd::kAttentionVectors == 1 && v % 2 == 1};
  }
  typename Simd::Floats at(std::int64_t k, std::int64_t, std::int64_t v) const {
    const std::byte* p = row(block, k) + offsetOf(v);
    if constexpr (kType == KvType::kQ4_0) {
      const bool high = Simd::kAttentionVectors == 1 ? isHigh != (v % 2 == 1) : v % 2 == 1;
      return Simd::loadNibblesTimes(p, high, scales[v / 2 * kTileKeys + k]);
    } else if constexpr (kType == KvType::kQ8_0) {
      return Simd::mul(Simd::loadInt8(p), Simd::set(scales[v / 2 * kTileKeys + k]));
    } else {
      return loadElements<Simd, kType>(p);
    }
  }
  template <int kVectors>
  void fetchAhead(std::int64_t k) const {
    constexpr std::int64_t kEnd = 16 * kVectors * kBytes / kvElementsAUnit(kType);
    for (std::int64_t byte = 0; byte < kEnd; byte += 64) fetchLine<Simd>(row(next, k) + byte);
  }
  static constexpr std::int64_t offsetOf(std::int64_t v) {
    return kType == KvType::kQ4_0 ? v / 2 * 16 : 16 * v * kBytes;
  }
  const std::byte* row(const std::byte* const* blocks, std::int64_t k) const {
    return blocks[k / kKvBlock] + k % kKvBlock * rowBytes;
  }
};

/// Cache blocks of a tile. When it has only one, that stands in both places and is not read in the second.
struct CacheTile {
  const std::byte* keys[2];
  const std::byte* values[2];
};

/// Scales of a Q8_0 or Q4_0 tile's headers as floats [headDim/32][kTileKeys].
template <class Simd>
void loadScales(const std::byte* const* blocks, std::int64_t headDim, float* scales) {
  for (std::int64_t g = 0; g < headDim / kKvScaleBlock; ++g) {
    for (std::int64_t v = 0; v < kTileKeys / 16; ++v) {
      const std::byte* from = blocks[v / 2] + (g * kKvBlock + v % 2 * 16) * 2;
      Simd::store(scales + g * kTileKeys + 16 * v, Simd::loadHalf(from));
    }
  }
}

template <class Simd, KvType kType>
CachedKeys<Simd, kType> cachedKeys(const CacheTile& tile, const CacheTile& next, std::int64_t headDim,
                                   float* scales) {
  if constexpr (kvHasScales(kType)) loadScales<Simd>(tile.keys, headDim, scales);
  const std::size_t header = kvHeaderBytes(kType, headDim);
  return {
      {tile.keys[0] + header, tile.keys[1] + header}, {next.keys[0] + header, next.keys[1] + header}, scales};
}

template <class Simd, KvType kType>
CachedValues<Simd, kType> cachedValues(const CacheTile& tile, const CacheTile& next, std::int64_t headDim,
                                       float* scales) {
  if constexpr (kvHasScales(kType)) loadScales<Simd>(tile.values, headDim, scales);
  const std::size_t header = kvHeaderBytes(kType, headDim);
  return {{tile.values[0] + header, tile.values[1] + header},
          {next.values[0] + header, next.values[1] + header},
          headDim / kvElementsAUnit(kType) * CachedValues<Simd, kType>::kBytes,
          scales};
}

/// The first 16 · `vectors` keys as float32 [headDim][kTileKeys].
template <class Simd, KvType kType>
void widenKeys(const CachedKeys<Simd, kType>& keys, std::int64_t headDim, std::int64_t vectors, float* tile) {
  constexpr std::int64_t kTogether = CachedKeys<Simd, kType>::kRowsTogether;
  for (std::int64_t k = 0; k < headDim; k += kTogether) {
    keys.template fetchAhead<kTileKeys / 16>(k);
    for (std::int64_t v = 0; v < vectors; ++v) {
      for (std::int64_t j = 0; j < kTogether; ++j)
        Simd::store(tile + (k + j) * kTileKeys + 16 * v, keys.at(k, j, v));
    }
  }
}

/// The first `count` values as float32 rows of `stride` floats, headDim padded with zeros to whole vectors.
template <class Simd, KvType kType>
void widenValues(const CachedValues<Simd, kType>& values, std::int64_t headDim, std::int64_t count,
                 float* tile, std::int64_t stride) {
  for (std::int64_t k = 0; k < count; ++k) {
    for (std::int64_t byte = 0; byte < values.rowBytes; byte += 64)
      fetchLine<Simd>(values.row(values.next, k) + byte);
    std::int64_t v = 0;
    for (; 16 * v + 16 <= headDim; ++v) Simd::store(tile + k * stride + 16 * v, values.at(k, 0, v));
    const std::int64_t rest = headDim - 16 * v;
    if (rest == 0) continue;
    // Not for types with scales, whose heads are multiples of 32.
    const std::byte* from = values.row(values.block, k);
    const auto last = kType == KvType::kF32
                          ? Simd::loadSome(reinterpret_cast<const float*>(from) + 16 * v, rest)
                          : Simd::loadHalfSome(from + 2 * 16 * v, rest);
    Simd::store(tile + k * stride + 16 * v, last);
  }
}

}  // namespace quern::kernels::cpu
