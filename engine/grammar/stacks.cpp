#include "engine/grammar/stacks.h"

#include <algorithm>

namespace quern::engine::grammar {

Stacks::Id Stacks::push(Id stack, StateId back) {
  for (Id at = nodes_[stack].child; at != 0; at = nodes_[at].sibling) {
    if (nodes_[at].back == back) return at;
  }
  const Id made = static_cast<Id>(nodes_.size());
  nodes_.push_back({stack, back, 0, nodes_[stack].child});
  nodes_[stack].child = made;
  return made;
}

bool addSettled(const Automaton& automaton, const Stacks& stacks, Thread thread, std::vector<Thread>& out,
                std::size_t begin) {
  while (thread.stack != Stacks::kBottom && automaton.is(thread.state, Automaton::kEnd)) {
    thread = {stacks.below(thread.stack), stacks.back(thread.stack)};
  }
  if (std::find(out.begin() + static_cast<std::ptrdiff_t>(begin), out.end(), thread) != out.end())
    return true;
  if (out.size() - begin >= kMostThreads) return false;
  out.push_back(thread);
  return true;
}

bool expand(const Automaton& automaton, Stacks& stacks, std::vector<Thread>& out, std::size_t first,
            std::size_t last, bool& reachesBottom) {
  reachesBottom = false;
  const std::size_t begin = out.size();
  const auto add = [&](Thread thread) {
    if (std::find(out.begin() + static_cast<std::ptrdiff_t>(begin), out.end(), thread) != out.end())
      return true;
    if (out.size() - begin >= kMostThreads) return false;
    out.push_back(thread);
    return true;
  };
  for (std::size_t i = first; i < last; ++i) {
    if (!add(out[i])) return false;
  }
  for (std::size_t i = begin; i < out.size(); ++i) {
    const Thread thread = out[i];
    for (const Automaton::Call& call : automaton.calls(thread.state)) {
      const bool comesBack = call.back != kNoState;
      if (!add({comesBack ? stacks.push(thread.stack, call.back) : thread.stack, call.start})) return false;
    }
    if (!automaton.is(thread.state, Automaton::kFinal)) continue;
    if (thread.stack == Stacks::kBottom) {
      reachesBottom = true;
    } else if (!add({stacks.below(thread.stack), stacks.back(thread.stack)})) {
      return false;
    }
  }
  // What was only passed through has no edges.
  const auto rest = std::remove_if(out.begin() + static_cast<std::ptrdiff_t>(begin), out.end(),
                                   [&](const Thread& t) { return automaton.edges(t.state).empty(); });
  out.erase(rest, out.end());
  return true;
}

bool readByte(const Automaton& automaton, const Stacks& stacks, std::vector<Thread>& out, std::size_t first,
              std::size_t last, std::uint8_t byte) {
  const std::size_t begin = out.size();
  for (std::size_t i = first; i < last; ++i) {
    const Thread thread = out[i];
    for (const Automaton::Edge& edge : automaton.edges(thread.state)) {
      if (edge.first > byte) break;
      if (edge.last < byte) continue;
      if (!addSettled(automaton, stacks, {thread.stack, edge.target}, out, begin)) return false;
    }
  }
  return true;
}

void compact(Stacks& stacks, std::vector<Thread>& threads) {
  std::vector<Stacks::Id> number(stacks.size(), 0);
  std::vector<bool> isUsed(stacks.size(), false);
  for (const Thread& thread : threads) {
    for (auto at = thread.stack; at != Stacks::kBottom && !isUsed[at]; at = stacks.below(at))
      isUsed[at] = true;
  }
  Stacks kept;
  // A node is younger than the one below it.
  for (Stacks::Id at = 1; at < stacks.size(); ++at) {
    if (isUsed[at]) number[at] = kept.push(number[stacks.below(at)], stacks.back(at));
  }
  for (Thread& thread : threads) thread.stack = number[thread.stack];
  stacks = std::move(kept);
}

}  // namespace quern::engine::grammar
