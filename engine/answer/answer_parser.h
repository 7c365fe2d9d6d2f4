// An answer's text, piece by piece, taken apart: reasoning, content, tool calls. How a piece was cut changes
// nothing: the parser goes byte by byte, and holds back only what may become a marker, and what cannot be
// told from text yet.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/answer/tool.h"
#include "engine/answer/tool_form.h"

namespace quern::engine::answer {

/// What the parser has found, in the order of the answer.
struct Part {
  enum class Kind : std::uint8_t {
    kReasoning,  ///< `text`: more of it
    kContent,    ///< `text`: more of it
    kCallBegin,  ///< `call`, `id`, `name`, `isKnown`
    kArguments,  ///< `call`, `text`: more of its arguments, which together are a JSON object
    kCallEnd     ///< `call`, `isComplete`
  };
  Kind kind = Kind::kContent;
  std::string text;
  std::int32_t call = -1;  ///< 0, 1 …
  std::string id;          ///< the model's own where its form has one, else "call_" and 24 letters
  std::string name;
  bool isKnown = true;     ///< the request offers a tool of this name
  bool isComplete = true;  ///< false: the answer ended or went astray within the arguments
};

struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments;  ///< a JSON object; only the beginning of one where !isComplete
  bool isKnown = true;
  bool isComplete = true;
};

/// All parts put together.
struct Message {
  std::string reasoning;
  std::string content;
  std::vector<ToolCall> calls;
};

struct ParserOptions {
  AnswerForm form;
  /// Of the request. Empty, or with the choice "none": what looks like a call is content.
  std::vector<Tool> tools;
  bool parallel = true;              ///< false: what comes after one call is content (see wantsNoMore())
  bool inReasoning = false;          ///< opensReasoning() of the prompt
  bool inCalls = false;              ///< opensCalls() of the prompt
  std::uint64_t seed = 0;            ///< of the ids that the parser makes: the same seed, the same ids
  std::size_t heldBytes = 1u << 20;  ///< what is held back longest before it counts as content
};

/// One answer. Feed it the text with control tokens in their written form (Request::emitSpecial). Not shared
/// by threads; takes time in proportion to the text and memory in proportion to message() and heldBytes.
///
/// What is not well formed is never lost. Before a call's name and the beginning of its arguments are known,
/// all of it becomes content, markers included; after that the call ends with isComplete == false and the
/// rest is content. Calls that name no tool of the request are calls with isKnown == false where a marker
/// says that they are calls, and content where only their shape does (ToolForm::knownOnly). White space
/// between reasoning, content and calls is dropped.
class AnswerParser {
 public:
  explicit AnswerParser(ParserOptions options);
  ~AnswerParser();
  AnswerParser(AnswerParser&&) noexcept;
  AnswerParser& operator=(AnswerParser&&) noexcept;

  /// What `text` (whole UTF-8 characters, of any length) has added.
  std::vector<Part> push(std::string_view text);
  /// The answer is over: what was held back, and the end of an open call. Call it once.
  std::vector<Part> finish();

  const Message& message() const;
  /// One call is complete, and no more are allowed: the request may be cancelled.
  bool wantsNoMore() const;

  class Machine;  ///< what reads one kind of forms

 private:
  std::unique_ptr<Machine> machine_;
};

}  // namespace quern::engine::answer
