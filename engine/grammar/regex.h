// Regular expressions as ECMAScript writes them (ECMA-262, 22.2, with its u flag), as far as an automaton can
// match them.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string_view>

#include "engine/base/result.h"
#include "engine/grammar/grammar.h"

namespace quern::engine::grammar {

struct RegexOptions {
  /// The whole text must match; ^ and $ at the ends say nothing more. Without it a text matches that has a
  /// match somewhere in it, as JSON Schema's `pattern` wants it: then ^ and $ count where they are written.
  bool whole = true;
  /// What stands for one character of `ranges` (of all others, if `negated`), where that is not its UTF-8: in
  /// a JSON string, all spellings of the characters. Called for each character and class of the pattern, and
  /// with no ranges and `negated` for any character.
  std::function<ExprId(GrammarBuilder& builder, std::span<const CharacterRange> ranges, bool negated)>
      character;
  std::size_t patternBytes = 1u << 16;  ///< longer patterns are refused
};

/// Literals, classes, `.`, \d \w \s and their opposites, \p{…} of general categories, escapes, groups (also
/// named ones), alternatives, quantifiers (lazy ones are the same set of texts), ^ and $ at the ends of the
/// pattern, of its alternatives, and of groups that are the whole of one.
///
/// Errors: kMalformed (the position, counted in bytes from 1, and what is wrong), kUnsupported (what cannot
/// be honoured, by name: \b, look-around, back references, flags, ^ and $ elsewhere, other properties),
/// kLimit. Limits of the builder are said by its finish().
base::Result<ExprId> regexExpression(GrammarBuilder& builder, std::string_view pattern,
                                     const RegexOptions& options = {});

/// A grammar whose texts are those that match the whole pattern.
base::Result<Grammar> parseRegex(std::string_view pattern, const GrammarLimits& limits = {});

}  // namespace quern::engine::grammar
