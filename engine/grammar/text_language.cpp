#include "engine/grammar/text_language.h"

#include <algorithm>
#include <map>

#include "engine/base/check.h"
#include "engine/base/text.h"

namespace quern::engine::grammar {
namespace {

using State = TextLanguage::State;
using Edge = TextLanguage::Edge;

constexpr char32_t kLastCharacter = 0x10FFFF;

constexpr char32_t kFirstSurrogate = 0xD800;
constexpr char32_t kLastSurrogate = 0xDFFF;

void addEdge(std::vector<Edge>& edges, const Edge& edge) {
  if (!edges.empty() && edges.back().target == edge.target && edges.back().last + 1 == edge.first) {
    edges.back().last = edge.last;
  } else {
    edges.push_back(edge);
  }
}

/// Surrogates are no characters: an edge over them alone would lead nowhere.
void addCharacters(std::vector<Edge>& edges, const Edge& edge) {
  const char32_t before = std::min<char32_t>(edge.last, kFirstSurrogate - 1);
  const char32_t after = std::max<char32_t>(edge.first, kLastSurrogate + 1);
  if (edge.first <= before) addEdge(edges, {edge.first, before, edge.target});
  if (after <= edge.last) addEdge(edges, {after, edge.last, edge.target});
}

/// Takes out what is not reached from the start or does not reach an accepting state.
std::vector<State> trimmed(std::vector<State> states) {
  const std::size_t count = states.size();
  std::vector<std::vector<std::uint32_t>> sources(count);
  for (std::uint32_t from = 0; from < count; ++from) {
    for (const Edge& edge : states[from].edges) sources[edge.target].push_back(from);
  }
  std::vector<bool> alive(count);
  std::vector<std::uint32_t> open;
  for (std::uint32_t at = 0; at < count; ++at) {
    if (states[at].accepts) open.push_back(at), alive[at] = true;
  }
  while (!open.empty()) {
    const std::uint32_t at = open.back();
    open.pop_back();
    for (const std::uint32_t from : sources[at]) {
      if (!alive[from]) open.push_back(from), alive[from] = true;
    }
  }
  if (count == 0 || !alive[0]) return {};
  std::vector<std::optional<std::uint32_t>> number(count);
  std::vector<std::uint32_t> order{0};
  number[0] = 0;
  std::vector<State> kept;
  for (std::size_t next = 0; next < order.size(); ++next) {
    State state{{}, states[order[next]].accepts};
    for (const Edge& edge : states[order[next]].edges) {
      if (!alive[edge.target]) continue;
      if (!number[edge.target]) {
        number[edge.target] = static_cast<std::uint32_t>(order.size());
        order.push_back(edge.target);
      }
      addCharacters(state.edges, {edge.first, edge.last, *number[edge.target]});
    }
    kept.push_back(std::move(state));
  }
  return kept;
}

char32_t takeCharacter(std::string_view& text) {
  const std::size_t bytes = base::utf8CharacterBytes(text);
  QUERN_CHECK(bytes > 0, "a text of a language that is not UTF-8");
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  char32_t character = bytes == 1 ? byte(0) : byte(0) & (0x7F >> bytes);
  for (std::size_t at = 1; at < bytes; ++at) character = character << 6 | (byte(at) & 0x3F);
  text.remove_prefix(bytes);
  return character;
}

base::Error tooLarge() {
  return {base::ErrorCode::kLimit, "The text's automaton would need more than " +
                                       base::grouped(TextLanguage::kMostStates) + " states."};
}

}  // namespace

TextLanguage::TextLanguage(std::vector<State> states) : states_(trimmed(std::move(states))) {}

TextLanguage TextLanguage::ofStates(std::vector<State> states) { return TextLanguage(std::move(states)); }

TextLanguage TextLanguage::anything() { return TextLanguage({State{{Edge{0, kLastCharacter, 0}}, true}}); }

TextLanguage TextLanguage::words(std::span<const std::string> words) {
  std::vector<std::map<char32_t, std::uint32_t>> nodes(1);
  std::vector<bool> ends(1);
  for (std::string_view word : words) {
    std::uint32_t at = 0;
    while (!word.empty()) {
      const auto [found, added] =
          nodes[at].emplace(takeCharacter(word), static_cast<std::uint32_t>(nodes.size()));
      at = found->second;
      if (added) nodes.emplace_back(), ends.push_back(false);
    }
    ends[at] = true;
  }
  std::vector<State> states(nodes.size());
  for (std::size_t at = 0; at < nodes.size(); ++at) {
    states[at].accepts = ends[at];
    for (const auto& [character, target] : nodes[at])
      states[at].edges.push_back({character, character, target});
  }
  return TextLanguage(std::move(states));
}

base::Result<TextLanguage> TextLanguage::lengths(std::int64_t least, std::optional<std::int64_t> most) {
  const std::int64_t last = most.value_or(least);
  if (last >= static_cast<std::int64_t>(kMostStates)) return tooLarge();
  std::vector<State> states;
  for (std::int64_t at = 0; at <= last; ++at) {
    State state{{}, at >= least};
    if (at < last) state.edges.push_back({0, kLastCharacter, static_cast<std::uint32_t>(at + 1)});
    states.push_back(std::move(state));
  }
  if (!most) states.back().edges.push_back({0, kLastCharacter, static_cast<std::uint32_t>(last)});
  return TextLanguage(std::move(states));
}

base::Result<TextLanguage> TextLanguage::intersected(const TextLanguage& other) const {
  if (empty() || other.empty()) return TextLanguage(std::vector<State>{});
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> numbers{{{0, 0}, 0}};
  std::vector<std::pair<std::uint32_t, std::uint32_t>> order{{0, 0}};
  std::vector<State> states;
  for (std::size_t next = 0; next < order.size(); ++next) {
    const auto [left, right] = order[next];
    State state{{}, states_[left].accepts && other.states_[right].accepts};
    auto b = other.states_[right].edges.begin();
    for (auto a = states_[left].edges.begin();
         a != states_[left].edges.end() && b != other.states_[right].edges.end();) {
      const char32_t first = std::max(a->first, b->first);
      const char32_t last = std::min(a->last, b->last);
      if (first <= last) {
        const auto [found, added] =
            numbers.emplace(std::pair(a->target, b->target), static_cast<std::uint32_t>(order.size()));
        if (added) order.emplace_back(a->target, b->target);
        addEdge(state.edges, {first, last, found->second});
      }
      if (a->last < b->last) {
        ++a;
      } else {
        ++b;
      }
    }
    states.push_back(std::move(state));
    if (order.size() > kMostStates) return tooLarge();
  }
  return TextLanguage(std::move(states));
}

TextLanguage TextLanguage::complement() const {
  std::vector<State> states(states_.begin(), states_.end());
  if (states.empty()) states.push_back({{}, false});
  const auto rest = static_cast<std::uint32_t>(states.size());
  for (State& state : states) {
    state.accepts = !state.accepts;
    std::vector<Edge> complete;
    char32_t next = 0;
    for (const Edge& edge : state.edges) {
      if (edge.first > next) complete.push_back({next, edge.first - 1, rest});
      complete.push_back(edge);
      next = edge.last + 1;
    }
    if (next <= kLastCharacter) complete.push_back({next, kLastCharacter, rest});
    state.edges = std::move(complete);
  }
  states.push_back({{{0, kLastCharacter, rest}}, true});
  return TextLanguage(std::move(states));
}

/// Moore's algorithm: states are the same until a character leads them to different ones.
TextLanguage TextLanguage::minimal() const {
  std::vector<std::uint32_t> classes;
  for (const State& state : states_) classes.push_back(state.accepts ? 1 : 0);
  for (std::size_t count = 0;;) {
    std::map<std::pair<std::uint32_t, std::vector<Edge>>, std::uint32_t> kinds;
    std::vector<std::uint32_t> finer;
    for (std::size_t at = 0; at < states_.size(); ++at) {
      std::vector<Edge> edges;
      for (const Edge& edge : states_[at].edges) {
        addEdge(edges, {edge.first, edge.last, classes[edge.target]});
      }
      const auto next = static_cast<std::uint32_t>(kinds.size());
      finer.push_back(kinds.emplace(std::pair(classes[at], std::move(edges)), next).first->second);
    }
    classes = std::move(finer);
    if (kinds.size() == count) break;
    count = kinds.size();
  }
  // The start's class is the first that was seen.
  std::vector<State> states;
  for (std::size_t at = 0; at < states_.size(); ++at) {
    if (classes[at] < states.size()) continue;
    State state{{}, states_[at].accepts};
    for (const Edge& edge : states_[at].edges) {
      addEdge(state.edges, {edge.first, edge.last, classes[edge.target]});
    }
    states.push_back(std::move(state));
  }
  return TextLanguage(std::move(states));
}

std::size_t TextLanguage::size() const {
  std::size_t edges = states_.size();
  for (const State& state : states_) edges += state.edges.size();
  return edges;
}

bool TextLanguage::accepts(std::string_view text) const {
  if (empty()) return false;
  std::uint32_t at = 0;
  while (!text.empty()) {
    const char32_t character = takeCharacter(text);
    const auto& edges = states_[at].edges;
    const auto edge =
        std::find_if(edges.begin(), edges.end(), [&](const Edge& e) { return character <= e.last; });
    if (edge == edges.end() || character < edge->first) return false;
    at = edge->target;
  }
  return states_[at].accepts;
}

}  // namespace quern::engine::grammar
