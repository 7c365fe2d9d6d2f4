// A grammar as a pushdown automaton that reads bytes.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "engine/base/result.h"
#include "engine/grammar/grammar.h"

namespace quern::engine::grammar {

using StateId = std::uint32_t;
inline constexpr StateId kNoState = std::numeric_limits<StateId>::max();

/// What an automaton may be at most.
struct AutomatonLimits {
  std::size_t parts = 400'000;   ///< states while it is made, of all rules together
  std::size_t states = 200'000;  ///< when it is finished
};

/// Immutable; shared by threads.
///
/// Each rule that is called (because it recurs, or is too large to be written out wherever it is used) is a
/// finite automaton of its own; all others are part of those that use them. A state has edges over ranges of
/// bytes, and calls: the automaton goes on in another rule's first state, and with `back` when that rule has
/// reached an end. Where nothing can follow the call within its rule, `back` is kNoState and there is nothing
/// to come back for: a list that recurs on its right needs no stack.
///
/// Per rule the edges are deterministic and the automaton minimal, where that stays small; elsewhere two
/// edges of a state may read the same byte. Whoever runs it keeps sets of states with their stacks either way
/// (stacks.h): a byte and a call, or two calls, may compete.
class Automaton {
 public:
  struct Edge {
    std::uint8_t first, last;  ///< both included
    StateId target;
  };
  struct Call {
    StateId start;  ///< of the called rule
    StateId back;
    std::uint32_t rule;  ///< number of the called automaton, 0 for the root's
  };
  enum Flag : std::uint8_t {
    kFinal = 1,  ///< its rule may end here
    kEnd = 2,    ///< … and cannot go on
    kPlain = 4,  ///< no calls, deterministic, and no way back to a rule that has called this one
  };

  /// Errors: kLimit (too many states; what to do about it, and of which labelled part most of them are).
  static base::Result<Automaton> compile(const Grammar& grammar, const AutomatonLimits& limits = {});

  StateId start() const { return starts_.front(); }
  std::size_t states() const { return states_.size(); }
  std::size_t rules() const { return starts_.size(); }
  std::uint32_t ruleOf(StateId state) const { return states_[state].rule; }
  bool is(StateId state, Flag flag) const { return (states_[state].flags & flag) != 0; }
  std::span<const Edge> edges(StateId state) const {
    return std::span(edges_).subspan(states_[state].firstEdge, states_[state].edges);
  }
  std::span<const Call> calls(StateId state) const {
    return std::span(calls_).subspan(states_[state].firstCall, states_[state].calls);
  }
  /// Of a state with kPlain: where the byte leads, or kNoState.
  StateId next(StateId state, std::uint8_t byte) const {
    const State& s = states_[state];
    if (s.row != kNoRow) return rows_[s.row + classes_[byte]];
    for (std::uint32_t e = s.firstEdge; e < s.firstEdge + s.edges; ++e) {
      if (byte >= edges_[e].first && byte <= edges_[e].last) return edges_[e].target;
    }
    return kNoState;
  }
  std::size_t bytes() const;

  /// What rules become on their way; automaton_parts.h.
  struct RuleAutomaton;

 private:
  static constexpr std::uint32_t kNoRow = std::numeric_limits<std::uint32_t>::max();
  struct State {
    std::uint32_t firstEdge = 0, firstCall = 0;
    std::uint32_t edges = 0, calls = 0;
    std::uint32_t row = kNoRow;
    std::uint32_t rule = 0;
    std::uint8_t flags = 0;
  };

  static base::Result<Automaton> build(const Grammar& grammar, const AutomatonLimits& limits);
  void append(const RuleAutomaton& rule, std::uint32_t number);
  void connect();
  void makeRows();

  std::vector<State> states_;
  std::vector<Edge> edges_;  ///< a state's in the order of their bytes
  std::vector<Call> calls_;
  std::vector<StateId> starts_;  ///< of each automaton; the root's first
  /// Bytes that no edge tells apart are of one class; states with many edges have a row with the target of
  /// each class.
  std::uint8_t classes_[256] = {};
  std::vector<StateId> rows_;
};

}  // namespace quern::engine::grammar
