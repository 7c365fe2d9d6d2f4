// Text that goes on until one of several marks, as a part of a grammar.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "engine/grammar/grammar.h"

namespace quern::engine::answer {

/// One step of a mark: a character, or any run of white space, also none.
struct MarkStep {
  char32_t code = 0;  ///< 0: white space
};
std::vector<MarkStep> markOf(std::string_view text);

struct Mark {
  std::vector<MarkStep> steps;  ///< ends with a character
  /// What must come behind it; none: the mark never comes. It is written out at several places: where it is
  /// large, it should be the use of a rule.
  std::optional<grammar::ExprId> follow;
  /// It counts only with nothing but white space before it.
  bool onlyAtEdge = false;
};

struct MarkedText {
  std::vector<Mark> marks;
  bool mayEnd = false;       ///< without any mark, also within the beginning of one
  bool hasControls = false;  ///< control tokens may stand in it; marks are found in their written forms, too
};

/// All texts up to and with the first mark that occurs in them, and what follows it. Of two that end with the
/// same character the first in the list counts.
///
/// The marks become one deterministic automaton over characters: Aho and Corasick's (1975), with the white
/// space's loops.
grammar::ExprId textUntil(grammar::GrammarBuilder& builder, const MarkedText& text);

/// All texts in which `marker` does not occur and whose end is not the beginning of one; its first character
/// must occur in it only once. Followed by the marker it is all that may come before it.
grammar::ExprId textWithout(grammar::GrammarBuilder& builder, std::string_view marker);

}  // namespace quern::engine::answer
