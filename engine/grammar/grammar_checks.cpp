#include "engine/grammar/grammar_checks.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>

#include "engine/base/text.h"

namespace quern::engine::grammar {
namespace {

std::size_t indexOf(ExprId id) { return static_cast<std::size_t>(id); }

/// A property that a leaf has or has not, a sequence has if all of its parts have it, a choice if one has it,
/// and a repetition if it may be empty or its part has it. An automaton may have it as a leaf has, or as a
/// choice. Least fixed point by counting what is missing.
class Property {
 public:
  explicit Property(const Grammar& grammar)
      : grammar_(grammar), isTrue_(grammar.expressions.size()), missing_(grammar.expressions.size(), 1) {
    countParents();
  }

  /// `passesExits`: an automaton has the property if something behind one of its exits has it.
  template <class OfLeaf>
  std::vector<bool> solve(bool passesExits, const OfLeaf& ofLeaf) {
    for (std::size_t i = 0; i < grammar_.expressions.size(); ++i) {
      const Expr& expr = grammar_.expressions[i];
      const bool isLeaf = expr.kind == ExprKind::kLiteral || expr.kind == ExprKind::kCharacters;
      if (expr.kind == ExprKind::kSequence) missing_[i] = expr.children.size();
      const bool isStates = expr.kind == ExprKind::kStates;
      if (isLeaf || isStates ? ofLeaf(expr) : expr.kind == ExprKind::kRepeat && expr.least == 0) hold(i);
      // Its exits lie behind characters: nothing there makes it empty.
      if (isStates && !passesExits) missing_[i] = expr.children.size() + 1;
    }
    while (!open_.empty()) {
      const std::size_t at = open_.back();
      open_.pop_back();
      for (std::size_t p = firstParent_[at]; p < firstParent_[at + 1]; ++p) {
        if (--missing_[parents_[p]] == 0) hold(parents_[p]);
      }
    }
    return isTrue_;
  }

 private:
  template <class Visit>
  void forEachEdge(const Visit& visit) const {
    for (std::size_t i = 0; i < grammar_.expressions.size(); ++i) {
      const Expr& expr = grammar_.expressions[i];
      for (const ExprId child : expr.children) visit(indexOf(child), i);
      if (expr.kind == ExprKind::kRule) {
        visit(indexOf(grammar_.rules[static_cast<std::size_t>(expr.rule)].body), i);
      }
    }
  }

  void countParents() {
    firstParent_.assign(grammar_.expressions.size() + 1, 0);
    forEachEdge([&](std::size_t child, std::size_t) { ++firstParent_[child + 1]; });
    for (std::size_t i = 1; i < firstParent_.size(); ++i) firstParent_[i] += firstParent_[i - 1];
    parents_.resize(firstParent_.back());
    std::vector<std::size_t> next(firstParent_.begin(), firstParent_.end() - 1);
    forEachEdge([&](std::size_t child, std::size_t parent) { parents_[next[child]++] = parent; });
  }

  void hold(std::size_t expr) {
    if (isTrue_[expr]) return;
    isTrue_[expr] = true;
    open_.push_back(expr);
  }

  const Grammar& grammar_;
  std::vector<bool> isTrue_;
  std::vector<std::size_t> missing_, firstParent_, parents_, open_;
};

std::vector<bool> productiveExpressions(const Grammar& grammar) {
  return Property(grammar).solve(true, [](const Expr& expr) {
    if (expr.kind != ExprKind::kStates) return expr.kind == ExprKind::kLiteral || !expr.characters.empty();
    const auto& states = expr.states->states;
    return std::any_of(states.begin(), states.end(), [](const auto& state) { return state.mayEnd; });
  });
}

/// Looks for a rule that can come to itself again without reading anything. Depth first over expressions.
class LeftRecursion {
 public:
  explicit LeftRecursion(const Grammar& grammar)
      : grammar_(grammar),
        nullable_(nullableExpressions(grammar)),
        colors_(grammar.expressions.size(), Color::kNew) {}

  /// The expression that uses a rule which it is a part of; nullptr: none.
  const Expr* find() {
    for (std::size_t i = 0; i < grammar_.expressions.size(); ++i) {
      if (colors_[i] != Color::kNew) continue;
      if (const Expr* found = findFrom(i)) return found;
    }
    return nullptr;
  }

 private:
  enum class Color : std::uint8_t { kNew, kOpen, kDone };
  struct Frame {
    std::size_t expr;
    std::size_t next = 0;  ///< of its children
  };

  /// The next expression that can stand at the beginning of the frame's; advances the frame.
  bool nextFirst(Frame& frame, std::size_t& first) const {
    const Expr& expr = grammar_.expressions[frame.expr];
    if (expr.kind == ExprKind::kRule) {
      first = indexOf(grammar_.rules[static_cast<std::size_t>(expr.rule)].body);
      return frame.next++ == 0;
    }
    // Characters come before an automaton's exits.
    if (frame.next >= expr.children.size() || expr.kind == ExprKind::kStates) return false;
    if (expr.kind == ExprKind::kRepeat && expr.most == 0) return false;
    first = indexOf(expr.children[frame.next++]);
    if (expr.kind == ExprKind::kSequence && !nullable_[first]) frame.next = expr.children.size();
    return true;
  }

  const Expr* findFrom(std::size_t start) {
    std::vector<Frame> path = {{start}};
    colors_[start] = Color::kOpen;
    while (!path.empty()) {
      std::size_t first = 0;
      if (!nextFirst(path.back(), first)) {
        colors_[path.back().expr] = Color::kDone;
        path.pop_back();
      } else if (colors_[first] == Color::kOpen) {
        // Every circle leads through the use of a rule: children are older than what they are parts of.
        for (std::size_t i = path.size(); i-- > 0;) {
          const Expr& expr = grammar_.expressions[path[i].expr];
          if (expr.kind == ExprKind::kRule) return &expr;
        }
      } else if (colors_[first] == Color::kNew) {
        colors_[first] = Color::kOpen;
        path.push_back({first});
      }
    }
    return nullptr;
  }

  const Grammar& grammar_;
  std::vector<bool> nullable_;
  std::vector<Color> colors_;
};

base::Error invalid(std::string sentence) { return {base::ErrorCode::kInvalidArgument, std::move(sentence)}; }

}  // namespace

std::vector<bool> nullableExpressions(const Grammar& grammar) {
  return Property(grammar).solve(false, [](const Expr& expr) {
    if (expr.kind == ExprKind::kStates) return expr.states->states[0].mayEnd;
    return expr.kind == ExprKind::kLiteral && expr.literal.empty();
  });
}

base::Result<void> checkRules(const Grammar& grammar) {
  if (const Expr* expr = LeftRecursion(grammar).find()) {
    return invalid("The rule \"" + base::printable(grammar.rules[static_cast<std::size_t>(expr->rule)].name) +
                   "\" begins with itself (left recursion). Write it as a repetition, such as "
                   "`list ::= item (\",\" item)*`.");
  }
  const std::vector<bool> productive = productiveExpressions(grammar);
  for (const Rule& rule : grammar.rules) {
    if (productive[indexOf(rule.body)]) continue;
    return invalid("The rule \"" + base::printable(rule.name) +
                   "\" can never end: no finite text matches it. Give it an option without itself.");
  }
  if (!productive[indexOf(grammar.root)]) {
    return invalid("No text matches the grammar: it asks for a character of an empty set.");
  }
  return base::ok();
}

}  // namespace quern::engine::grammar
