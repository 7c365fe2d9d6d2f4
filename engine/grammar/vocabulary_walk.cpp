#include "engine/grammar/vocabulary_walk.h"

#include <algorithm>

namespace quern::engine::grammar {
namespace {

/// Comparisons of threads with each other: some 50 ms. An ordinary grammar needs a thousandth of it; one that
/// needs more would hold up everybody who shares the engine.
constexpr std::size_t kMostWork = 30'000'000;

}  // namespace

bool VocabularyWalk::run(std::span<const std::uint32_t> nodes, StateId state, bool skipsSpace) {
  found_.clear();
  exits_.clear();
  work_ = 0;
  skipped_ = skipsSpace ? vocabulary_.spaceNode() : 0;
  for (const std::uint32_t node : nodes) {
    // What one node's tokens pile up is of no use to the next.
    stacks_.clear();
    threads_.assign(1, {Stacks::kBottom, state});
    visit(node, 0, 1);
  }
  return work_ <= kMostWork;
}

/// The threads at [first, last) have read the bytes of `node`.
void VocabularyWalk::visit(std::uint32_t node, std::size_t first, std::size_t last) {
  const auto nodes = vocabulary_.nodes();
  const std::uint32_t end = nodes[node].end;
  if (node + 1 == end) return;
  if (last - first == 1 && automaton_.is(threads_[first].state, Automaton::kPlain)) {
    return below(node, threads_[first]);
  }
  bool isExit = false;
  const std::size_t expanded = threads_.size();
  const bool fits = expand(automaton_, stacks_, threads_, first, last, isExit);
  if (fits && isExit) exits_.push_back(node);
  const std::size_t read = threads_.size();
  // Every set is compared with itself, here and behind each byte.
  work_ += (read - expanded) * (read - expanded) / 2 + 1;
  for (std::uint32_t child = node + 1; fits && read > expanded && child < end && work_ <= kMostWork;
       child = nodes[child].end) {
    if (child == skipped_) continue;
    work_ += std::max<std::size_t>(1, (read - expanded) / 4);
    const bool isRead = readByte(automaton_, stacks_, threads_, expanded, read, nodes[child].byte);
    if (isRead && threads_.size() > read) {
      if (nodes[child].tokens > 0) found_.push_back(child);
      visit(child, read, threads_.size());
    }
    threads_.resize(read);
  }
  threads_.resize(expanded);
}

/// The short way: one thread in states that only have edges, which is nearly always. No stack is looked at.
void VocabularyWalk::below(std::uint32_t node, Thread thread) {
  const auto nodes = vocabulary_.nodes();
  const std::size_t top = nodes[node].depth;
  if (states_.size() < VocabularyIndex::kLongestToken + 1) {
    states_.resize(VocabularyIndex::kLongestToken + 1);
  }
  states_[top] = thread.state;
  const std::uint32_t end = nodes[node].end;
  for (std::uint32_t at = node + 1; at < end && work_ <= kMostWork;) {
    const VocabularyIndex::Node& n = nodes[at];
    const StateId state = automaton_.next(states_[n.depth - 1U], n.byte);
    if (state == kNoState || at == skipped_) {
      at = n.end;
      continue;
    }
    if (n.tokens > 0) found_.push_back(at);
    if (automaton_.is(state, Automaton::kPlain)) {
      states_[n.depth] = state;
      ++at;
      continue;
    }
    if (at + 1 < n.end) {
      // Deeper nodes' states are written over on the way, those up to here are not.
      const std::size_t first = threads_.size();
      if (addSettled(automaton_, stacks_, {thread.stack, state}, threads_, first)) {
        visit(at, first, threads_.size());
      }
      threads_.resize(first);
    }
    at = n.end;
  }
}

}  // namespace quern::engine::grammar
