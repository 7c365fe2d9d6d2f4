#include "engine/answer/call_grammar.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "engine/answer/call_writer.h"
#include "engine/answer/json_text.h"
#include "engine/answer/marked_text.h"

namespace quern::engine::answer {
namespace {

using grammar::ExprId;

/// With more tools, texts that are no bare calls would be a large automaton.
constexpr std::size_t kMostBareTools = 32;

/// Where harmony's messages end, in well formed answers and in others (channel_machine.cpp).
constexpr std::string_view kMessageEnds[] = {"<|end|>", "<|call|>", "<|return|>", "<|start|>", "<|channel|>"};

std::vector<MarkStep> operator+(std::vector<MarkStep> steps, const std::vector<MarkStep>& more) {
  steps.insert(steps.end(), more.begin(), more.end());
  return steps;
}

/// Writes whole answers.
class AnswerWriter {
 public:
  AnswerWriter(const AnswerForm& form, grammar::GrammarBuilder& builder, std::vector<const Tool*> tools,
               const CallGrammarOptions& options)
      : tools_(*form.tools),
        thinking_(*form.reasoning),
        builder_(builder),
        offered_(std::move(tools)),
        options_(options),
        calls_(tools_, builder, offered_, options_) {}

  base::Result<ExprId> mustCall();
  base::Result<ExprId> mayCall();
  base::Result<ExprId> messages(bool mustCall);

 private:
  ExprId spaces() {
    const std::array<grammar::CharacterRange, 2> ranges = {{{U'\t', U'\n'}, {U' ', U' '}}};
    return builder_.repeat(builder_.characters(ranges), 0);
  }
  ExprId use(const char* name, ExprId body) {
    const grammar::RuleId rule = builder_.declare(name);
    builder_.define(rule, body);
    return builder_.use(rule);
  }
  ExprId reasoningThen(ExprId rest, bool mayEnd);
  base::Result<std::vector<Mark>> callMarks();
  ExprId plainText(bool isList);
  base::Result<std::vector<Mark>> textMarks(std::optional<ExprId> reasoning);
  base::Result<ExprId> freeText(std::optional<ExprId> reasoning);

