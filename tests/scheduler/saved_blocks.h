// Blocks to be saved: tokens and contents that follow from a number.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/scheduler/block_record.h"

namespace quern::engine::scheduler {

inline CacheIdentity smallIdentity() { return {{0x1234, 0x5678}, runtime::KvCacheType::kQ8_0, 300}; }

inline std::vector<std::byte> contentsOf(std::uint32_t number, std::size_t bytes = 300) {
  std::vector<std::byte> contents(bytes);
  std::uint32_t seed = number * 2654435761U + 1;
  for (std::byte& byte : contents) {
    seed = seed * 1664525U + 1013904223U;
    byte = static_cast<std::byte>(seed >> 24);
  }
  return contents;
}

inline BlockHead headAfter(const BlockKey& parent, std::uint32_t number) {
  std::vector<std::int32_t> tokens(runtime::kKvBlockTokens);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = static_cast<std::int32_t>(number * 1000 + i);
  }
  return BlockHead::of(parent, tokens);
}

/// Blocks first, first + 1, … of one sequence.
inline std::vector<BlockHead> chainOf(std::uint32_t first, std::size_t count) {
  std::vector<BlockHead> chain;
  BlockKey parent;
  for (std::size_t i = 0; i < count; ++i) {
    chain.push_back(headAfter(parent, first + static_cast<std::uint32_t>(i)));
    parent = chain.back().key;
  }
  return chain;
}

inline std::vector<std::byte> recordOf(const CacheIdentity& identity, const BlockHead& head,
                                       std::span<const std::byte> contents) {
  const auto encoded = encodeHead(identity, head);
  const auto checksum = recordChecksum(encoded, contents);
  std::vector<std::byte> record(recordBytes(identity));
  auto at = std::copy(encoded.begin(), encoded.end(), record.begin());
  at = std::copy(contents.begin(), contents.end(), at);
  std::copy(checksum.begin(), checksum.end(), at);
  return record;
}

}  // namespace quern::engine::scheduler
