// What must be true of a grammar's rules before an automaton is made of them.
#pragma once

#include <vector>

#include "engine/base/result.h"
#include "engine/grammar/grammar.h"

namespace quern::engine::grammar {

/// Per expression: does it match the empty text? In time linear in the grammar. All rules are defined.
std::vector<bool> nullableExpressions(const Grammar& grammar);

/// No rule recurs on its left (the automaton would call it for ever without reading a byte), every rule and
/// the root match some finite text. Linear in the grammar, without recursion. Error kInvalidArgument names
/// the rule.
base::Result<void> checkRules(const Grammar& grammar);

}  // namespace quern::engine::grammar
