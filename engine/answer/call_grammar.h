// The grammar of an answer that may or must call tools, in the form of the model's family.
#pragma once

#include <string_view>
#include <vector>

#include "engine/answer/tool.h"
#include "engine/answer/tool_form.h"
#include "engine/base/result.h"
#include "engine/grammar/grammar.h"

namespace quern::engine::answer {

struct CallGrammarOptions {
  bool parallel = true;      ///< several calls may be made
  bool inReasoning = false;  ///< the prompt has opened the reasoning (opensReasoning())
  bool inCalls = false;      ///< the prompt ends with the marker of a section of calls (opensCalls())
  bool mayReason = true;     ///< reasoning may come first even where the prompt has not opened it
};

/// What an answer may be under `choice`, from its first byte, control tokens in their written form:
///   kRequired, kNamed  reasoning, then one call or several, and nothing else
///   kAuto              reasoning, then text in which the marker of a section does not occur, then perhaps
///                      calls: what begins like a call is one
/// Every call names an offered tool, and its arguments satisfy the tool's schema. AnswerParser reads every
/// text of it as complete calls. Errors: kInvalidArgument (kNone; no tools; no tool of that name),
/// kUnsupported (canTrigger() is false and the choice is kAuto; a schema that cannot be enforced), those of
/// the schema compiler.
base::Result<grammar::Grammar> callGrammar(const AnswerForm& form, const std::vector<Tool>& tools,
                                           const ToolChoice& choice, const CallGrammarOptions& options = {});

/// Whether kAuto can be constrained: the form has a marker whose first character occurs in it only once, so
/// that text without it is a regular language of a few expressions.
bool canTrigger(const ToolForm& form);

/// All texts in which `marker` does not occur and whose end is not the beginning of one; the first character
/// of the marker occurs in it only once. Followed by the marker it is all that may come before it.
grammar::ExprId textWithout(grammar::GrammarBuilder& builder, std::string_view marker);

}  // namespace quern::engine::answer
