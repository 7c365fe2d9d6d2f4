#include "engine/grammar/automaton.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "engine/grammar/automaton_parts.h"
#include "engine/grammar/grammar_weight.h"

namespace quern::engine::grammar {
namespace {

/// States with more edges get a row of targets: looking through so few is as fast.
constexpr std::uint32_t kFewEdges = 4;

base::Error tooLarge(std::size_t limit) {
  return {base::ErrorCode::kLimit, "The grammar is too large: its automaton has more than " +
                                       std::to_string(limit) +
                                       " states. Make it smaller, or lower the bounds of its repetitions."};
}

}  // namespace

base::Result<Automaton> Automaton::compile(const Grammar& grammar, const AutomatonLimits& limits) {
  auto made = build(grammar, limits);
  if (made) return made;
  const std::string part = heaviestPart(grammar);
  if (part.empty()) return made;
  const base::Error& error = made.error();
  return base::Error(error.code(), error.message() + " Most of it comes from " + part + ".", error.chain());
}

base::Result<Automaton> Automaton::build(const Grammar& grammar, const AutomatonLimits& limits) {
  const Layout layout = layOut(grammar);
  Automaton automaton;
  std::size_t parts = 0;
  for (std::size_t number = 0; number < layout.bodies.size(); ++number) {
    QUERN_ASSIGN(const Nondeterministic written, writeOut(grammar, layout, layout.bodies[number],
                                                          limits.parts - std::min(parts, limits.parts)));
    parts += written.states;
    const auto finite = simplify(written);
    if (!finite) return tooLarge(limits.states);
    automaton.append(*finite, static_cast<std::uint32_t>(number));
    if (automaton.states_.size() > limits.states || automaton.edges_.size() > 8 * limits.states) {
      return tooLarge(limits.states);
    }
  }
  automaton.connect();
  automaton.makeRows();
  return automaton;
}

void Automaton::append(const RuleAutomaton& rule, std::uint32_t number) {
  const auto first = static_cast<StateId>(states_.size());
  starts_.push_back(first);
  for (const auto& from : rule.states) {
    State state;
    state.rule = number;
    state.firstEdge = static_cast<std::uint32_t>(edges_.size());
    state.firstCall = static_cast<std::uint32_t>(calls_.size());
    state.edges = static_cast<std::uint32_t>(from.edges.size());
    state.calls = static_cast<std::uint32_t>(from.calls.size());
    for (const auto& edge : from.edges) edges_.push_back({edge.first, edge.last, first + edge.target});
    for (const auto& call : from.calls) calls_.push_back({0, first + call.back, call.rule});
    const bool goesOn = state.edges + state.calls > 0;
    bool isDeterministic = true;
    for (std::size_t e = 1; e < from.edges.size(); ++e) {
      isDeterministic = isDeterministic && from.edges[e].first > from.edges[e - 1].last;
    }
    if (from.isFinal) state.flags |= kFinal;
    if (from.isFinal && !goesOn) state.flags |= kEnd;
    // Behind the root's end nothing is gone back to, so that it is nothing to look out for on a walk.
    const bool hasWayBack = from.isFinal && number != 0;
    if (!hasWayBack && state.calls == 0 && isDeterministic) state.flags |= kPlain;
    states_.push_back(state);
  }
}

void Automaton::connect() {
  for (Call& call : calls_) {
    call.start = starts_[call.rule];
    if (is(call.back, kEnd)) call.back = kNoState;
  }
}

void Automaton::makeRows() {
  std::array<bool, 257> cuts{};
  for (const Edge& edge : edges_) cuts[edge.first] = cuts[edge.last + 1U] = true;
  std::uint8_t count = 0;
  for (std::size_t byte = 0; byte < 256; ++byte) {
    if (byte > 0 && cuts[byte]) ++count;
    classes_[byte] = count;
  }
  const std::size_t width = count + std::size_t{1};
  for (State& state : states_) {
    if (state.edges <= kFewEdges || (state.flags & kPlain) == 0) continue;
    state.row = static_cast<std::uint32_t>(rows_.size());
    rows_.resize(rows_.size() + width, kNoState);
    for (std::uint32_t e = state.firstEdge; e < state.firstEdge + state.edges; ++e) {
      for (std::size_t c = classes_[edges_[e].first]; c <= classes_[edges_[e].last]; ++c) {
        rows_[state.row + c] = edges_[e].target;
      }
    }
  }
}

std::size_t Automaton::bytes() const {
  return states_.size() * sizeof(State) + edges_.size() * sizeof(Edge) + calls_.size() * sizeof(Call) +
         rows_.size() * sizeof(StateId);
}

}  // namespace quern::engine::grammar
