// Which rules get an automaton of their own.

#include <algorithm>
#include <cstdint>
#include <limits>

#include "engine/grammar/automaton_parts.h"

namespace quern::engine::grammar {
namespace {

/// A rule of so many states is written out wherever it is used (white space, a sign, a short word): what
/// begins alike in several options then becomes one way, and tokens that lie across its end are decided
/// without looking at the stack.
constexpr std::size_t kSmall = 16;
/// The same for rules that are used once.
constexpr std::size_t kLarge = 4096;
/// Expressions within expressions that are written out: writeOut() recurs.
constexpr std::uint32_t kDeepest = 2500;
constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max() / 4;

std::size_t indexOf(ExprId id) { return static_cast<std::size_t>(id); }
std::size_t indexOf(RuleId id) { return static_cast<std::size_t>(id); }

/// Tarjan's strongly connected components over expressions; a component is finished behind all that it leads
/// to, so sizes are known when they are needed.
class Planner {
 public:
  explicit Planner(const Grammar& grammar)
      : grammar_(grammar),
        nodes_(grammar.expressions.size()),
        uses_(grammar.rules.size(), 0),
        decided_(grammar.rules.size(), false) {
    layout_.automatonOf.assign(grammar.rules.size(), Layout::kInlined);
    layout_.bodies.push_back(grammar.root);
    countUses();
  }

  Layout plan() {
    visit(indexOf(grammar_.root));
    return std::move(layout_);
  }

 private:
  struct Node {
    std::uint32_t order = 0;  ///< of being found; 0: not yet
    std::uint32_t low = 0;
    bool isOpen = false;  ///< its component is not finished
    std::uint32_t height = 0;
    std::size_t size = 0;
  };
  struct Frame {
    std::size_t expr;
    std::size_t next = 0;
  };

  void countUses() {
    std::vector<std::uint32_t> parents(grammar_.expressions.size(), 0);
    ++parents[indexOf(grammar_.root)];
    for (const Rule& rule : grammar_.rules) ++parents[indexOf(rule.body)];
    for (const Expr& expr : grammar_.expressions) {
      // Every copy of a repeated part is a use.
      const auto weight = expr.kind == ExprKind::kRepeat && expr.most != 1 ? 2U : 1U;
      for (const ExprId child : expr.children) parents[indexOf(child)] += weight;
    }
    for (std::size_t i = 0; i < grammar_.expressions.size(); ++i) {
      const Expr& expr = grammar_.expressions[i];
      if (expr.kind == ExprKind::kRule) uses_[indexOf(expr.rule)] += parents[i];
    }
  }

  std::size_t childCount(const Expr& expr) const {
    return expr.kind == ExprKind::kRule ? 1 : expr.children.size();
  }
  std::size_t child(const Expr& expr, std::size_t i) const {
    return indexOf(expr.kind == ExprKind::kRule ? grammar_.rules[indexOf(expr.rule)].body : expr.children[i]);
  }

  void open(std::size_t expr) {
    nodes_[expr].order = nodes_[expr].low = ++found_;
    nodes_[expr].isOpen = true;
    component_.push_back(expr);
    path_.push_back({expr});
  }

  void visit(std::size_t start) {
    open(start);
    while (!path_.empty()) {
      Frame& frame = path_.back();
      const std::size_t at = frame.expr;
      const Expr& expr = grammar_.expressions[at];
      if (frame.next < childCount(expr)) {
        const std::size_t to = child(expr, frame.next++);
        if (nodes_[to].order == 0) {
          open(to);
        } else if (nodes_[to].isOpen) {
          nodes_[at].low = std::min(nodes_[at].low, nodes_[to].order);
        }
        continue;
      }
      path_.pop_back();
      if (!path_.empty()) {
        Node& above = nodes_[path_.back().expr];
        above.low = std::min(above.low, nodes_[at].low);
      }
      if (nodes_[at].low == nodes_[at].order) close(at);
    }
  }

  /// All of one component: with more than one expression its rules recur.
  void close(std::size_t first) {
    const auto begin = std::find(component_.rbegin(), component_.rend(), first).base() - 1;
    std::vector<std::size_t> members(begin, component_.end());
    component_.erase(begin, component_.end());
    if (members.size() > 1) {
      for (const std::size_t member : members) {
        const Expr& expr = grammar_.expressions[member];
        if (expr.kind == ExprKind::kRule) call(expr.rule);
      }
      // Parts are older than what they are parts of, and rules within are calls now.
      std::sort(members.begin(), members.end());
    }
    for (const std::size_t member : members) measure(member);
    for (const std::size_t member : members) nodes_[member].isOpen = false;
  }

  void call(RuleId rule) {
    if (layout_.automatonOf[indexOf(rule)] != Layout::kInlined) return;
    layout_.automatonOf[indexOf(rule)] = static_cast<std::uint32_t>(layout_.bodies.size());
    layout_.bodies.push_back(grammar_.rules[indexOf(rule)].body);
    decided_[indexOf(rule)] = true;
  }

  void measure(std::size_t at) {
    const Expr& expr = grammar_.expressions[at];
    Node& node = nodes_[at];
    switch (expr.kind) {
      case ExprKind::kLiteral:
        node.size = expr.literal.size();
        return;
      case ExprKind::kCharacters:
        // A range of characters beyond ASCII takes a few states; most of their ends are shared.
        node.size = 1;
        if (!expr.characters.empty() && expr.characters.back().last >= 0x80) {
          node.size = 3 + 2 * expr.characters.size();
        }
        return;
      case ExprKind::kRule: {
        const Node& body = nodes_[indexOf(grammar_.rules[indexOf(expr.rule)].body)];
        if (!decided_[indexOf(expr.rule)]) {
          decided_[indexOf(expr.rule)] = true;
          const bool isSmall = body.size <= (uses_[indexOf(expr.rule)] <= 1 ? kLarge : kSmall);
          if (!isSmall || body.height + 1 > kDeepest / 2) call(expr.rule);
        }
        const bool isCalled = layout_.automatonOf[indexOf(expr.rule)] != Layout::kInlined;
        node.size = isCalled ? 1 : body.size;
        node.height = isCalled ? 0 : body.height + 1;
        return;
      }
      case ExprKind::kStates:
        node.size = 8 * expr.states->states.size();
        break;
      default:
        break;
    }
    for (const ExprId child : expr.children) {
      node.size = std::min(kMost, node.size + nodes_[indexOf(child)].size + 1);
      node.height = std::max(node.height, nodes_[indexOf(child)].height + 1);
    }
    if (expr.kind == ExprKind::kRepeat) {
      const auto copies = static_cast<std::size_t>(std::max(expr.least + 1, expr.most));
      node.size = node.size > kMost / copies ? kMost : node.size * copies;
    }
  }

  const Grammar& grammar_;
  std::vector<Node> nodes_;
  std::vector<std::uint32_t> uses_;  ///< per rule
  std::vector<bool> decided_;        ///< per rule
  std::vector<Frame> path_;
  std::vector<std::size_t> component_;
  std::uint32_t found_ = 0;
  Layout layout_;
};

}  // namespace

Layout layOut(const Grammar& grammar) { return Planner(grammar).plan(); }

}  // namespace quern::engine::grammar
