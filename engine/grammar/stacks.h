// Where a run of the automaton stands: sets of states, each with what is to be gone back to.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/grammar/automaton.h"

namespace quern::engine::grammar {

/// States to go back to, shared as beginnings of each other: a stack is the number of its topmost node. Equal
/// stacks are one node.
class Stacks {
 public:
  using Id = std::uint32_t;
  /// Nothing to go back to.
  static constexpr Id kBottom = 0;

  Stacks() : nodes_(1) {}

  Id push(Id stack, StateId back);
  /// Of a stack that is not the bottom.
  Id below(Id stack) const { return nodes_[stack].below; }
  StateId back(Id stack) const { return nodes_[stack].back; }
  std::size_t size() const { return nodes_.size(); }
  void clear() { nodes_.assign(1, {}); }

 private:
  struct Node {
    Id below = 0;
    StateId back = kNoState;
    Id child = 0, sibling = 0;  ///< one of those above it, and the next of these; 0: none
  };
  std::vector<Node> nodes_;
};

/// One of the ways in which the text so far can be read.
struct Thread {
  Stacks::Id stack = Stacks::kBottom;
  StateId state = 0;
  friend auto operator<=>(const Thread&, const Thread&) = default;
};

/// More ways than anybody's grammar needs at once: behind that, it is said to be too ambiguous.
inline constexpr std::size_t kMostThreads = 128;

/// Steps of a set of threads. Sets have no duplicates. A thread never stands in a state where its rule can
/// only end, unless there is nothing to go back to: it has gone back already.
///
/// Both functions append to `out`, from `begin` on, and return false where that would be more than
/// kMostThreads.
bool addSettled(const Automaton& automaton, const Stacks& stacks, Thread thread, std::vector<Thread>& out,
                std::size_t begin);

/// All that the threads at [first, last) of `out` can be without reading anything: what has edges goes to the
/// end of `out`. `reachesBottom`: a thread's first rule may end here.
bool expand(const Automaton& automaton, Stacks& stacks, std::vector<Thread>& out, std::size_t first,
            std::size_t last, bool& reachesBottom);

/// Where the expanded threads at [first, last) of `out` are behind one more byte; goes to the end of `out`.
bool readByte(const Automaton& automaton, const Stacks& stacks, std::vector<Thread>& out, std::size_t first,
              std::size_t last, std::uint8_t byte);

/// Keeps only the nodes that these threads' stacks are made of; the threads are renumbered.
void compact(Stacks& stacks, std::vector<Thread>& threads);

}  // namespace quern::engine::grammar
