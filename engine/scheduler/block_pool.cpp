#include "engine/scheduler/block_pool.h"

#include <algorithm>

#include "engine/base/check.h"

namespace quern::engine::scheduler {
namespace {

/// Blocks that once were known and of which only the names are left, for every block of the pool.
constexpr std::size_t kNamesABlock = 4;
/// Beginnings that go on in so many ways are not compared further: an explanation must be cheap.
constexpr std::size_t kMostCompared = 64;

}  // namespace

BlockPool::BlockPool(std::int32_t blocks, std::int32_t blockTokens)
    : blockTokens_(blockTokens), blocks_(static_cast<std::size_t>(blocks)) {
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    blocks_[i].place = idle_.insert(idle_.end(), static_cast<Block>(i));
  }
}

void BlockPool::forget(Block block) {
  State& state = blocks_[block];
  if (state.serial == 0) return;
  if (onEvict && isPrompt(state)) onEvict(block, state.parent, state.key, state.tokens);
  known_.erase(state.key);
  const auto [begin, end] = children_.equal_range(state.parentSerial);
  for (auto child = begin; child != end; ++child) {
    if (child->second != block) continue;
    children_.erase(child);
    break;
  }
  if (evicted_.insert(state.key).second) evictedOrder_.push_back(state.key);
  while (evictedOrder_.size() > kNamesABlock * blocks_.size()) {
    evicted_.erase(evictedOrder_.front());
    evictedOrder_.pop_front();
  }
  state.serial = 0;
}

std::optional<BlockPool::Block> BlockPool::take() {
  if (idle_.empty()) return std::nullopt;
  // Blocks that nobody knows come first in the list: see release().
  const Block block = idle_.front();
  forget(block);
  hold(blocks_[block]);
  return block;
}

void BlockPool::hold(State& state) {
  if (state.holders++ > 0) return;
  idle_.erase(state.place);
  ++used_;
}

void BlockPool::share(Block block) {
  State& state = blocks_[block];
  QUERN_CHECK(state.holders > 0, "only a block that somebody holds can be shared");
  ++state.holders;
}

void BlockPool::release(Block block, bool keepsAnswers) {
  State& state = blocks_[block];
  QUERN_CHECK(state.holders > 0, "a block is released more often than it was taken");
  if (--state.holders > 0) return;
  --used_;
  if (state.serial > 0 && !isPrompt(state) && !keepsAnswers) forget(block);
  state.place = idle_.insert(state.serial > 0 ? idle_.end() : idle_.begin(), block);
}

std::optional<BlockPool::Block> BlockPool::find(Place& at, std::span<const std::int32_t> tokens,
                                                std::int32_t promptTokens) const {
  const BlockKey key = at.key.next(tokens, promptTokens);
  const auto found = known_.find(key);
  if (found == known_.end()) return std::nullopt;
  const State& state = blocks_[found->second];
  // A key proves nothing: the tokens do, of this block and, by the serial, of all before it; behind a root,
  // the root does.
  if (state.parentSerial != at.serial || state.parent != at.key || state.promptTokens != promptTokens ||
      !std::equal(tokens.begin(), tokens.end(), state.tokens.begin(), state.tokens.end())) {
    return std::nullopt;
  }
  at = {key, state.serial, at.root};
  return found->second;
}

std::optional<BlockPool::Block> BlockPool::follow(Place& at, std::span<const std::int32_t> tokens,
                                                  std::int32_t promptTokens) {
  const auto found = find(at, tokens, promptTokens);
  if (found) hold(blocks_[*found]);
  return found;
}

ReuseReport BlockPool::explain(const Place& at, std::span<const std::int32_t> tokens,
                               std::int32_t promptTokens, std::int32_t position) const {
  ReuseReport report;
  std::size_t longest = 0;
  std::size_t compared = 0;
  const auto [begin, end] = children_.equal_range(at.serial);
  for (auto child = begin; child != end && compared < kMostCompared; ++child, ++compared) {
    const State& state = blocks_[child->second];
    if (state.parent != at.key) continue;  // another root's
    const auto [ours, theirs] =
        std::mismatch(tokens.begin(), tokens.end(), state.tokens.begin(), state.tokens.end());
    const auto same = static_cast<std::size_t>(ours - tokens.begin());
    if (ours == tokens.end() || (report.why == ReuseReport::Why::kDiffers && same <= longest)) continue;
    longest = same;
    report = {ReuseReport::Why::kDiffers, position + static_cast<std::int32_t>(same), *ours, *theirs};
  }
  const bool isWhole = tokens.size() == static_cast<std::size_t>(blockTokens_);
  if (isWhole && evicted_.contains(at.key.next(tokens, promptTokens))) return {ReuseReport::Why::kEvicted};
  // Nobody has gone another way from a beginning that is known to its end: it is the new that begins here.
  if (report.why == ReuseReport::Why::kDiffers && at.serial == 0 && longest == 0) {
    return {ReuseReport::Why::kUnknown};
  }
  return report;
}

BlockPool::Block BlockPool::publish(Block block, Place& at, std::span<const std::int32_t> tokens,
                                    std::int32_t promptTokens) {
  QUERN_CHECK(tokens.size() == static_cast<std::size_t>(blockTokens_), "only a full block can be known");
  Place known = at;
  if (const auto other = follow(known, tokens, promptTokens)) {
    at = known;
    release(block);
    return *other;
  }
  const BlockKey key = at.key.next(tokens, promptTokens);
  State& state = blocks_[block];
  const BlockKey parent = at.key;
  const std::uint64_t parentSerial = at.serial;
  at = {key, 0, at.root};
  // Another content has the same key, or what leads here is not known itself: then this is not either.
  const bool leadsHere = parentSerial > 0 || parent == at.root;
  if (!leadsHere || state.serial > 0) return block;
  if (const auto other = known_.find(key); other != known_.end()) {
    // Another content has the same key, or the same one is known behind a block that was forgotten meanwhile:
    // nobody can find that any more.
    const State& stale = blocks_[other->second];
    if (stale.holders > 0 || stale.parentSerial == parentSerial) return block;
    forget(other->second);
  }
  known_.emplace(key, block);
  state.serial = at.serial = ++serials_;
  state.parentSerial = parentSerial;
  state.parent = parent;
  state.key = key;
  state.promptTokens = promptTokens;
  state.tokens.assign(tokens.begin(), tokens.end());
  children_.emplace(parentSerial, block);
  return block;
}

void BlockPool::eachKnown(const std::function<void(Block, const BlockKey&, const BlockKey&,
                                                   std::span<const std::int32_t>)>& visit) const {
  const auto show = [&](Block block) {
    const State& state = blocks_[block];
    if (state.serial == 0 || !isPrompt(state)) return;
    visit(block, state.parent, state.key, state.tokens);
  };
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    if (blocks_[i].holders > 0) show(static_cast<Block>(i));
  }
  for (auto block = idle_.rbegin(); block != idle_.rend(); ++block) show(*block);
}

}  // namespace quern::engine::scheduler
