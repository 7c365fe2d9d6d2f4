// Random texts of a grammar. They are short: from some depth on the shortest way to an end is taken.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "engine/grammar/grammar.h"

namespace quern::engine::grammar {

class RandomText {
 public:
  /// The grammar must outlive it.
  RandomText(const Grammar& grammar, std::uint64_t seed) : grammar_(grammar), random_(seed) { findHeights(); }

  std::string next() {
    text_.clear();
    write(grammar_.root, 0);
    return text_;
  }

 private:
  static constexpr std::uint32_t kNone = 1u << 30;
  static constexpr std::size_t kDeep = 60;
  static constexpr std::size_t kLong = 4'000;  // bytes; then, too, the shortest way is taken

  const Expr& at(ExprId id) const { return grammar_.expressions[static_cast<std::size_t>(id)]; }
  std::uint32_t height(ExprId id) const { return heights_[static_cast<std::size_t>(id)]; }
  std::size_t below(std::size_t count) {
    return std::uniform_int_distribution<std::size_t>(0, count - 1)(random_);
  }

  /// How deep the flattest text of an expression is.
  std::uint32_t heightOf(const Expr& expr) const {
    std::uint32_t most = 0;
    std::uint32_t least = kNone;
    for (const ExprId child : expr.children) {
      most = std::max(most, height(child));
      least = std::min(least, height(child));
    }
    switch (expr.kind) {
      case ExprKind::kLiteral:
        return 0;
      case ExprKind::kCharacters:
        return expr.characters.empty() ? kNone : 0;
      case ExprKind::kSequence:
        return most;
      case ExprKind::kChoice:
        return least;
      case ExprKind::kRepeat:
        return expr.least == 0 ? 0 : most;
      case ExprKind::kRule:
        return std::min(kNone, height(grammar_.rules[static_cast<std::size_t>(expr.rule)].body) + 1);
      case ExprKind::kStates:
        break;  // no notation writes them
    }
    return kNone;
  }

  void findHeights() {
    heights_.assign(grammar_.expressions.size(), kNone);
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t i = 0; i < heights_.size(); ++i) {
        const std::uint32_t now = heightOf(grammar_.expressions[i]);
        changed = changed || now != heights_[i];
        heights_[i] = now;
      }
    }
  }

  void write(ExprId id, std::size_t depth) {
    const Expr& expr = at(id);
    const bool hurry = depth > kDeep || text_.size() > kLong;
    switch (expr.kind) {
      case ExprKind::kLiteral:
        text_ += expr.literal;
        break;
      case ExprKind::kCharacters:
        writeCharacter(expr);
        break;
      case ExprKind::kSequence:
        for (const ExprId child : expr.children) write(child, depth);
        break;
      case ExprKind::kChoice:
        write(choose(expr, hurry), depth);
        break;
      case ExprKind::kRepeat: {
        std::int64_t times = expr.least;
        while (!hurry && (expr.most == kUnbounded || times < expr.most) && below(3) != 0 &&
               height(expr.children[0]) < kNone) {
          ++times;
        }
        // Now and then as many as there may be: bounds are where mistakes are.
        if (!hurry && expr.most != kUnbounded && expr.most < 300 && below(20) == 0) times = expr.most;
        for (std::int64_t i = 0; i < times; ++i) write(expr.children[0], depth);
        break;
      }
      case ExprKind::kRule:
        write(grammar_.rules[static_cast<std::size_t>(expr.rule)].body, depth + 1);
        break;
      case ExprKind::kStates:
        break;
    }
  }

  ExprId choose(const Expr& expr, bool hurry) {
    std::vector<ExprId> options;
    std::uint32_t flattest = kNone;
    for (const ExprId child : expr.children) flattest = std::min(flattest, height(child));
    for (const ExprId child : expr.children) {
      if (height(child) < kNone && (!hurry || height(child) == flattest)) options.push_back(child);
    }
    return options.at(below(options.size()));
  }

  void writeCharacter(const Expr& expr) {
    const CharacterRange& range = expr.characters.at(below(expr.characters.size()));
    char32_t last = range.last;
    if (below(4) != 0) last = std::min<char32_t>(last, range.first + 60);  // letters more often than rarities
    const char32_t c = range.first + static_cast<char32_t>(below(last - range.first + 1));
    const auto put = [&](char32_t byte) { text_ += static_cast<char>(byte); };
    if (c < 0x80) {
      put(c);
    } else if (c < 0x800) {
      put(0xC0 | c >> 6), put(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
      put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
    } else {
      put(0xF0 | c >> 18), put(0x80 | (c >> 12 & 0x3F)), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
    }
  }

  const Grammar& grammar_;
  std::mt19937_64 random_;
  std::vector<std::uint32_t> heights_;
  std::string text_;
};

}  // namespace quern::engine::grammar
