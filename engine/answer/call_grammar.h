// The grammar of an answer that may or must call tools, in the form of the model's family.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/answer/tool.h"
#include "engine/answer/tool_form.h"
#include "engine/base/result.h"
#include "engine/grammar/grammar.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::engine::answer {

/// One of a form's markers that is a control token of the model.
struct ControlToken {
  std::string written;
  bool endsAnswer = false;
};

struct CallGrammarOptions {
  bool parallel = true;      ///< several calls may be made
  bool inReasoning = false;  ///< the prompt has opened the reasoning (opensReasoning())
  bool inCalls = false;      ///< the prompt ends with the marker of a section of calls (opensCalls())
  bool mayReason =
      true;  ///< kRequired, kNamed: reasoning may come first even where the prompt has not opened it
  /// A tool whose schema cannot be enforced takes any JSON object; otherwise it is an error.
  bool anyArguments = false;
  /// Where calls are written with them they come as tokens and never spelled out (controlTokensOf()).
  std::vector<ControlToken> controls;
};

/// What an answer may be under `choice`, from its first byte:
///   kRequired, kNamed  reasoning, then one call or several, and nothing else
///   kAuto              reasoning, then any text up to a marker of calls, then calls: what begins like a call
///   is
///                      one. Where calls need no marker, an answer that begins with "{" or "[" is one if it
///                      says a tool's name where a call would. In the text any control token may stand.
/// Every call names an offered tool, and its arguments satisfy the tool's schema. AnswerParser reads every
/// text of it as complete calls, or as none. Errors: kInvalidArgument (kNone; no tools; no tool of that
/// name), kUnsupported (canTrigger() is false and the choice is kAuto; a schema that cannot be enforced),
/// those of the schema compiler.
base::Result<grammar::Grammar> callGrammar(const AnswerForm& form, const std::vector<Tool>& tools,
                                           const ToolChoice& choice, const CallGrammarOptions& options = {});

/// Whether kAuto can be constrained: the family calls tools, and calls without a marker can be told from text
/// (not with more than 32 tools, nor where reasoning begins with the same character).
bool canTrigger(const AnswerForm& form, std::size_t tools);

/// Those of the form's markers that this tokenizer has as control tokens.
std::vector<ControlToken> controlTokensOf(const AnswerForm& form, const tokenizer::Tokenizer& tokenizer);

}  // namespace quern::engine::answer
