// One full block of the KV cache as bytes in a file: for prefixes that are spilled to disk and for the saved
// state of a chat. Who reads one trusts nothing: a record serves only when every part of it is what it must
// be.
//
// All numbers little-endian; T tokens are a block's (kKvBlockTokens), P bytes its contents. Both are known
// beforehand, so every record of a cache has the same size, and no length in a file is believed.
//
//   0    magic "QUERNKVB"
//   8    version u32, cache type u32
//   16   model: two u64 (model_hash.h)
//   32   key of the block before: two u64; 48 this block's key: two u64
//   64   promptTokens u32, T u32, P u64
//   80   tokens, T × i32
//   208  contents, P bytes (Executable::readBlock)
//   …    checksum: XXH3 (128 bits, seed 0) of everything before, two u64
//
// XXH3 tells torn and rotten files at the speed of memory; it is no seal against somebody who writes files on
// purpose. Such a one has the person's own rights already, since the folders are private.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/result.h"
#include "engine/runtime/backend.h"
#include "engine/scheduler/block_key.h"

namespace quern::engine::scheduler {

/// What a model's cache hangs on; see hashModel().
struct ModelHash {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  bool operator==(const ModelHash&) const = default;
};

/// What all records of one executable have in common.
struct CacheIdentity {
  ModelHash model;
  runtime::KvCacheType kvType = runtime::KvCacheType::kF16;
  std::size_t blockBytes = 0;  ///< Executable::blockBytes()
};

/// What a block is, without its contents.
struct BlockHead {
  BlockKey parent;
  BlockKey key;  ///< parent.next(tokens, promptTokens)
  std::int32_t promptTokens = runtime::kKvBlockTokens;
  std::array<std::int32_t, runtime::kKvBlockTokens> tokens{};
  bool operator==(const BlockHead&) const = default;

  /// Of the block of these kKvBlockTokens tokens that follows the one of `parent`.
  static BlockHead of(const BlockKey& parent, std::span<const std::int32_t> tokens,
                      std::int32_t promptTokens = runtime::kKvBlockTokens);
};

inline constexpr std::uint32_t kBlockRecordVersion = 1;
inline constexpr std::size_t kRecordHeadBytes = 80 + 4 * runtime::kKvBlockTokens;
inline constexpr std::size_t kRecordChecksumBytes = 16;

inline std::size_t recordBytes(const CacheIdentity& identity) {
  return kRecordHeadBytes + identity.blockBytes + kRecordChecksumBytes;
}

/// The bytes before the contents.
std::array<std::byte, kRecordHeadBytes> encodeHead(const CacheIdentity& identity, const BlockHead& head);
/// The checksum of a head and contents, as it stands in the file.
std::array<std::byte, kRecordChecksumBytes> recordChecksum(std::span<const std::byte> head,
                                                           std::span<const std::byte> contents);

/// Reads a head. Errors: kMalformed (magic, lengths, a key that its tokens do not give), kUnsupported
/// (another version, model or type of cache), each with a sentence.
base::Result<BlockHead> decodeHead(const CacheIdentity& identity, std::span<const std::byte> bytes);
/// Checks contents against the checksum that was read with them. Errors: kMalformed.
base::Result<void> checkContents(std::span<const std::byte> head, std::span<const std::byte> contents,
                                 std::span<const std::byte> checksum);
/// Both for a whole record, of recordBytes() bytes: its contents follow the head.
base::Result<BlockHead> decodeRecord(const CacheIdentity& identity, std::span<const std::byte> record);

}  // namespace quern::engine::scheduler
