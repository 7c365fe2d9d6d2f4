// What a model's chat template makes of tools, and a conversation with tool calls as the variables that it
// takes.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "engine/answer/tool.h"
#include "engine/answer/tool_form.h"
#include "engine/base/result.h"
#include "engine/template/template.h"

namespace quern::engine::answer {

/// Found out by rendering small conversations, since templates differ more than any of their texts shows.
struct TemplateTraits {
  bool showsTools = false;       ///< the prompt has the tools that are offered
  bool showsCalls = false;       ///< … the calls of earlier answers, …
  bool showsResults = false;     ///< … and messages of the role "tool"
  bool argumentsAsText = false;  ///< a call's arguments must be a text of JSON, not an object
  bool oneCallOnly = false;      ///< it refuses several calls in one message
  bool shortIds = false;         ///< it refuses ids that are not nine letters and digits (Mistral)
  bool nullContent = false;      ///< beside calls the content must be null, not empty
};

/// Takes a few milliseconds: once a model.
TemplateTraits probeTemplate(const chat::Template& chatTemplate);

/// `messages` as OpenAI's API has them: a list of {"role", "content", "reasoning_content", "tool_calls":
/// [{"id", "function": {"name", "arguments"}}], "tool_call_id"}; content is a text, a list of text parts, or
/// null. Returns "messages" and "tools" for Template::render(), fitted to what the template takes. What it
/// does not show is written out: tools into the system message, calls and results into the text of messages,
/// in the form `form`, which then is Python's or JSON between <tool_call> and </tool_call>. Errors:
/// kInvalidArgument (which message, and what is wrong with it), kUnsupported (parts that are no text).
base::Result<nlohmann::ordered_json> chatVariables(const nlohmann::ordered_json& messages,
                                                   const std::vector<Tool>& tools,
                                                   const TemplateTraits& traits, const ToolForm& form);

/// The form that a model is asked to use when its template does not show tools: its own where that is
/// Python's, else the generic one.
const ToolForm& formToAskFor(const ToolForm& own);

}  // namespace quern::engine::answer
