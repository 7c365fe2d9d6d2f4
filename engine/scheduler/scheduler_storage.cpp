// Known beginnings on disk: those that are pushed out of the cache, and a chat's.

#include <algorithm>
#include <utility>

#include "engine/scheduler/block_file.h"
#include "engine/scheduler/scheduler.h"

namespace quern::engine::scheduler {
namespace {

using runtime::kKvBlockTokens;

/// Read in one step, while others wait for their tokens: some milliseconds of a quick disk.
constexpr std::size_t kFetchBytes = 16U << 20;
constexpr std::size_t kMostFetched = 16;

}  // namespace

void Scheduler::setPrefixStore(std::unique_ptr<PrefixStore> store) {
  store_ = std::move(store);
  pool_.onEvict = [this](BlockPool::Block block, const BlockKey& parent, const BlockKey&,
                         std::span<const std::int32_t> tokens) { spill(block, parent, tokens); };
}

const CacheIdentity& Scheduler::identity() {
  if (!identity_) identity_ = makeIdentity_();
  return *identity_;
}

bool Scheduler::spill(BlockPool::Block block, const BlockKey& parent, std::span<const std::int32_t> tokens) {
  return store_->put(BlockHead::of(parent, tokens),
                     [&](std::span<std::byte> to) { executable_.readBlock(block, to); });
}

/// The block that follows what the sequence has, read from the disk into a block of the cache, and known from
/// then on.
std::optional<BlockPool::Block> Scheduler::fetch(Sequence& sequence) {
  const std::int32_t index = sequence.published;
  if (!store_ || classOf(sequence, index) != kKvBlockTokens) return std::nullopt;
  const BlockHead head =
      BlockHead::of(sequence.place.key, sequence.tokensOf(index, kKvBlockTokens), kKvBlockTokens);
  if (!store_->contains(head.key)) return std::nullopt;
  // The rest comes with the next steps: until then it is not computed either.
  const std::size_t most = std::clamp<std::size_t>(kFetchBytes / executable_.blockBytes(), 1, kMostFetched);
  sequence.awaitsDisk = fetched_ >= most;
  if (sequence.awaitsDisk) return std::nullopt;
  ++fetched_;
  const auto block = pool_.take();
  if (!block) return std::nullopt;
  contents_.resize(executable_.blockBytes());
  if (!store_->read(head, contents_)) {
    pool_.release(*block);
    return std::nullopt;
  }
  executable_.writeBlock(*block, contents_);
  return pool_.publish(*block, sequence.place, head.tokens, kKvBlockTokens);
}

void Scheduler::spillAll() {
  if (!store_) return;
  std::vector<std::pair<BlockPool::Block, BlockHead>> known;
  pool_.eachKnown([&](BlockPool::Block block, const BlockKey& parent, const BlockKey&,
                      std::span<const std::int32_t> tokens) {
    known.emplace_back(block, BlockHead::of(parent, tokens));
  });
  // What was used last is written last: it counts as used last there, too.
  for (auto at = known.rbegin(); at != known.rend(); ++at) {
    if (!spill(at->first, at->second.parent, at->second.tokens)) store_->flush();
  }
  store_->flush();
}

base::Result<std::int32_t> Scheduler::saveState(std::span<const std::int32_t> tokens,
                                                const std::filesystem::path& path) {
  QUERN_ASSIGN(auto file, BlockFileWriter::create(path, identity()));
  contents_.resize(executable_.blockBytes());
  std::int32_t saved = 0;
  BlockPool::Place at;
  while (static_cast<std::size_t>(saved + kKvBlockTokens) <= tokens.size()) {
    const auto own = tokens.subspan(static_cast<std::size_t>(saved), kKvBlockTokens);
    const BlockKey parent = at.key;
    const auto block = pool_.find(at, own, kKvBlockTokens);
    if (!block) break;
    executable_.readBlock(*block, contents_);
    QUERN_TRY(file.append(BlockHead::of(parent, own), contents_));
    saved += kKvBlockTokens;
  }
  QUERN_TRY(file.finish());
  return saved;
}

base::Result<std::int32_t> Scheduler::restoreState(const std::filesystem::path& path) {
  std::vector<BlockPool::Block> held;
  BlockPool::Place at;
  const auto read =
      readBlockFile(path, identity(), [&](const BlockHead& head, std::span<const std::byte> bytes) {
        if (const auto known = pool_.follow(at, head.tokens, head.promptTokens)) {
          held.push_back(*known);
          return true;
        }
        const auto block = pool_.take();
        if (!block) return false;  // the cache is full of what runs: the beginning is still worth having
        executable_.writeBlock(*block, bytes);
        held.push_back(pool_.publish(*block, at, head.tokens, head.promptTokens));
        return true;
      });
  // Last blocks first, as always.
  for (auto block = held.rbegin(); block != held.rend(); ++block) pool_.release(*block);
  look();
  if (!read) return read.error();
  return static_cast<std::int32_t>(held.size()) * kKvBlockTokens;
}

}  // namespace quern::engine::scheduler