  const ToolForm& tools_;
  const ReasoningForm& thinking_;
  grammar::GrammarBuilder& builder_;
  std::vector<const Tool*> offered_;
  const CallGrammarOptions& options_;
  CallWriter calls_;
  std::vector<Mark> marks_;  ///< of calls, with a marker or bare
};

/// Reasoning up to its closing marker, then `rest`.
ExprId AnswerWriter::reasoningThen(ExprId rest, bool mayEnd) {
  MarkedText text;
  text.marks.push_back({markOf(thinking_.end), rest, false});
  text.mayEnd = mayEnd;
  text.hasControls = true;
  return textUntil(builder_, text);
}

base::Result<ExprId> AnswerWriter::mustCall() {
  QUERN_ASSIGN(const ExprId calls, calls_.calls(options_.inCalls ? Opened::kMarker : Opened::kNothing));
  if (options_.inCalls || thinking_.begin.empty()) return calls;
  const grammar::CharacterRange line{U'\n', U'\n'};
  const ExprId rest = reasoningThen(builder_.repeat(builder_.characters({&line, 1}), 0, 2), false);
  if (options_.inReasoning) return builder_.sequence({rest, calls});
  if (!options_.mayReason) return calls;
  const ExprId reasoning = builder_.sequence({calls_.markup(thinking_.begin), rest});
  return builder_.sequence({builder_.optional(reasoning), calls});
}

/// The markers of calls, each with what must follow.
base::Result<std::vector<Mark>> AnswerWriter::callMarks() {
  std::vector<Mark> marks;
  for (std::size_t i = 0; i < std::size(tools_.begin.texts); ++i) {
    const std::string_view marker = tools_.begin.texts[i];
    if (marker.empty()) continue;
    const bool opensCall = !tools_.callBegin.empty() && marker == tools_.callBegin;
    // Who opens a section in another way than the form has it may forget to close it, too.
    QUERN_ASSIGN(const ExprId follow,
                 calls_.calls(opensCall ? Opened::kCall : Opened::kMarker, i == 0 && !tools_.isBare));
    marks.push_back({markOf(marker), use("calls", follow), false});
  }
  return marks;
}

/// Text behind a "{" or "[" that no reader of calls takes for one (json_calls.cpp, python_calls.cpp).
ExprId AnswerWriter::plainText(bool isList) {
  MarkedText text;
  text.mayEnd = text.hasControls = true;
  for (const std::string_view marker : tools_.begin.texts) {
    if (!marker.empty()) text.marks.push_back({markOf(marker), std::nullopt, false});
  }
  const std::vector<MarkStep> space = {MarkStep{}};
  for (const Tool* tool : offered_) {
    if (tools_.syntax == CallSyntax::kPython) {
      if (isList) text.marks.push_back({markOf(tool->name) + space + markOf("("), std::nullopt, true});
      continue;
    }
    const std::set<std::string_view> keys = {"name", "tool_name", "function", tools_.nameKey};
    for (const std::string_view key : keys) {
      text.marks.push_back({markOf("\"" + std::string(key) + "\"") + space + markOf(":") + space +
                                markOf("\"" + tool->name + "\""),
                            std::nullopt, false});
    }
  }
  // Nor may a name be written with escapes: none of those that stand for ASCII.
  for (const char high : {'2', '3', '4', '5', '6', '7'}) {
    text.marks.push_back({markOf(std::string("\\u00") + high), std::nullopt, false});
  }
  return textUntil(builder_, text);
}

/// What the text that may end in calls is cut at. `reasoning`: what comes behind its opening marker; none: it
/// is over.
base::Result<std::vector<Mark>> AnswerWriter::textMarks(std::optional<ExprId> reasoning) {
  if (marks_.empty()) {
    QUERN_ASSIGN(marks_, callMarks());
    for (const char first : {'[', '{'}) {
      const bool isList = first == '[';
      if (!tools_.isBare || (!isList && tools_.syntax != CallSyntax::kJson)) continue;
      QUERN_ASSIGN(const ExprId calls, calls_.calls(isList ? Opened::kList : Opened::kObject));
      const ExprId either = builder_.choice({use("calls", calls), plainText(isList)});
      marks_.push_back({markOf({&first, 1}), either, true});
    }
  }
  std::vector<Mark> marks = marks_;
  if (!thinking_.begin.empty()) marks.push_back({markOf(thinking_.begin), reasoning, true});
  return marks;
}

base::Result<ExprId> AnswerWriter::freeText(std::optional<ExprId> reasoning) {
  MarkedText text;
  text.mayEnd = text.hasControls = true;
  QUERN_ASSIGN(text.marks, textMarks(reasoning));
  if (thinking_.textBegin.empty()) return textUntil(builder_, text);
  // Between the text's own markers, and behind the closing one perhaps calls.
  MarkedText inner = text;
  QUERN_ASSIGN(inner.marks, textMarks(std::nullopt));
  QUERN_ASSIGN(const ExprId calls, calls_.calls(Opened::kNothing));
  const ExprId behind = builder_.sequence({spaces(), builder_.optional(use("calls", calls))});
  inner.marks.push_back({markOf(thinking_.textEnd), behind, false});
  inner.marks.push_back({markOf(thinking_.textBegin), std::nullopt, true});
  text.marks.push_back({markOf(thinking_.textBegin), use("text", textUntil(builder_, inner)), true});
  return textUntil(builder_, text);
}

base::Result<ExprId> AnswerWriter::mayCall() {
  QUERN_ASSIGN(const ExprId text, freeText(std::nullopt));
  if (options_.inReasoning && !thinking_.begin.empty()) return reasoningThen(text, true);
  ExprId answer = text;
  if (!thinking_.begin.empty() && !options_.inCalls) {
    QUERN_ASSIGN(answer, freeText(reasoningThen(text, true)));
  }
  if (tools_.textName.empty()) return answer;
  // A recipient that is the person.
  const std::string person = std::string(tools_.textName) + "\n";
  if (!options_.inCalls) {
    const ExprId named =
        builder_.sequence({calls_.markup(tools_.begin.first()), builder_.literal(person), text});
    return builder_.choice({named, answer});
  }
  QUERN_ASSIGN(const ExprId calls, calls_.calls(Opened::kMarker));
  return builder_.choice({builder_.sequence({builder_.literal(person), text}), calls});
}

/// Harmony: reasoning and remarks, each a message, then the answer or a call.
base::Result<ExprId> AnswerWriter::messages(bool mustCall) {
  const auto body = [&](bool mayEnd, ExprId behindEnd) {
    MarkedText text;
    text.mayEnd = mayEnd;
    text.hasControls = true;
    for (const std::string_view end : kMessageEnds) {
      const bool isEnd = end == kMessageEnds[0] || (mayEnd && end == "<|return|>");
      text.marks.push_back({markOf(end), isEnd ? std::optional(behindEnd) : std::nullopt, false});
    }
    return textUntil(builder_, text);
  };
  const ExprId message = calls_.markup("<|message|>");
  QUERN_ASSIGN(const ExprId call, calls_.channelCall());
  std::vector<ExprId> channels = {builder_.literal("analysis")};
  if (!mustCall) channels.push_back(builder_.literal("commentary"));
  const ExprId remark = builder_.sequence({calls_.markup("<|channel|>"), builder_.choice(std::move(channels)),
                                           message, body(false, calls_.markup("<|start|>assistant"))});
  if (mustCall) return builder_.sequence({builder_.repeat(remark, 0, options_.mayReason ? 1 : 0), call});
  const ExprId type = builder_.optional(calls_.markup(" <|constrain|>json"));
  const ExprId answer =
      builder_.sequence({calls_.markup("<|channel|>final"), type, message, body(true, builder_.empty())});
  return builder_.sequence({builder_.repeat(remark, 0), builder_.choice({answer, call})});
}

}  // namespace

bool canTrigger(const AnswerForm& form, std::size_t tools) {
  const ToolForm& calls = *form.tools;
  if (calls.syntax == CallSyntax::kNone) return false;
  const std::string_view thinking = form.reasoning->begin;
  const bool isClear = !thinking.starts_with('[') && !thinking.starts_with('{');
  return !calls.isBare || (tools <= kMostBareTools && isClear);
}

std::vector<ControlToken> controlTokensOf(const AnswerForm& form, const tokenizer::Tokenizer& tokenizer) {
  const ToolForm& calls = *form.tools;
  const ReasoningForm& thinking = *form.reasoning;
  std::set<std::string_view> texts = {calls.end,     calls.callBegin,      calls.callEnd,      calls.nameEnd,
                                      calls.idBegin, calls.argumentsBegin, calls.argumentsEnd, calls.keyBegin,
                                      calls.keyEnd,  calls.valueBegin,     calls.valueEnd,     thinking.begin,
                                      thinking.end,  thinking.textBegin,   thinking.textEnd};
  texts.insert(std::begin(calls.begin.texts), std::end(calls.begin.texts));
  if (calls.syntax == CallSyntax::kChannels) {
    texts.insert(std::begin(kMessageEnds), std::end(kMessageEnds));
    texts.insert({"<|message|>", "<|constrain|>"});
  }
  std::vector<ControlToken> controls;
  const auto add = [&](std::string_view text) {
    const auto tokens = tokenizer.encode(text, {.addSpecial = false, .parseSpecial = true});
    for (const auto token : tokens) {
      if (tokenizer.kind(token) != tokenizer::TokenKind::kControl) continue;
      const std::string written = tokenizer.tokenBytes(token, true);
      const auto same = [&](const ControlToken& one) { return one.written == written; };
      if (std::any_of(controls.begin(), controls.end(), same)) continue;
      controls.push_back({written, tokenizer.endsGeneration(token)});
    }
  };
  for (const std::string_view text : texts) {
    if (!text.empty()) add(text);
  }
  if (!calls.namePrefix.empty()) add(calls.namePrefix);
  return controls;
}

base::Result<grammar::Grammar> callGrammar(const AnswerForm& form, const std::vector<Tool>& tools,
                                           const ToolChoice& choice, const CallGrammarOptions& options) {
  std::vector<const Tool*> offered;
  for (const Tool& tool : tools) {
    if (choice.kind != ToolChoice::Kind::kNamed || tool.name == choice.name) offered.push_back(&tool);
  }
  if (offered.empty() || choice.kind == ToolChoice::Kind::kNone) {
    return base::Error(base::ErrorCode::kInvalidArgument, "There is no tool that the answer could call.");
  }
  const bool isAuto = choice.kind == ToolChoice::Kind::kAuto;
  if (isAuto && !canTrigger(form, offered.size())) {
    return base::Error(base::ErrorCode::kUnsupported,
                       "This model's tool calls have no marker that could tell them from text.");
  }
  CallGrammarOptions held = options;
  held.parallel = options.parallel && choice.kind != ToolChoice::Kind::kNamed;
  grammar::GrammarBuilder builder;
  AnswerWriter writer(form, builder, std::move(offered), held);
  const bool isChannels = form.tools->syntax == CallSyntax::kChannels;
  QUERN_ASSIGN(const ExprId answer, isChannels ? writer.messages(!isAuto)
                                    : isAuto   ? writer.mayCall()
                                               : writer.mustCall());
  return std::move(builder).finish(answer);
}

}  // namespace quern::engine::answer
