// Who holds which block of the KV cache. Full blocks are known by the tokens that led to them, so that a
// later request with the same beginning takes them over instead of computing them; unused ones are given up
// oldest first.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

namespace quern::engine::scheduler {

/// Engine thread only.
class BlockPool {
 public:
  using Block = std::uint32_t;

  BlockPool(std::int32_t blocks, std::int32_t blockTokens);

  /// A block of one's own; nullopt when all are held by running requests.
  std::optional<Block> take();
  /// Gives a hold back. A block that is known by its tokens stays usable until it is needed for something
  /// else.
  void release(Block block);

  /// The blocks of the longest known prefix of `tokens`, whole blocks only, each held once more.
  std::vector<Block> reuse(std::span<const std::int32_t> tokens);
  /// Makes a full block known: `tokens` is everything from the sequence's start to this block's end.
  void publish(Block block, std::span<const std::int32_t> tokens);

  std::int32_t used() const { return used_; }  ///< held by somebody
  std::int32_t size() const { return static_cast<std::int32_t>(blocks_.size()); }

 private:
  struct State {
    std::int32_t holders = 0;
    bool known = false;
    std::uint64_t chain = 0;           ///< hash of all tokens up to this block's end
    std::vector<std::int32_t> tokens;  ///< its own, compared on reuse: a hash alone proves nothing
    std::list<Block>::iterator place;  ///< in idle_, while nobody holds it
  };
  static std::uint64_t extend(std::uint64_t chain, std::span<const std::int32_t> tokens);
  void forget(State& state);

  std::int32_t blockTokens_;
  std::int32_t used_ = 0;
  std::vector<State> blocks_;
  std::list<Block> idle_;  ///< longest unused first
  std::unordered_map<std::uint64_t, Block> known_;
};

}  // namespace quern::engine::scheduler
