#include "engine/scheduler/block_pool.h"

#include <algorithm>

#include "engine/base/check.h"

namespace quern::engine::scheduler {
namespace {

constexpr std::uint64_t kSeed = 0x9E3779B97F4A7C15ULL;

}  // namespace

BlockPool::BlockPool(std::int32_t blocks, std::int32_t blockTokens)
    : blockTokens_(blockTokens), blocks_(static_cast<std::size_t>(blocks)) {
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    blocks_[i].place = idle_.insert(idle_.end(), static_cast<Block>(i));
  }
}

std::uint64_t BlockPool::extend(std::uint64_t chain, std::span<const std::int32_t> tokens) {
  // The finalizer of SplitMix64 after every token: a fast mix with no known short collisions.
  for (const std::int32_t token : tokens) {
    chain += kSeed + static_cast<std::uint32_t>(token);
    chain = (chain ^ (chain >> 30)) * 0xBF58476D1CE4E5B9ULL;
    chain = (chain ^ (chain >> 27)) * 0x94D049BB133111EBULL;
    chain ^= chain >> 31;
  }
  return chain;
}

void BlockPool::forget(State& state) {
  if (!state.known) return;
  known_.erase(state.chain);
  state.known = false;
}

std::optional<BlockPool::Block> BlockPool::take() {
  if (idle_.empty()) return std::nullopt;
  // Blocks that nobody knows come first in the list: see release().
  const Block block = idle_.front();
  idle_.pop_front();
  State& state = blocks_[block];
  forget(state);
  state.holders = 1;
  ++used_;
  return block;
}

void BlockPool::release(Block block) {
  State& state = blocks_[block];
  QUERN_CHECK(state.holders > 0, "a block is released more often than it was taken");
  if (--state.holders > 0) return;
  --used_;
  state.place = idle_.insert(state.known ? idle_.end() : idle_.begin(), block);
}

std::vector<BlockPool::Block> BlockPool::reuse(std::span<const std::int32_t> tokens) {
  std::vector<Block> found;
  const auto length = static_cast<std::size_t>(blockTokens_);
  std::uint64_t chain = kSeed;
  for (std::size_t begin = 0; begin + length <= tokens.size(); begin += length) {
    const auto own = tokens.subspan(begin, length);
    chain = extend(chain, own);
    const auto at = known_.find(chain);
    if (at == known_.end()) break;
    State& state = blocks_[at->second];
    if (!std::equal(own.begin(), own.end(), state.tokens.begin(), state.tokens.end())) break;
    if (state.holders++ == 0) {
      idle_.erase(state.place);
      ++used_;
    }
    found.push_back(at->second);
  }
  return found;
}

void BlockPool::publish(Block block, std::span<const std::int32_t> tokens) {
  State& state = blocks_[block];
  if (state.known) return;
  const std::uint64_t chain = extend(kSeed, tokens);
  if (!known_.emplace(chain, block).second) return;  // another request has computed the same
  const auto own = tokens.last(static_cast<std::size_t>(blockTokens_));
  state.known = true;
  state.chain = chain;
  state.tokens.assign(own.begin(), own.end());
}

}  // namespace quern::engine::scheduler
