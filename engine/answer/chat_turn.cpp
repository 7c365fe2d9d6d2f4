#include "engine/answer/chat_turn.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "engine/answer/call_grammar.h"
#include "engine/template/template.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::engine::answer {

namespace {

/// For calls that may be made: where a tool's schema cannot be held to, or all together are too large, some
/// or all of them take any object. Who asks for no more than "auto" is better served so than with an error.
base::Result<grammar::Grammar> lenientGrammar(const ParserOptions& parser, const ToolChoice& choice,
                                              CallGrammarOptions options) {
  options.anyArguments = true;
  auto whole = callGrammar(parser.form, parser.tools, choice, options);
  if (whole && grammar::Automaton::compile(*whole)) return whole;
  std::vector<Tool> loose = parser.tools;
  for (Tool& tool : loose) tool.parameters = {{"type", "object"}};
  return callGrammar(parser.form, loose, choice, options);
}

grammar::ConstraintSource callSource(const ParserOptions& parser, const ToolChoice& choice,
                                     const tokenizer::Tokenizer& tokenizer) {
  CallGrammarOptions options;
  options.parallel = parser.parallel;
  options.inReasoning = parser.inReasoning;
  options.inCalls = parser.inCalls;
  // A model that never learnt to reason would not end it either.
  options.mayReason = parser.form.knowsReasoning;
  options.controls = controlTokensOf(parser.form, tokenizer);
  std::string key = "calls " + std::string(parser.form.tools->family) + ' ' +
                    std::string(parser.form.reasoning->family) + ' ' +
                    std::to_string(static_cast<int>(choice.kind)) + ' ' + choice.name + ' ';
  for (const bool flag : {options.parallel, options.inReasoning, options.inCalls, options.mayReason})
    key += flag ? '1' : '0';
  key += toolsJson(parser.tools).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  return {std::move(key), [parser, choice, options] {
            const bool mayCall = choice.kind == ToolChoice::Kind::kAuto;
            return mayCall ? lenientGrammar(parser, choice, options)
                           : callGrammar(parser.form, parser.tools, choice, options);
          }};
}

}  // namespace

ChatModel describeChat(const scheduler::Engine& engine) {
  const auto chatTemplate = engine.chatTemplate();
  if (!chatTemplate) return {recognise(""), {}};
  ChatModel model{recognise(chatTemplate->source()), probeTemplate(*chatTemplate)};
  if (!model.traits.showsTools) model.form.tools = &formToAskFor(*model.form.tools);
  return model;
}

std::string closingText(const AnswerForm& form) {
  const ReasoningForm& thinking = *form.reasoning;
  if (form.tools->syntax == CallSyntax::kChannels) {
    return std::string(thinking.end) + "<|start|>assistant<|channel|>final<|message|>";
  }
  if (thinking.begin.empty()) return {};
  // Markers that are words stand on lines of their own in what models were trained with.
  const bool isWord = thinking.end.starts_with("</");
  const std::string_view line = isWord ? "\n" : "";
  return std::string(line) + std::string(thinking.end) + (isWord ? "\n\n" : "") +
         std::string(thinking.textBegin);
}

base::Result<Turn> prepareTurn(const scheduler::Engine& engine, const ChatModel& model,
                               const nlohmann::ordered_json& messages, const TurnOptions& options) {
  const bool mayCall = options.choice.kind != ToolChoice::Kind::kNone;
  const std::vector<Tool> tools = mayCall ? options.tools : std::vector<Tool>();
  QUERN_ASSIGN(auto variables, chatVariables(messages, tools, model.traits, *model.form.tools));
  QUERN_ASSIGN(scheduler::ChatPrompt prompt, scheduler::renderTemplate(engine, std::move(variables)));
  Turn turn;
  turn.parser.form = model.form;
  turn.parser.tools = tools;
  turn.parser.parallel = options.parallel && options.choice.kind != ToolChoice::Kind::kNamed;
  turn.parser.inReasoning = opensReasoning(*model.form.reasoning, prompt.text);
  turn.parser.inCalls = opensCalls(*model.form.tools, prompt.text);
  turn.parser.seed = options.seed;

  const bool isAuto = options.choice.kind == ToolChoice::Kind::kAuto;
  if (isAuto ? !tools.empty() && canTrigger(model.form, tools.size()) : mayCall) {
    turn.constraint = callSource(turn.parser, options.choice, *engine.tokenizer());
  }

  turn.request.prompt = std::move(prompt.tokens);
  turn.request.emitSpecial = true;
  if (options.reasoningTokens >= 0) {
    scheduler::ReasoningLimit& limit = turn.request.reasoning;
    limit.tokens = options.reasoningTokens;
    limit.begin = model.form.reasoning->begin;
    limit.end = model.form.reasoning->end;
    limit.isOpen = turn.parser.inReasoning;
    limit.closing =
        engine.tokenizer()->encode(closingText(model.form), {.addSpecial = false, .parseSpecial = true});
  }
  return turn;
}

}  // namespace quern::engine::answer
