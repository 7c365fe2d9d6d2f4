// From grammars to automata over characters (subset construction) and back.

#include <algorithm>
#include <map>

#include "engine/base/check.h"
#include "engine/base/text.h"
#include "engine/grammar/text_language.h"

namespace quern::engine::grammar {
namespace {

using Edge = TextLanguage::Edge;
using State = TextLanguage::State;

/// Of the automaton with choices, and of the sets that are made of its nodes: what keeps a hostile pattern
/// under a tenth of a second.
constexpr std::size_t kMostNodes = 50'000;
constexpr std::size_t kMostWork = 2'000'000;

std::size_t indexOf(ExprId id) { return static_cast<std::size_t>(id); }

base::Error tooLarge(const char* what) {
  return {base::ErrorCode::kLimit, std::string("The text's automaton would be too large: ") + what + "."};
}

struct Node {
  std::vector<std::uint32_t> free;  ///< reached without a character
  std::vector<Edge> edges;
};

/// Thompson's construction: every expression has one way in and one way out.
class Nodes {
 public:
  explicit Nodes(const Grammar& grammar) : grammar_(grammar) {}

  base::Result<std::vector<Node>> build() {
    const std::uint32_t start = add();
    QUERN_ASSIGN(end, add(grammar_.root, start, 0));
    return std::move(nodes_);
  }
  std::uint32_t end = 0;

 private:
  std::uint32_t add() {
    nodes_.emplace_back();
    return static_cast<std::uint32_t>(nodes_.size() - 1);
  }

  base::Result<std::uint32_t> add(ExprId id, std::uint32_t from, std::size_t rules) {
    if (nodes_.size() > kMostNodes) return tooLarge("its parts are repeated too often");
    const Expr& expr = grammar_.expressions[indexOf(id)];
    switch (expr.kind) {
      case ExprKind::kLiteral:
        return literal(expr.literal, from);
      case ExprKind::kCharacters: {
        const std::uint32_t to = add();
        for (const auto& range : expr.characters) nodes_[from].edges.push_back({range.first, range.last, to});
        return to;
      }
      case ExprKind::kSequence:
        for (const ExprId child : expr.children) {
          QUERN_ASSIGN(from, add(child, from, rules));
        }
        return from;
      case ExprKind::kChoice: {
        const std::uint32_t to = add();
        for (const ExprId child : expr.children) {
          const std::uint32_t begin = add();
          nodes_[from].free.push_back(begin);
          QUERN_ASSIGN(const std::uint32_t last, add(child, begin, rules));
          nodes_[last].free.push_back(to);
        }
        return to;
      }
      case ExprKind::kRepeat:
        return repeat(expr, from, rules);
      case ExprKind::kRule:
        if (rules > 64) return tooLarge("its rules recur");
        return add(grammar_.rules[static_cast<std::size_t>(expr.rule)].body, from, rules + 1);
      case ExprKind::kStates:
        break;
    }
    QUERN_CHECK(false, "no notation of texts writes automata");
    return from;
  }

  std::uint32_t literal(std::string_view text, std::uint32_t from) {
    while (!text.empty()) {
      const std::size_t bytes = base::utf8CharacterBytes(text);
      QUERN_CHECK(bytes > 0, "a literal that is not UTF-8");
      char32_t character = static_cast<unsigned char>(text[0]);
      if (bytes > 1) character &= 0x7F >> bytes;
      for (std::size_t at = 1; at < bytes; ++at) {
        character = character << 6 | (static_cast<unsigned char>(text[at]) & 0x3F);
      }
      text.remove_prefix(bytes);
      const std::uint32_t to = add();
      nodes_[from].edges.push_back({character, character, to});
      from = to;
    }
    return from;
  }

  base::Result<std::uint32_t> repeat(const Expr& expr, std::uint32_t from, std::size_t rules) {
    const ExprId part = expr.children.front();
    for (std::int64_t time = 0; time < expr.least; ++time) {
      QUERN_ASSIGN(from, add(part, from, rules));
    }
    const std::uint32_t to = add();
    if (expr.most == kUnbounded) {
      const std::uint32_t loop = add();
      nodes_[from].free.push_back(loop);
      QUERN_ASSIGN(const std::uint32_t last, add(part, loop, rules));
      nodes_[last].free.push_back(loop);
      nodes_[loop].free.push_back(to);
      return to;
    }
    for (std::int64_t time = expr.least; time < expr.most; ++time) {
      nodes_[from].free.push_back(to);
      const std::uint32_t begin = add();
      nodes_[from].free.push_back(begin);
      QUERN_ASSIGN(from, add(part, begin, rules));
    }
    nodes_[from].free.push_back(to);
    return to;
  }

  const Grammar& grammar_;
  std::vector<Node> nodes_;
};

/// The subset construction.
class Subsets {
 public:
  Subsets(const std::vector<Node>& nodes, std::uint32_t end) : nodes_(nodes), end_(end) {}

  base::Result<std::vector<State>> run() {
    std::vector<State> states;
    numberOf({0});
    for (std::size_t next = 0; next < sets_.size(); ++next) {
      states.push_back(stateOf(*sets_[next]));
      if (sets_.size() > TextLanguage::kMostStates || work_ > kMostWork) {
        return tooLarge("too many of its parts can match at once");
      }
    }
    return states;
  }

 private:
  using Set = std::vector<std::uint32_t>;

