// The paged KV cache: blocks of kKvBlockTokens tokens; in a block, layer after layer; in a layer, head after
// head. So a short conversation lies close together and touches few (huge) pages. What lies in a head's part
// of a block is drawn in kernels/cpu/kv_layout.h.
#pragma once

#include <cstring>

#include "engine/model/program.h"
#include "engine/runtime/backend.h"
#include "engine/runtime/cpu/aligned_buffer.h"
#include "kernels/cpu/kernels.h"

namespace quern::engine::runtime {

static_assert(kKvBlockTokens == kernels::cpu::kKvBlock);

inline kernels::cpu::KvType kernelType(KvCacheType type) {
  switch (type) {
    case KvCacheType::kF32:
      return kernels::cpu::KvType::kF32;
    case KvCacheType::kF16:
      return kernels::cpu::KvType::kF16;
    case KvCacheType::kQ8_0:
      return kernels::cpu::KvType::kQ8_0;
    case KvCacheType::kQ4_0:
      return kernels::cpu::KvType::kQ4_0;
  }
  return kernels::cpu::KvType::kF16;
}

class KvCache {
 public:
  static std::uint64_t bytesFor(const model::Program& program, KvCacheType type, std::int32_t blocks) {
    return halves(program) * static_cast<std::uint64_t>(blocks) * strideBytes(program, type);
  }

  static base::Result<KvCache> make(const model::Program& program, KvCacheType type, std::int32_t blocks) {
    KvCache cache;
    cache.type_ = kernelType(type);
    cache.heads_ = program.kvHeads;
    cache.blocks_ = blocks;
    cache.rowBytes_ = kernels::cpu::kvRowBytes(cache.type_, program.headDim);
    cache.headBytes_ = headBytes(program, type);
    cache.strideBytes_ = strideBytes(program, type);
    cache.halfBytes_ = cache.strideBytes_ - cache.headBytes_;
    const std::uint64_t half = static_cast<std::uint64_t>(blocks) * cache.strideBytes_;
    cache.hasValues_ = !program.valuesAreKeys();
    QUERN_ASSIGN(cache.keys_, AlignedBuffer::allocate(half));
    QUERN_ASSIGN(cache.values_, AlignedBuffer::allocate(cache.hasValues_ ? half : 0));
    return cache;
  }

  kernels::cpu::KvType type() const { return type_; }
  std::int32_t blocks() const { return blocks_; }
  std::uint64_t sizeBytes() const { return keys_.size() + values_.size(); }
  /// Bytes that a token takes for one head: its key and, where the cache has values, its value.
  std::size_t tokenBytes() const { return hasValues_ ? 2 * rowBytes_ : rowBytes_; }
  /// False where keys are values, too (model::LatentSizes).
  bool hasValues() const { return hasValues_; }

  /// A head's part of a block.
  std::byte* keys(std::int32_t layer, std::uint32_t block, std::int32_t head) {
    return keys_.data() + offset(layer, block, head);
  }
  /// Null where there are none.
  std::byte* values(std::int32_t layer, std::uint32_t block, std::int32_t head) {
    if (!hasValues_) return nullptr;
    return values_.data() + offset(layer, block, head);
  }

  void copyBlock(std::uint32_t from, std::uint32_t to) {
    std::memcpy(keys(0, to, 0), keys(0, from, 0), halfBytes_);
    if (hasValues_) std::memcpy(values(0, to, 0), values(0, from, 0), halfBytes_);
  }

  /// A block's contents: all of its keys, then all of its values.
  std::size_t blockBytes() const { return hasValues_ ? 2 * halfBytes_ : halfBytes_; }
  void readBlock(std::uint32_t block, std::byte* to) const {
    std::memcpy(to, keys_.data() + offset(0, block, 0), halfBytes_);
    if (hasValues_) std::memcpy(to + halfBytes_, values_.data() + offset(0, block, 0), halfBytes_);
  }
  void writeBlock(std::uint32_t block, const std::byte* from) {
    std::memcpy(keys(0, block, 0), from, halfBytes_);
    if (hasValues_) std::memcpy(values(0, block, 0), from + halfBytes_, halfBytes_);
  }

 private:
  static std::uint64_t halves(const model::Program& program) { return program.valuesAreKeys() ? 1 : 2; }
  static std::size_t headBytes(const model::Program& program, KvCacheType type) {
    return kKvBlockTokens * kernels::cpu::kvRowBytes(kernelType(type), program.headDim);
  }
  /// From one block to the next. One head's part more than the block holds: models like powers of two, and
  /// without it all blocks of a head would lie in the same few sets of a cache.
  static std::size_t strideBytes(const model::Program& program, KvCacheType type) {
    const auto parts = static_cast<std::size_t>(program.layers) * static_cast<std::size_t>(program.kvHeads);
    return (parts + 1) * headBytes(program, type);
  }
  std::size_t offset(std::int32_t layer, std::uint32_t block, std::int32_t head) const {
    const std::int64_t part = static_cast<std::int64_t>(layer) * heads_ + head;
    return block * strideBytes_ + static_cast<std::size_t>(part) * headBytes_;
  }

  kernels::cpu::KvType type_ = kernels::cpu::KvType::kF16;
  std::int32_t heads_ = 0;
  std::int32_t blocks_ = 0;
  std::size_t rowBytes_ = 0;
  std::size_t headBytes_ = 0;
  std::size_t strideBytes_ = 0;
  std::size_t halfBytes_ = 0;  ///< a block's keys, or its values
  bool hasValues_ = true;
  AlignedBuffer keys_;
  AlignedBuffer values_;
};

}  // namespace quern::engine::runtime
