// Who holds which block of the KV cache. Full blocks are known by the tokens that led to them, so that a
// later request with the same beginning takes them over instead of computing them; unused ones are given up
// longest unused first.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <optional>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "engine/scheduler/block_key.h"
#include "engine/scheduler/request.h"

namespace quern::engine::scheduler {

/// Engine thread only.
class BlockPool {
 public:
  using Block = std::uint32_t;

  BlockPool(std::int32_t blocks, std::int32_t blockTokens);

  /// A block of one's own; nullopt when all are held by running requests.
  std::optional<Block> take();
  /// One more hold on a block that somebody holds.
  void share(Block block);
  /// Gives a hold back. A block that is known by its tokens stays usable until it is needed for something
  /// else; one that holds tokens of an answer only if `keepsAnswers`, as no prompt can take it over.
  void release(Block block, bool keepsAnswers = false);
  bool isHeld(Block block) const { return blocks_[block].holders > 0; }

  /// Where a sequence stands in the tree of known beginnings.
  struct Place {
    BlockKey key;              ///< of the last full block; at the beginning: root
    std::uint64_t serial = 0;  ///< of that block, while it is known; 0: the beginning
    BlockKey root;             ///< where the sequence begins: those with another root share nothing with it

    static Place at(const BlockKey& root) { return {root, 0, root}; }
  };
  /// The known block that follows `at`, and moves `at` on. `tokens`: the block's own.
  std::optional<Block> find(Place& at, std::span<const std::int32_t> tokens, std::int32_t promptTokens) const;
  /// The same, and holds it once more.
  std::optional<Block> follow(Place& at, std::span<const std::int32_t> tokens, std::int32_t promptTokens);
  /// Why follow() found nothing for what comes after `at`; `tokens` may be shorter than a block here.
  /// `position`: of the first of them.
  ReuseReport explain(const Place& at, std::span<const std::int32_t> tokens, std::int32_t promptTokens,
                      std::int32_t position) const;
  /// Makes a full block known as what follows `at`, and moves `at` on. Where the same is known already, the
  /// hold on `block` is given back, and the known one, held, is returned in its place.
  Block publish(Block block, Place& at, std::span<const std::int32_t> tokens, std::int32_t promptTokens);

  /// Called with a known block of a prompt that is about to be given up, while its contents are still there.
  std::function<void(Block block, const BlockKey& parent, const BlockKey& key,
                     std::span<const std::int32_t> tokens)>
      onEvict;
  /// Calls visit(block, parent, key, tokens) for all known blocks of prompts, last used first.
  void eachKnown(const std::function<void(Block, const BlockKey&, const BlockKey&,
                                          std::span<const std::int32_t>)>& visit) const;

  std::int32_t used() const { return used_; }  ///< held by somebody
  std::int32_t size() const { return static_cast<std::int32_t>(blocks_.size()); }
  std::int32_t idle() const { return size() - used_; }  ///< what take() can give
  std::int32_t known() const { return static_cast<std::int32_t>(known_.size()); }

 private:
  struct State {
    std::int32_t holders = 0;
    std::uint64_t serial = 0;  ///< > 0: known, and never the same for two contents
    std::uint64_t parentSerial = 0;
    BlockKey parent, key;
    std::int32_t promptTokens = 0;
    std::vector<std::int32_t> tokens;
    std::list<Block>::iterator place;  ///< in idle_, while nobody holds it
  };
  void hold(State& state);
  bool isPrompt(const State& state) const { return state.promptTokens == blockTokens_; }
  void forget(Block block);

  std::int32_t blockTokens_;
  std::int32_t used_ = 0;
  std::uint64_t serials_ = 0;
  std::vector<State> blocks_;
  std::list<Block> idle_;  ///< longest unused first
  std::unordered_map<BlockKey, Block> known_;
  std::unordered_multimap<std::uint64_t, Block> children_;  ///< of a known block's serial
  std::unordered_set<BlockKey> evicted_;                    ///< the last ones, for explain()
  std::deque<BlockKey> evictedOrder_;
};

}  // namespace quern::engine::scheduler
