// Grammars nobody would write: small, tangled, over few characters.
#pragma once

#include <optional>
#include <random>
#include <string>
#include <vector>

#include "engine/grammar/grammar.h"

namespace quern::test {

class RandomGrammar {
 public:
  explicit RandomGrammar(std::uint32_t seed) : random_(seed) {}

  /// nullopt: what came out recurs on its left, or never ends.
  std::optional<engine::grammar::Grammar> make() {
    using namespace engine::grammar;
    GrammarBuilder builder;
    rules_.clear();
    for (std::uint32_t i = 0; i <= below(4); ++i) rules_.push_back(builder.declare("r" + std::to_string(i)));
    for (const RuleId rule : rules_) builder.define(rule, expression(builder, 4));
    const ExprId root = expression(builder, 2);
    auto grammar = std::move(builder).finish(root);
    if (!grammar) return std::nullopt;
    return *std::move(grammar);
  }

  /// A byte that its texts may have.
  char byte() { return kBytes[below(sizeof(kBytes) - 1)]; }
  std::uint32_t below(std::uint32_t end) { return static_cast<std::uint32_t>(random_() % end); }

  static constexpr char kBytes[] = "abc\xC3\xA9\xE2\x82\xAC";

 private:
  engine::grammar::ExprId expression(engine::grammar::GrammarBuilder& builder, int depth) {
    const std::uint32_t kind = below(depth == 0 ? 4 : 9);
    if (kind < 2) return builder.literal(text());
    if (kind == 2) return characters(builder);
    if (kind == 3) return builder.use(rules_[below(static_cast<std::uint32_t>(rules_.size()))]);
    if (kind == 8 || kind == 7) {
      const std::int64_t least = below(3);
      const std::int64_t most = below(2) == 0 ? engine::grammar::kUnbounded : least + below(3);
      return builder.repeat(expression(builder, depth - 1), least, most);
    }
    std::vector<engine::grammar::ExprId> parts;
    for (std::uint32_t i = 0; i < 2 + below(2); ++i) parts.push_back(expression(builder, depth - 1));
    return kind == 4 ? builder.choice(std::move(parts)) : builder.sequence(std::move(parts));
  }

  engine::grammar::ExprId characters(engine::grammar::GrammarBuilder& builder) {
    static constexpr char32_t kPool[] = {U'a', U'b', U'c', U'é', U'ê', U'€', U'₭'};
    std::vector<engine::grammar::CharacterRange> ranges;
    for (std::uint32_t i = 0; i < 1 + below(2); ++i) {
      // Mostly of one length in UTF-8: the reference tries every character of a range.
      const std::uint32_t group = below(3);
      const bool isWide = below(16) == 0;
      const char32_t first = kPool[isWide ? below(7) : group == 0 ? below(3) : 1 + 2 * group + below(2)];
      const char32_t last = kPool[isWide ? below(7) : group == 0 ? below(3) : 1 + 2 * group + below(2)];
      ranges.push_back({std::min(first, last), std::max(first, last)});
    }
    return builder.characters(ranges);
  }

  std::string text() {
    std::string made;
    for (std::uint32_t length = below(4); made.size() < length;) made += kBytes[below(3)];
    return below(8) == 0 ? made + "é" : made;
  }

  std::mt19937 random_;
  std::vector<engine::grammar::RuleId> rules_;
};

}  // namespace quern::test
