// How a family of models writes tool calls and reasoning: data that the parser reads and that the grammar of
// constraints is made from. The family is recognised from the chat template's source.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace quern::engine::answer {

/// At most four alternatives of a marker; the first is the one that constraints write.
struct Markers {
  std::string_view texts[4] = {};

  constexpr std::string_view first() const { return texts[0]; }
  constexpr bool empty() const { return texts[0].empty(); }
};

enum class CallSyntax : std::uint8_t {
  kNone,        ///< the family is never heard to call tools
  kJson,        ///< {"name": …, "arguments": {…}}, alone or in a list
  kNamedJson,   ///< the name in the text, then its arguments as a JSON object
  kParameters,  ///< the name in the text, then one tagged value after the other
  kPython,      ///< name(parameter=value, …), alone or in a list
  kChannels     ///< OpenAI's harmony: a call is a message to a recipient
};

/// One family's tool calls. A section of calls is
///   begin { callBegin CALL callEnd } end
/// White space may stand between any two of these. What is empty is not there; `end` may be missing.
struct ToolForm {
  std::string_view family = {};
  CallSyntax syntax = CallSyntax::kNone;
  Markers begin = {};         ///< opens a section
  std::string_view end = {};  ///< closes it
  bool isBare = false;        ///< a section may begin without a marker, as the first thing of an answer
  bool isMultiple = true;     ///< constraints write several calls into one section; parsers take both
  bool isList = false;        ///< kJson, kPython: the calls of a section stand in [ ]
  bool knownOnly = false;     ///< what names no tool of the request is no call but text
  bool fromPrompt = false;    ///< the prompt ends with `begin`, and the answer begins behind it
  std::string_view callBegin = {};
  std::string_view callEnd = {};
  // kJson: the members of a call; what the parser takes beside them is in json_calls.cpp.
  std::string_view nameKey = "name";
  std::string_view argumentsKey = "arguments";
  // kNamedJson, kParameters
  std::string_view namePrefix = {};  ///< is no part of the tool's name
  std::string_view nameEnd = {};
  bool isNumbered = false;               ///< ":0", ":1" … behind the name
  std::string_view idBegin = {};         ///< between name and `nameEnd` an id may stand behind this
  std::string_view argumentsBegin = {};  ///< kNamedJson
  std::string_view argumentsEnd = {};
  std::string_view textName = {};  ///< this name means no tool: what follows is the answer's text
  // kParameters
  std::string_view keyBegin = {}, keyEnd = {}, valueBegin = {}, valueEnd = {};
  bool trimsLines = false;  ///< one line feed on either side is not part of a value
};

/// How a family marks its reasoning.
struct ReasoningForm {
  std::string_view family = {};
  std::string_view begin = {};  ///< empty: it does not reason
  std::string_view end = {};
  /// Around the text that follows the reasoning, where there are some; they are no part of it.
  std::string_view textBegin = {}, textEnd = {};
};

/// What a template was recognised as.
struct AnswerForm {
  const ToolForm* tools = nullptr;           ///< never null
  const ReasoningForm* reasoning = nullptr;  ///< never null
  /// The template speaks of it; otherwise it is a guess, and a model need not be given room for it.
  bool knowsReasoning = false;
};

std::span<const ToolForm> toolForms();
std::span<const ReasoningForm> reasoningForms();
/// By name; null when there is none.
const ToolForm* findToolForm(std::string_view family);
const ReasoningForm* findReasoningForm(std::string_view family);

/// The forms of the model whose chat template this is: by the marks that it writes itself. Templates without
/// any (and an empty one) get the generic form and `<think>` reasoning.
AnswerForm recognise(std::string_view templateSource);

/// Whether an answer to this rendered prompt begins inside of reasoning that the prompt has opened.
bool opensReasoning(const ReasoningForm& form, std::string_view prompt);
/// Whether it begins behind the marker of a section of calls.
bool opensCalls(const ToolForm& form, std::string_view prompt);

}  // namespace quern::engine::answer
