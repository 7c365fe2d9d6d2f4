#include "engine/grammar/grammar_weight.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace quern::engine::grammar {
namespace {

/// An outer part that has so many times the states of an inner one is the cause itself.
constexpr double kSeveral = 4;
/// More labels are not looked at: an error's sentence is not worth it.
constexpr std::size_t kMostLabels = 500;

std::size_t indexOf(ExprId id) { return static_cast<std::size_t>(id); }

class Weights {
 public:
  explicit Weights(const Grammar& grammar) : grammar_(grammar), own_(grammar.expressions.size(), 0) {
    // Children are older than what they are parts of.
    for (std::size_t i = 0; i < own_.size(); ++i) own_[i] = weigh(grammar.expressions[i]);
  }

  /// States of the expression and of the rules that it uses, each of these once. `inner`, if it is among the
  /// parts, is noted.
  double of(ExprId root, ExprId inner, bool& hasInner) const {
    std::vector<bool> isKnown(own_.size(), false);
    std::vector<std::size_t> open = {indexOf(root)};
    isKnown[indexOf(root)] = true;
    double sum = own_[indexOf(root)];
    for (std::size_t next = 0; next < open.size(); ++next) {
      const Expr& expr = grammar_.expressions[open[next]];
      hasInner = hasInner || open[next] == indexOf(inner);
      const auto reach = [&](std::size_t to, bool isRule) {
        if (isKnown[to]) return;
        isKnown[to] = true;
        if (isRule) sum += own_[to];
        open.push_back(to);
      };
      for (const ExprId child : expr.children) reach(indexOf(child), false);
      if (expr.kind == ExprKind::kRule) {
        reach(indexOf(grammar_.rules[static_cast<std::size_t>(expr.rule)].body), true);
      }
    }
    return sum;
  }

 private:
  double weigh(const Expr& expr) const {
    double sum = 1;
    if (expr.kind == ExprKind::kLiteral) sum += static_cast<double>(expr.literal.size());
    if (expr.kind == ExprKind::kCharacters) sum += static_cast<double>(expr.characters.size());
    if (expr.kind == ExprKind::kStates) sum += static_cast<double>(expr.states->states.size());
    for (const ExprId child : expr.children) sum += own_[indexOf(child)];
    if (expr.kind != ExprKind::kRepeat) return sum;
    return sum * static_cast<double>(std::max<std::int64_t>({1, expr.least, expr.most}));
  }

  const Grammar& grammar_;
  std::vector<double> own_;  ///< rules not followed
};

}  // namespace

std::string heaviestPart(const Grammar& grammar) {
  const Weights weights(grammar);
  struct Part {
    const Grammar::Label* label;
    double weight;
  };
  std::vector<Part> parts;
  for (const Grammar::Label& label : grammar.labels) {
    if (parts.size() == kMostLabels) break;
    bool hasInner = false;
    parts.push_back({&label, weights.of(label.expression, label.expression, hasInner)});
  }
  if (parts.empty()) return {};
  std::stable_sort(parts.begin(), parts.end(),
                   [](const Part& a, const Part& b) { return a.weight > b.weight; });
  std::size_t at = 0;
  for (std::size_t i = 1; i < parts.size() && parts[i].weight * kSeveral > parts[at].weight; ++i) {
    bool isWithin = false;
    (void)weights.of(parts[at].label->expression, parts[i].label->expression, isWithin);
    if (isWithin) at = i;
  }
  return parts[at].label->text;
}

}  // namespace quern::engine::grammar
