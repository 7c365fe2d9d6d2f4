// Which part of a grammar makes it too large.
#pragma once

#include <string>

#include "engine/grammar/grammar.h"

namespace quern::engine::grammar {

/// The labelled part (GrammarBuilder::label) that most of the automaton's states come from: of parts within
/// each other the inner one, unless the outer one makes several of it. Empty: nothing is labelled. For error
/// messages; takes some milliseconds for a large grammar.
std::string heaviestPart(const Grammar& grammar);

}  // namespace quern::engine::grammar
