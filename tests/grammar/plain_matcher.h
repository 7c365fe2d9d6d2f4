// The plainest reading of a grammar: which ends an expression can have in a text, by recursion. What fast
// ones are compared with; too slow for anything else.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/text.h"
#include "engine/grammar/grammar.h"

namespace quern::engine::grammar {

class PlainMatcher {
 public:
  /// Both must outlive it.
  PlainMatcher(const Grammar& grammar, std::string_view text) : grammar_(grammar), text_(text) {}

  /// Whether the whole text is one of the grammar's.
  bool matches() { return ends(grammar_.root, 0).contains(text_.size()); }

 private:
  using Ends = std::set<std::size_t>;

  const Ends& ends(ExprId id, std::size_t from) {
    const auto key = std::pair(static_cast<std::uint32_t>(id), from);
    if (const auto known = known_.find(key); known != known_.end()) return known->second;
    return known_.emplace(key, find(grammar_.expressions[static_cast<std::size_t>(id)], from)).first->second;
  }

  Ends find(const Expr& expr, std::size_t from) {
    switch (expr.kind) {
      case ExprKind::kLiteral:
        return text_.substr(from).starts_with(expr.literal) ? Ends{from + expr.literal.size()} : Ends{};
      case ExprKind::kCharacters:
        return character(expr, from);
      case ExprKind::kSequence: {
        Ends all{from};
        for (const ExprId child : expr.children) all = after(all, child);
        return all;
      }
      case ExprKind::kChoice: {
        Ends all;
        for (const ExprId child : expr.children) all.merge(Ends(ends(child, from)));
        return all;
      }
      case ExprKind::kRepeat:
        return repeat(expr, from);
      case ExprKind::kRule:
        return ends(grammar_.rules[static_cast<std::size_t>(expr.rule)].body, from);
      case ExprKind::kStates:
        break;  // no notation writes them
    }
    return {};
  }

  Ends after(const Ends& starts, ExprId part) {
    Ends all;
    for (const std::size_t start : starts) all.merge(Ends(ends(part, start)));
    return all;
  }

  Ends repeat(const Expr& expr, std::size_t from) {
    Ends all;
    Ends here{from};
    for (std::int64_t times = 0; !here.empty(); ++times) {
      if (times >= expr.least) {
        const std::size_t before = all.size();
        all.insert(here.begin(), here.end());
        if (all.size() == before) break;  // more times lead nowhere else
      }
      if (times == expr.most) break;
      here = after(here, expr.children.front());
    }
    return all;
  }

  Ends character(const Expr& expr, std::size_t from) {
    const std::string_view rest = text_.substr(from);
    const std::size_t bytes = base::utf8CharacterBytes(rest);
    if (bytes == 0) return {};
    char32_t c = static_cast<unsigned char>(rest[0]);
    if (bytes > 1) c &= 0x7F >> bytes;
    for (std::size_t at = 1; at < bytes; ++at) c = c << 6 | (static_cast<unsigned char>(rest[at]) & 0x3F);
    const auto in = [&](const CharacterRange& range) { return range.first <= c && c <= range.last; };
    return std::any_of(expr.characters.begin(), expr.characters.end(), in) ? Ends{from + bytes} : Ends{};
  }

  const Grammar& grammar_;
  const std::string_view text_;
  std::map<std::pair<std::uint32_t, std::size_t>, Ends> known_;
};

inline bool plainlyMatches(const Grammar& grammar, std::string_view text) {
  return PlainMatcher(grammar, text).matches();
}

}  // namespace quern::engine::grammar
