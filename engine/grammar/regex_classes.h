// The sets of characters that regular expressions have names for.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "engine/grammar/grammar.h"

namespace quern::engine::grammar {

using CharacterSet = std::vector<CharacterRange>;

/// 'd', 'w', 's' and 'D', 'W', 'S'; nullopt for another letter. ECMA-262, 22.2.2.9.
std::optional<CharacterSet> classEscape(char letter);
/// What `.` does not match: the line terminators.
CharacterSet lineTerminators();
/// A Unicode general category, "L", "Lu", "Letter", "Uppercase_Letter" …, also behind "gc=" or
/// "General_Category="; nullopt for any other property.
std::optional<CharacterSet> generalCategory(std::string_view name);
CharacterSet allBut(CharacterSet set);

}  // namespace quern::engine::grammar
