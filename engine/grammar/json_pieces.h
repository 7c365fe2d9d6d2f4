// The parts of JSON texts as expressions: white space, strings, numbers, values of any kind.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/grammar/grammar.h"

namespace quern::engine::grammar {

/// White space between the parts of an answer; there is never any before its beginning or behind its end.
enum class JsonSpacing : std::uint8_t {
  kCompact,   ///< none: {"a":1,"b":[1,2]}
  kSpaced,    ///< one space behind "," and ":", as Python writes it: {"a": 1, "b": [1, 2]}
  kFlexible,  ///< behind ":" at most a space; elsewhere at most a space, or a line's end and its indentation
};

/// Free numbers have so many digits before the point at most, and behind it: every decimal of 15 digits is a
/// double of its own, so that no reader rounds one across a bound.
inline constexpr std::int64_t kNumberDigits = 15;
/// Spaces or tabs behind a line's end. A model that indents for ever is stopped here.
inline constexpr std::int64_t kIndentation = 20;

/// Writes parts of JSON into a builder that must outlive it. Parts are made once and shared.
class JsonPieces {
 public:
  JsonPieces(GrammarBuilder& builder, JsonSpacing spacing) : builder_(builder), spacing_(spacing) {}

  GrammarBuilder& builder() { return builder_; }

  /// Behind "{" and "[", and before "}" and "]".
  ExprId edge();
  ExprId comma();
  ExprId colon();

  /// One character of these as it stands within quotes: as itself, or in its shortest escape where it needs
  /// one.
  ExprId character(std::span<const CharacterRange> ranges);
  /// One character of any kind, as itself or in any escape; half a surrogate pair is none.
  ExprId anyCharacter();
  /// A string, quotes included, of so many characters.
  ExprId string(std::int64_t least = 0, std::int64_t most = kUnbounded);
  /// A number of any size that a double can hold.
  ExprId number();
  /// Any value; objects and arrays within each other without limit.
  ExprId value();
  ExprId object();
  ExprId array();
  /// Exactly this value. Members keep their order.
  ExprId constant(const nlohmann::ordered_json& value);
  /// One of these values, at least one.
  ExprId constants(std::span<const nlohmann::ordered_json> values);

  /// `text` within quotes, escaped only where it must be.
  static std::string quoted(std::string_view text);
  /// A scalar's shortest text. Whole numbers have no point.
  static std::string scalar(const nlohmann::ordered_json& value);

 private:
  ExprId escape();
  ExprId oneOf(std::string_view characters);
  ExprId trie(std::span<const std::string> sorted, std::size_t from, std::size_t depth);
  void defineValue();

  GrammarBuilder& builder_;
  const JsonSpacing spacing_;
  std::optional<ExprId> edge_, comma_, colon_, anyCharacter_, number_;
  std::optional<RuleId> value_, object_, array_;
  std::map<std::vector<std::pair<char32_t, char32_t>>, ExprId> classes_;
};

}  // namespace quern::engine::grammar
