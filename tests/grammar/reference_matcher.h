// What a grammar means, said as plainly as possible: every expression from every place, remembered. Knows no
// automaton, no stack and no UTF-8 tables.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "engine/grammar/grammar.h"

namespace quern::test {

class ReferenceMatcher {
 public:
  ReferenceMatcher(const engine::grammar::Grammar& grammar, std::string_view text)
      : grammar_(grammar), text_(text), all_(match(grammar.root, 0)) {}

  /// The text matches.
  bool matches() const { return all_.ends.contains(text_.size()); }
  /// Something that begins with the text matches.
  bool isBeginning() const { return matches() || all_.goesBeyond; }

 private:
  using ExprId = engine::grammar::ExprId;
  using Kind = engine::grammar::ExprKind;
  struct Found {
    std::set<std::size_t> ends;  ///< where a match can end
    bool goesBeyond = false;     ///< one begins with all that is left of the text, and needs more
  };

  Found match(ExprId id, std::size_t at) {
    const auto key = std::pair(static_cast<std::size_t>(id), at);
    if (const auto known = known_.find(key); known != known_.end()) return known->second;
    const Found found = compute(grammar_.expressions[key.first], at);
    return known_[key] = found;
  }

  Found compute(const engine::grammar::Expr& expr, std::size_t at) {
    Found found;
    switch (expr.kind) {
      case Kind::kLiteral: {
        const std::string_view rest = text_.substr(at);
        if (rest.starts_with(expr.literal)) found.ends.insert(at + expr.literal.size());
        found.goesBeyond =
            rest.size() < expr.literal.size() && std::string_view(expr.literal).starts_with(rest);
        return found;
      }
      case Kind::kCharacters:
        return character(expr, at);
      case Kind::kSequence: {
        found.ends = {at};
        for (const ExprId child : expr.children) found = follow(found, child);
        return found;
      }
      case Kind::kChoice:
        for (const ExprId child : expr.children) add(found, match(child, at));
        return found;
      case Kind::kRepeat: {
        Found now;
        now.ends = {at};
        std::set<std::size_t> seen;
        for (std::int64_t count = 0;; ++count) {
          if (count >= expr.least) add(found, now);
          found.goesBeyond = found.goesBeyond || now.goesBeyond;
          if (count == expr.most) return found;
          if (count >= expr.least) {
            // Where it has been before it finds nothing new, if it need not count any more.
            std::erase_if(now.ends, [&](std::size_t end) {
              return expr.most == engine::grammar::kUnbounded && !seen.insert(end).second;
            });
          }
          if (now.ends.empty()) return found;
          now = follow(now, expr.children.front());
        }
      }
      case Kind::kRule:
        return match(grammar_.rules[static_cast<std::size_t>(expr.rule)].body, at);
      case Kind::kStates:
        break;  // no notation writes them
    }
    return found;
  }

  /// Every character is tried that could be meant: slow, and hard to get wrong.
  Found character(const engine::grammar::Expr& expr, std::size_t at) const {
    Found found;
    const std::string_view rest = text_.substr(at);
    for (const auto& range : expr.characters) {
      for (char32_t c = range.first; c <= range.last; ++c) {
        const std::string bytes = utf8(c);
        if (rest.starts_with(bytes)) found.ends.insert(at + bytes.size());
        if (rest.size() < bytes.size() && std::string_view(bytes).starts_with(rest)) found.goesBeyond = true;
        if (found.goesBeyond && rest.empty()) return found;
      }
    }
    return found;
  }

  static std::string utf8(char32_t c) {
    const auto byte = [](char32_t value) { return static_cast<char>(value); };
    if (c < 0x80) return {byte(c)};
    if (c < 0x800) return {byte(0xC0 + c / 64), byte(0x80 + c % 64)};
    if (c < 0x10000) return {byte(0xE0 + c / 4096), byte(0x80 + c / 64 % 64), byte(0x80 + c % 64)};
    return {byte(0xF0 + c / 262144), byte(0x80 + c / 4096 % 64), byte(0x80 + c / 64 % 64),
            byte(0x80 + c % 64)};
  }

  Found follow(const Found& before, ExprId next) {
    Found found;
    found.goesBeyond = before.goesBeyond;
    for (const std::size_t end : before.ends) add(found, match(next, end));
    return found;
  }
  static void add(Found& found, const Found& more) {
    found.ends.insert(more.ends.begin(), more.ends.end());
    found.goesBeyond = found.goesBeyond || more.goesBeyond;
  }

  const engine::grammar::Grammar& grammar_;
  std::string_view text_;
  std::map<std::pair<std::size_t, std::size_t>, Found> known_;
  Found all_;
};

}  // namespace quern::test
