// The steps from expressions to finite automata, one a rule. Used by automaton.cpp alone.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/base/result.h"
#include "engine/grammar/automaton.h"

namespace quern::engine::grammar {

/// How the rules of a grammar are laid out as automata.
struct Layout {
  static constexpr std::uint32_t kInlined = std::numeric_limits<std::uint32_t>::max();
  /// Per rule: the number of its automaton (from 1 on; 0 is the root's), or kInlined.
  std::vector<std::uint32_t> automatonOf;
  std::vector<ExprId> bodies;  ///< per automaton
};

/// Which rules are written out where they are used: those that do not recur and are small, or used once and
/// not large. Linear in the grammar, without recursion.
Layout layOut(const Grammar& grammar);

/// An automaton with steps that read nothing, as it comes from an expression.
struct Nondeterministic {
  struct Edge {
    std::uint32_t from, to;
    std::uint8_t first, last;
  };
  struct Call {
    std::uint32_t from, to, rule;
  };
  struct Silent {
    std::uint32_t from, to;
  };
  std::uint32_t states = 2;  ///< 0 is the first, 1 the last
  std::vector<Edge> edges;
  std::vector<Call> calls;
  std::vector<Silent> silents;
};

/// Writes out an expression. Error kLimit where it has more than `limit` states.
base::Result<Nondeterministic> writeOut(const Grammar& grammar, const Layout& layout, ExprId body,
                                        std::size_t limit);

/// One rule without silent steps. State 0 is the first. Every state leads to a final one.
struct Automaton::RuleAutomaton {
  struct Transition {
    std::uint8_t first, last;
    std::uint32_t target;
  };
  struct RuleCall {
    std::uint32_t rule, back;
    friend bool operator==(const RuleCall&, const RuleCall&) = default;
  };
  struct State {
    std::vector<Transition> edges;
    std::vector<RuleCall> calls;
    bool isFinal = false;
  };
  std::vector<State> states;
};

/// Without silent steps; deterministic and minimal, where that takes no more states and time than a small
/// multiple of what is there. nullopt: either way there would be far too much of it.
std::optional<Automaton::RuleAutomaton> simplify(const Nondeterministic& automaton);

}  // namespace quern::engine::grammar
