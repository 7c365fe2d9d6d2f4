// GBNF: the notation of llama.cpp's grammar files, as its grammars/README.md documents it.
#pragma once

#include <string_view>

#include "engine/base/result.h"
#include "engine/grammar/grammar.h"

namespace quern::engine::grammar {

/// Rules `name ::= …` with literals, character classes, `.`, groups, alternatives and the repetitions * + ?
/// {m} {m,} {m,n}; comments from # to the end of the line. A rule ends at the end of its line, but not within
/// parentheses and not behind ::= or |. The answer must match the rule `root`.
///
/// Of any text, in time linear in it. Errors: kMalformed (the line, and what was expected there),
/// kUnsupported (token references such as <think>), and those of GrammarBuilder::finish.
base::Result<Grammar> parseGbnf(std::string_view text, const GrammarLimits& limits = {});

}  // namespace quern::engine::grammar
