#include "engine/grammar/token_masks.h"

#include <algorithm>
#include <utility>

#include "engine/grammar/vocabulary_walk.h"

namespace quern::engine::grammar {
namespace {

/// A list of tokens (4 bytes each) up to the length at which a bit for each token of the vocabulary takes as
/// much room.
constexpr std::size_t kBitsPerListed = 32;

std::size_t hashOf(std::span<const std::uint32_t> nodes) {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const std::uint32_t node : nodes) hash = (hash ^ node) * 0x100000001B3ULL + (hash >> 47);
  return hash;
}

std::size_t bytesOf(const TokenMasks::Entry& entry) {
  return 128 + entry.words.size() * sizeof(std::uint64_t) + entry.tokens.size() * sizeof(std::uint32_t);
}

}  // namespace

TokenMasks::TokenMasks(const Automaton& automaton, const VocabularyIndex& vocabulary, std::size_t mostBytes)
    : automaton_(automaton),
      vocabulary_(vocabulary),
      mostBytes_(mostBytes),
      anyToken_(std::make_shared<Exits>(Exits{{0}, false})),
      firstToken_(anyToken_) {
  if (!vocabulary.stripsLeadingSpace() || vocabulary.spaceNode() == 0) return;
  // With its space, a token that begins with one reads as what follows the space.
  firstToken_ = std::make_shared<Exits>(Exits{{0, vocabulary.spaceNode()}, true});
}

bool TokenMasks::add(Thread thread, const Stacks& stacks, bool isFirst, TokenMask mask) {
  std::shared_ptr<const Exits> exits = isFirst ? firstToken_ : anyToken_;
  while (true) {
    const EntryPtr found = entry(exits, thread.state);
    for (std::size_t w = 0; w < found->words.size(); ++w) mask[w] |= found->words[w];
    for (const std::uint32_t token : found->tokens) mask[token / 64] |= std::uint64_t{1} << (token % 64);
    if (found->isTooHard) return false;
    if (!found->exits || thread.stack == Stacks::kBottom) return true;
    exits = found->exits;
    thread = {stacks.below(thread.stack), stacks.back(thread.stack)};
  }
}

TokenMasks::EntryPtr TokenMasks::entry(const std::shared_ptr<const Exits>& exits, StateId state) {
  const Key key{exits, state};
  {
    const std::shared_lock lock(mutex_);
    if (const auto at = entries_.find(key); at != entries_.end()) return at->second;
  }
  VocabularyWalk walk(automaton_, vocabulary_);
  auto made = std::make_shared<Entry>();
  made->isTooHard = !walk.run(exits->nodes, state, exits->skipsSpace);
  std::size_t count = 0;
  const auto nodes = vocabulary_.nodes();
  for (const std::uint32_t node : walk.found()) count += nodes[node].tokens;
  const bool areMany = count > vocabulary_.size() / kBitsPerListed;
  if (areMany) made->words.resize(maskWords(vocabulary_.size()), 0);
  if (!areMany) made->tokens.reserve(count);
  for (const std::uint32_t node : walk.found()) {
    for (const auto token : vocabulary_.sorted().subspan(nodes[node].firstToken, nodes[node].tokens)) {
      const auto number = static_cast<std::uint32_t>(token);
      if (areMany) {
        made->words[number / 64] |= std::uint64_t{1} << (number % 64);
      } else {
        made->tokens.push_back(number);
      }
    }
  }
  std::vector<std::uint32_t> left = walk.exits();
  std::sort(left.begin(), left.end());
  left.erase(std::unique(left.begin(), left.end()), left.end());

  const std::unique_lock lock(mutex_);
  if (!left.empty()) made->exits = shared(std::move(left));
  if (bytes_ + bytesOf(*made) > mostBytes_) {
    entries_.clear();
    exits_.clear();
    bytes_ = 0;
  }
  const auto [at, isNew] = entries_.try_emplace(key, made);
  if (isNew) bytes_ += bytesOf(*made);
  return at->second;
}

/// Under the lock.
std::shared_ptr<const Exits> TokenMasks::shared(std::vector<std::uint32_t> nodes) {
  if (nodes == anyToken_->nodes) return anyToken_;
  const std::size_t hash = hashOf(nodes);
  const auto [begin, end] = exits_.equal_range(hash);
  for (auto at = begin; at != end; ++at) {
    if (at->second->nodes == nodes) return at->second;
  }
  bytes_ += 64 + nodes.size() * sizeof(std::uint32_t);
  return exits_.emplace(hash, std::make_shared<Exits>(Exits{std::move(nodes), false}))->second;
}

std::size_t TokenMasks::entries() const {
  const std::shared_lock lock(mutex_);
  return entries_.size();
}

std::size_t TokenMasks::bytes() const {
  const std::shared_lock lock(mutex_);
  return bytes_;
}

}  // namespace quern::engine::grammar
