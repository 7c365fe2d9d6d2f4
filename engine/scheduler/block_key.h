// The name of a block of the KV cache: a hash of everything that its contents depend on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace quern::engine::scheduler {

/// 128 bits. Not cryptographic: whoever finds a block by its key compares the tokens as well.
struct BlockKey {
  std::uint64_t high = 0x9E3779B97F4A7C15ULL;
  std::uint64_t low = 0xD1B54A32D192ED03ULL;

  bool operator==(const BlockKey&) const = default;

  /// The key of the block that follows the one of this key (the default one: of a sequence's first block).
  /// `tokens`: the block's own; `promptTokens`: how many of them, the first ones, were computed as tokens of
  /// a prompt. Two lanes, each with the finalizer of SplitMix64 (public domain, S. Vigna) after every token.
  BlockKey next(std::span<const std::int32_t> tokens, std::int32_t promptTokens) const {
    BlockKey key = *this;
    key.mix(static_cast<std::uint64_t>(promptTokens) | 1ULL << 32);
    for (const std::int32_t token : tokens) key.mix(static_cast<std::uint32_t>(token));
    return key;
  }
  /// The key of a beginning that hangs on something beside its tokens, which this 128-bit hash and the number
  /// name.
  BlockKey dependingOn(std::uint64_t hashHigh, std::uint64_t hashLow, std::uint64_t number) const {
    BlockKey key = *this;
    key.mix(2ULL << 32);
    for (const std::uint64_t part : {hashHigh, hashLow, number}) key.mix(part);
    return key;
  }

 private:
  static std::uint64_t finalized(std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31);
  }
  void mix(std::uint64_t value) {
    high = finalized(high + 0x9E3779B97F4A7C15ULL + value);
    low = finalized((low ^ value) * 0xDA942042E4DD58B5ULL + high);
  }
};

}  // namespace quern::engine::scheduler

template <>
struct std::hash<quern::engine::scheduler::BlockKey> {
  std::size_t operator()(const quern::engine::scheduler::BlockKey& key) const noexcept {
    return static_cast<std::size_t>(key.high ^ key.low);
  }
};
