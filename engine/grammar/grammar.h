// A grammar over bytes: what JSON schemas, regular expressions, GBNF files and the forms of tool calls are
// written as before an automaton is made of them. It says nothing about tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace quern::engine::grammar {

/// Numbers of expressions and rules of one GrammarBuilder.
enum class ExprId : std::uint32_t {};
enum class RuleId : std::uint32_t {};

/// Characters from `first` to `last`, both included.
struct CharacterRange {
  char32_t first = 0;
  char32_t last = 0;
};

/// No upper bound of a repetition.
inline constexpr std::int64_t kUnbounded = -1;

/// What a grammar may be at most, whoever wrote it: all of them bound time and memory.
struct GrammarLimits {
  std::size_t expressions = 200'000;    ///< nodes, shared ones counted once
  std::size_t literalBytes = 4u << 20;  ///< of all literals and ranges of characters together
  std::int64_t repetitions = 100'000;   ///< the largest finite bound of a repetition
  std::size_t depth = 2'000;            ///< of expressions within expressions, rules not followed
};

/// Groups within groups of a notation: far more than anybody writes, far less than a thread's stack holds.
inline constexpr int kDeepestGroups = 200;

enum class ExprKind : std::uint8_t { kLiteral, kCharacters, kSequence, kChoice, kRepeat, kRule, kStates };

/// A finite automaton over characters, for what would be a very large expression.
struct CharacterStates {
  struct Edge {
    std::vector<CharacterRange> characters;  ///< sorted, apart from each other, no surrogates
    std::uint32_t target = 0;  ///< a state; of an exit: the number of the expression that follows
  };
  struct State {
    std::vector<Edge> edges, exits;
    bool mayEnd = false;
  };
  std::vector<State> states;  ///< the first is where it begins
  /// Control tokens may stand in it: their written forms are read as if they were text.
  bool hasControls = false;
};

struct Expr {
  ExprKind kind = ExprKind::kLiteral;
  std::string literal;                     ///< kLiteral: bytes, may be empty; or controlBytes()
  std::vector<CharacterRange> characters;  ///< kCharacters: sorted, apart from each other, no surrogates
  std::vector<ExprId> children;            ///< kSequence, kChoice; kRepeat: one; kStates: behind the exits
  std::int64_t least = 0;                  ///< kRepeat
  std::int64_t most = kUnbounded;
  RuleId rule{};                                  ///< kRule
  std::shared_ptr<const CharacterStates> states;  ///< kStates
};

struct Rule {
  std::string name;
  ExprId body{};
};

/// A finished grammar. Children have lower numbers than their parents; all rules are defined, none recurs on
/// its left, every rule can end.
struct Grammar {
  /// What an expression comes from, for error messages: `"maxItems" at /properties/tags`.
  struct Label {
    ExprId expression{};
    std::string text;
  };
  std::vector<Expr> expressions;
  std::vector<Label> labels;
  std::vector<Rule> rules;
  ExprId root{};
};

/// Writes a grammar. Not shared by threads. A builder that has been given more than its limits remembers the
/// first such error and says it in finish(), so that writers need not look after every call.
class GrammarBuilder {
 public:
  explicit GrammarBuilder(const GrammarLimits& limits = {});

  ExprId empty();
  /// UTF-8, or any other bytes but the two of control_text.h: with these finish() fails.
  ExprId literal(std::string_view bytes);
  /// The control token with this written form, and no text that looks like it. Where a vocabulary has none,
  /// no text of the grammar goes this way.
  ExprId control(std::string_view written);
  /// One character of these, or one of all others, as UTF-8.
  ExprId characters(std::span<const CharacterRange> ranges, bool negated = false);
  ExprId sequence(std::vector<ExprId> parts);
  /// At least one.
  ExprId choice(std::vector<ExprId> options);
  ExprId repeat(ExprId part, std::int64_t least, std::int64_t most = kUnbounded);
  ExprId optional(ExprId part) { return repeat(part, 0, 1); }
  /// An automaton, and what follows its exits.
  ExprId states(CharacterStates automaton, std::vector<ExprId> behindExits);
  /// Says what an expression comes from, in case that it is too large.
  void label(ExprId expression, std::string text);

  /// A rule may be used before it is defined; that is how recursion is written. Names are for error messages.
  RuleId declare(std::string name);
  void define(RuleId rule, ExprId body);
  ExprId use(RuleId rule);

  /// Errors: kLimit (a limit of GrammarLimits; it is named), kInvalidArgument (a rule that is not defined,
  /// that recurs on its left or that can never end; it is named; a literal with bytes that no text has).
  base::Result<Grammar> finish(ExprId root) &&;

 private:
  ExprId add(Expr expr);
  ExprId bytes(std::string_view bytes);
  bool mayHold(std::size_t bytes);

  GrammarLimits limits_;
  Grammar grammar_;
  std::vector<bool> defined_;
  std::size_t literalBytes_ = 0;
  std::vector<std::size_t> depths_;
  std::optional<base::Error> error_;
};

}  // namespace quern::engine::grammar