  std::uint32_t numberOf(Set open) {
    Set all;
    ++mark_;
    marks_.resize(nodes_.size());
    while (!open.empty()) {
      const std::uint32_t at = open.back();
      open.pop_back();
      if (marks_[at] == mark_) continue;
      marks_[at] = mark_;
      all.push_back(at);
      open.insert(open.end(), nodes_[at].free.begin(), nodes_[at].free.end());
      work_ += 1 + nodes_[at].free.size();
    }
    std::sort(all.begin(), all.end());
    const auto [found, added] = numbers_.emplace(std::move(all), static_cast<std::uint32_t>(sets_.size()));
    if (added) sets_.push_back(&found->first);
    return found->second;
  }

  State stateOf(const Set& set) {
    State state{{}, std::binary_search(set.begin(), set.end(), end_)};
    std::vector<Edge> edges;
    std::vector<char32_t> borders;
    for (const std::uint32_t node : set) {
      for (const Edge& edge : nodes_[node].edges) {
        edges.push_back(edge);
        borders.push_back(edge.first);
        borders.push_back(edge.last + 1);
      }
    }
    std::sort(borders.begin(), borders.end());
    borders.erase(std::unique(borders.begin(), borders.end()), borders.end());
    std::sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) { return a.first < b.first; });
    std::vector<Edge> here;  // those that the border lies in
    auto next = edges.begin();
    for (std::size_t at = 0; at + 1 < borders.size() && work_ <= kMostWork; ++at) {
      std::erase_if(here, [&](const Edge& edge) { return edge.last < borders[at]; });
      for (; next != edges.end() && next->first <= borders[at]; ++next) here.push_back(*next);
      Set targets;
      for (const Edge& edge : here) targets.push_back(edge.target);
      work_ += 1 + here.size();
      if (targets.empty()) continue;
      const std::uint32_t target = numberOf(std::move(targets));
      if (!state.edges.empty() && state.edges.back().target == target &&
          state.edges.back().last + 1 == borders[at]) {
        state.edges.back().last = borders[at + 1] - 1;
      } else {
        state.edges.push_back({borders[at], borders[at + 1] - 1, target});
      }
    }
    return state;
  }

  const std::vector<Node>& nodes_;
  const std::uint32_t end_;
  std::map<Set, std::uint32_t> numbers_;
  std::vector<const Set*> sets_;
  std::vector<std::uint32_t> marks_;
  std::uint32_t mark_ = 0;
  std::size_t work_ = 0;
};

/// States that several edges lead to become rules, the others stand where they are reached.
class LanguageWriter {
 public:
  LanguageWriter(std::span<const State> states, GrammarBuilder& builder, const TextLanguage::Speller& spell)
      : states_(states), builder_(builder), spell_(spell), ways_(states.size()), rules_(states.size()) {
    ways_[0] = 1;
    for (std::uint32_t from = 0; from < states.size(); ++from) {
      std::optional<std::uint32_t> before;  // edges to one target are one way
      for (const Edge& edge : states[from].edges) {
        if (edge.target != from && edge.target != before) ++ways_[edge.target];
        before = edge.target;
      }
    }
  }

  ExprId run() {
    const ExprId start = reach(0, 0);
    while (!open_.empty()) {
      const std::uint32_t at = open_.back();
      open_.pop_back();
      builder_.define(*rules_[at], body(at, 0));
    }
    return start;
  }

 private:
  /// Deeper ones become rules, too, so that no expression grows deep.
  static constexpr std::size_t kMostDepth = 100;

  ExprId reach(std::uint32_t state, std::size_t depth) {
    if (ways_[state] <= 1 && depth < kMostDepth) return body(state, depth);
    if (!rules_[state]) {
      rules_[state] = builder_.declare("text state " + std::to_string(state));
      open_.push_back(state);
    }
    return builder_.use(*rules_[state]);
  }

  ExprId body(std::uint32_t at, std::size_t depth) {
    std::map<std::uint32_t, std::vector<CharacterRange>> classes;
    for (const Edge& edge : states_[at].edges) classes[edge.target].push_back({edge.first, edge.last});
    std::vector<ExprId> options;
    for (const auto& [target, ranges] : classes) {
      if (target == at) continue;
      options.push_back(builder_.sequence({spell_(ranges), reach(target, depth + 1)}));
    }
    if (states_[at].accepts) options.push_back(builder_.empty());
    const ExprId rest = builder_.choice(std::move(options));
    const auto loop = classes.find(at);
    if (loop == classes.end()) return rest;
    return builder_.sequence({builder_.repeat(spell_(loop->second), 0), rest});
  }

  std::span<const State> states_;
  GrammarBuilder& builder_;
  const TextLanguage::Speller& spell_;
  std::vector<std::size_t> ways_;
  std::vector<std::optional<RuleId>> rules_;
  std::vector<std::uint32_t> open_;
};

}  // namespace

base::Result<TextLanguage> TextLanguage::of(const Grammar& grammar) {
  Nodes builder(grammar);
  QUERN_ASSIGN(const std::vector<Node> nodes, builder.build());
  QUERN_ASSIGN(std::vector<State> states, Subsets(nodes, builder.end).run());
  return TextLanguage(std::move(states));
}

ExprId TextLanguage::write(GrammarBuilder& builder, const Speller& spell) const {
  QUERN_CHECK(!empty(), "a language without texts cannot be written");
  return LanguageWriter(states_, builder, spell).run();
}

}  // namespace quern::engine::grammar
