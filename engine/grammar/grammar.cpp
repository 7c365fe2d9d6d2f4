#include "engine/grammar/grammar.h"

#include <algorithm>
#include <utility>

#include "engine/base/check.h"
#include "engine/base/text.h"
#include "engine/grammar/control_text.h"
#include "engine/grammar/grammar_checks.h"

namespace quern::engine::grammar {
namespace {

constexpr char32_t kLastCharacter = 0x10FFFF;
constexpr CharacterRange kSurrogates{0xD800, 0xDFFF};

std::size_t indexOf(ExprId id) { return static_cast<std::size_t>(id); }
std::size_t indexOf(RuleId id) { return static_cast<std::size_t>(id); }

base::Error limitError(const std::string& what, std::uint64_t limit) {
  return {base::ErrorCode::kLimit, "The grammar is too large: " + what + " (at most " +
                                       std::to_string(limit) +
                                       "). Make it smaller, or split what it describes."};
}

/// Sorted, joined where they touch, within Unicode.
std::vector<CharacterRange> normalized(std::vector<CharacterRange> ranges) {
  std::erase_if(ranges, [](const auto& range) { return range.first > range.last; });
  std::sort(ranges.begin(), ranges.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<CharacterRange> joined;
  for (CharacterRange range : ranges) {
    if (range.first > kLastCharacter) break;
    range.last = std::min(range.last, kLastCharacter);
    if (!joined.empty() && range.first <= joined.back().last + 1) {
      joined.back().last = std::max(joined.back().last, range.last);
    } else {
      joined.push_back(range);
    }
  }
  return joined;
}

std::vector<CharacterRange> complement(const std::vector<CharacterRange>& ranges) {
  std::vector<CharacterRange> others;
  char32_t next = 0;
  for (const CharacterRange& range : ranges) {
    if (range.first > next) others.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLastCharacter) others.push_back({next, kLastCharacter});
  return others;
}

/// Surrogates are halves of a character in another encoding; UTF-8 has no bytes for them.
std::vector<CharacterRange> withoutSurrogates(const std::vector<CharacterRange>& ranges) {
  std::vector<CharacterRange> left;
  for (const CharacterRange& range : ranges) {
    if (range.first < kSurrogates.first) {
      left.push_back({range.first, std::min<char32_t>(range.last, kSurrogates.first - 1)});
    }
    if (range.last > kSurrogates.last) {
      left.push_back({std::max<char32_t>(range.first, kSurrogates.last + 1), range.last});
    }
  }
  return left;
}

}  // namespace

GrammarBuilder::GrammarBuilder(const GrammarLimits& limits) : limits_(limits) {}

ExprId GrammarBuilder::add(Expr expr) {
  std::size_t depth = 0;
  for (const ExprId child : expr.children) {
    QUERN_CHECK(indexOf(child) < grammar_.expressions.size(), "an expression is made of ones that exist");
    depth = std::max(depth, depths_[indexOf(child)] + 1);
  }
  if (!error_ && depth > limits_.depth) {
    error_ = limitError("its parts are nested too deeply", limits_.depth);
  }
  if (!error_ && grammar_.expressions.size() >= limits_.expressions) {
    error_ = limitError("it has too many parts", limits_.expressions);
  }
  // One that says no more than that it has failed is as good as any.
  if (error_ && !grammar_.expressions.empty()) return ExprId{0};
  if (error_) expr = {};
  grammar_.expressions.push_back(std::move(expr));
  depths_.push_back(depth);
  return static_cast<ExprId>(grammar_.expressions.size() - 1);
}

/// So many bytes more of literals and ranges? Counts them.
bool GrammarBuilder::mayHold(std::size_t bytes) {
  if (bytes > limits_.literalBytes - std::min(limits_.literalBytes, literalBytes_)) {
    if (!error_) {
      error_ =
          limitError("its literal texts and sets of characters take too many bytes", limits_.literalBytes);
    }
    return false;
  }
  literalBytes_ += bytes;
  return true;
}

ExprId GrammarBuilder::empty() { return literal({}); }

ExprId GrammarBuilder::literal(std::string_view text) {
  if (!error_ && hasControlBytes(text)) {
    error_ = base::Error(base::ErrorCode::kInvalidArgument,
                         "The grammar has a text with a byte 0xFE or 0xFF in it, which no UTF-8 text has. "
                         "Write the character itself, in UTF-8.");
  }
  return bytes(text);
}

ExprId GrammarBuilder::control(std::string_view written) {
  const std::string token = controlBytes(written);
  // Nothing can be read there.
  return token.empty() ? characters({}) : bytes(token);
}

ExprId GrammarBuilder::bytes(std::string_view bytes) {
  Expr expr;
  if (mayHold(bytes.size())) expr.literal = bytes;
  return add(std::move(expr));
}

ExprId GrammarBuilder::characters(std::span<const CharacterRange> ranges, bool negated) {
  if (error_) return add({});
  Expr expr;
  expr.kind = ExprKind::kCharacters;
  expr.characters = normalized({ranges.begin(), ranges.end()});
  if (negated) expr.characters = complement(expr.characters);
  expr.characters = withoutSurrogates(expr.characters);
  if (!mayHold(expr.characters.size() * sizeof(CharacterRange))) expr.characters.clear();
  return add(std::move(expr));
}

ExprId GrammarBuilder::states(CharacterStates automaton, std::vector<ExprId> behindExits) {
  QUERN_CHECK(!automaton.states.empty(), "an automaton has a state to begin in");
  std::size_t bytes = 0;
  const auto check = [&](std::vector<CharacterStates::Edge>& edges, std::size_t targets) {
    for (CharacterStates::Edge& edge : edges) {
      QUERN_CHECK(edge.target < targets, "an edge leads somewhere");
      edge.characters = withoutSurrogates(normalized(std::move(edge.characters)));
      bytes += edge.characters.size() * sizeof(CharacterRange) + sizeof edge;
    }
  };
  for (CharacterStates::State& state : automaton.states) {
    check(state.edges, automaton.states.size());
    check(state.exits, behindExits.size());
  }
  if (!mayHold(bytes)) return add({});
  Expr expr;
  expr.kind = ExprKind::kStates;
  expr.children = std::move(behindExits);
  expr.states = std::make_shared<const CharacterStates>(std::move(automaton));
  return add(std::move(expr));
}

ExprId GrammarBuilder::sequence(std::vector<ExprId> parts) {
  if (parts.size() == 1) return parts.front();
  if (parts.empty()) return empty();
  Expr expr;
  expr.kind = ExprKind::kSequence;
  expr.children = std::move(parts);
  return add(std::move(expr));
}

ExprId GrammarBuilder::choice(std::vector<ExprId> options) {
  QUERN_CHECK(!options.empty(), "a choice has at least one option");
  if (options.size() == 1) return options.front();
  Expr expr;
  expr.kind = ExprKind::kChoice;
  expr.children = std::move(options);
  return add(std::move(expr));
}

ExprId GrammarBuilder::repeat(ExprId part, std::int64_t least, std::int64_t most) {
  QUERN_CHECK(least >= 0 && (most == kUnbounded || most >= least), "a repetition's bounds are in order");
  if (!error_ && std::max(least, most) > limits_.repetitions) {
    error_ = base::Error(base::ErrorCode::kLimit,
                         "The grammar repeats a part up to " + std::to_string(std::max(least, most)) +
                             " times; at most " + std::to_string(limits_.repetitions) +
                             " can be counted. Use a smaller bound, or none.");
  }
  Expr expr;
  expr.kind = ExprKind::kRepeat;
  expr.children = {part};
  expr.least = least;
  expr.most = most;
  return add(std::move(expr));
}

void GrammarBuilder::label(ExprId expression, std::string text) {
  if (!error_) grammar_.labels.push_back({expression, std::move(text)});
}

RuleId GrammarBuilder::declare(std::string name) {
  if (!error_ && grammar_.rules.size() >= limits_.expressions) {
    error_ = limitError("it has too many rules", limits_.expressions);
  }
  if (error_ && !grammar_.rules.empty()) return RuleId{0};
  grammar_.rules.push_back({std::move(name), {}});
  defined_.push_back(false);
  return static_cast<RuleId>(grammar_.rules.size() - 1);
}

void GrammarBuilder::define(RuleId rule, ExprId body) {
  QUERN_CHECK(indexOf(rule) < grammar_.rules.size() && indexOf(body) < grammar_.expressions.size(),
              "rule and body exist");
  if (error_) return;
  QUERN_CHECK(!defined_[indexOf(rule)], "a rule is defined once");
  grammar_.rules[indexOf(rule)].body = body;
  defined_[indexOf(rule)] = true;
}

ExprId GrammarBuilder::use(RuleId rule) {
  QUERN_CHECK(indexOf(rule) < grammar_.rules.size(), "a rule is declared before it is used");
  Expr expr;
  expr.kind = ExprKind::kRule;
  expr.rule = rule;
  return add(std::move(expr));
}

base::Result<Grammar> GrammarBuilder::finish(ExprId root) && {
  if (error_) return *std::move(error_);
  QUERN_CHECK(indexOf(root) < grammar_.expressions.size(), "the root exists");
  for (std::size_t rule = 0; rule < defined_.size(); ++rule) {
    if (defined_[rule]) continue;
    return base::Error(base::ErrorCode::kInvalidArgument,
                       "The grammar uses the rule \"" + base::printable(grammar_.rules[rule].name) +
                           "\", which is not defined. Define it, or correct the name.");
  }
  grammar_.root = root;
  QUERN_TRY(checkRules(grammar_));
  return std::move(grammar_);
}

}  // namespace quern::engine::grammar
