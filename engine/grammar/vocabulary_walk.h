// A walk over the vocabulary's tree with the automaton.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/grammar/automaton.h"
#include "engine/grammar/stacks.h"
#include "engine/grammar/vocabulary_index.h"

namespace quern::engine::grammar {

/// Finds the tokens that the automaton can read behind given nodes. What lies below in the stack is unknown:
/// where it would count, the walk notes an exit. Not shared by threads; may be used again.
class VocabularyWalk {
 public:
  VocabularyWalk(const Automaton& automaton, const VocabularyIndex& vocabulary)
      : automaton_(automaton), vocabulary_(vocabulary) {}

  /// From each node on, in `state`. `skipsSpace`: not along the space below the root. Tokens that end at a
  /// node itself are not meant. Where more threads than may be would be needed, nothing is found. False: it
  /// would have taken far too long, and was not finished.
  bool run(std::span<const std::uint32_t> nodes, StateId state, bool skipsSpace);

  /// Nodes whose tokens can be read, in no order; a node may be there twice.
  const std::vector<std::uint32_t>& found() const { return found_; }
  /// Nodes behind which the first rule can end, and which have nodes below them.
  const std::vector<std::uint32_t>& exits() const { return exits_; }

 private:
  void visit(std::uint32_t node, std::size_t first, std::size_t last);
  void below(std::uint32_t node, Thread thread);

  const Automaton& automaton_;
  const VocabularyIndex& vocabulary_;
  Stacks stacks_;
  std::vector<Thread> threads_;  ///< of all nodes on the way, one behind the other
  std::vector<StateId> states_;  ///< by depth, on the short way
  std::vector<std::uint32_t> found_, exits_;
  std::uint32_t skipped_ = 0;  ///< a node; 0: none
  std::size_t work_ = 0;
};

}  // namespace quern::engine::grammar
