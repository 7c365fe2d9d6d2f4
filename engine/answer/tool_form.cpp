// The table of forms. Each line's source is the model's own chat template or model card, named beside it.

#include "engine/answer/tool_form.h"

#include <algorithm>
#include <array>

#include "engine/answer/json_text.h"

namespace quern::engine::answer {
namespace {

constexpr ToolForm kToolForms[] = {
    // What models without a form of their own are asked for, and what many write anyhow.
    {.family = "generic",
     .syntax = CallSyntax::kJson,
     .begin = {{"<tool_call>", "<|tool_call|>", "<function_call>", "<tools>"}},
     .end = "</tool_call>",
     .isBare = true,
     .knownOnly = true},
    // NousResearch/Hermes-2-Pro, Qwen2.5, Qwen3, QwQ, SmolLM3, Granite 4, MiMo, Reka.
    {.family = "hermes",
     .syntax = CallSyntax::kJson,
     .begin = {{"<tool_call>"}},
     .end = "</tool_call>",
     .isMultiple = false},
    // meta-llama/Llama-3.1-8B-Instruct, Llama 3.2, 3.3: JSON, behind <|python_tag|> or not.
    {.family = "llama3-json",
     .syntax = CallSyntax::kJson,
     .begin = {{"<|python_tag|>"}},
     .isBare = true,
     .knownOnly = true,
     .argumentsKey = "parameters"},
    // Llama 3.2 with its prompt for zero-shot calls, ToolACE; Llama 4 between <|python_start|> and
    // <|python_end|>.
    {.family = "pythonic",
     .syntax = CallSyntax::kPython,
     .begin = {{"<|python_start|>", "<|python_tag|>"}},
     .end = "<|python_end|>",
     .isBare = true,
     .isList = true,
     .knownOnly = true},
    // LiquidAI/LFM2.
    {.family = "lfm2",
     .syntax = CallSyntax::kPython,
     .begin = {{"<|tool_call_start|>"}},
     .end = "<|tool_call_end|>",
     .isList = true},
    // mistralai/Mistral-7B-Instruct-v0.3, Mistral-Nemo.
    {.family = "mistral", .syntax = CallSyntax::kJson, .begin = {{"[TOOL_CALLS]"}}, .isList = true},
    // mistralai/Mistral-Small-3.2, Devstral, Magistral, Ministral 3.
    {.family = "mistral-args",
     .syntax = CallSyntax::kNamedJson,
     .begin = {{"[TOOL_CALLS]"}},
     .isMultiple = false,
     .nameEnd = "[ARGS]",
     .idBegin = "[CALL_ID]"},
    // Google's prompt for Gemma 3 (ai.google.dev/gemma/docs/capabilities/function-calling).
    {.family = "gemma", .syntax = CallSyntax::kPython, .begin = {{"```tool_code"}}, .end = "```"},
    // meetkai/functionary-medium-v3.1.
    {.family = "functionary-v3.1",
     .syntax = CallSyntax::kNamedJson,
     .begin = {{"<function="}},
     .end = "</function>",
     .isMultiple = false,
     .nameEnd = ">"},
    // meetkai/functionary-medium-v3.2: the recipient "all" is the person.
    {.family = "functionary-v3.2",
     .syntax = CallSyntax::kNamedJson,
     .begin = {{">>>"}},
     .isMultiple = false,
     .knownOnly = true,
     .fromPrompt = true,
     .nameEnd = "\n",
     .textName = "all"},
    // deepseek-ai/DeepSeek-V3, DeepSeek-R1 and its distillations, which misspell the marker.
    {.family = "deepseek-v3",
     .syntax = CallSyntax::kNamedJson,
     .begin = {{"<｜tool▁calls▁begin｜>", "<｜tool_calls_begin｜>", "<｜tool calls begin｜>",
                "<｜tool▁call▁begin｜>"}},
     .end = "<｜tool▁calls▁end｜>",
     .callBegin = "<｜tool▁call▁begin｜>",
     .callEnd = "<｜tool▁call▁end｜>",
     .namePrefix = "function<｜tool▁sep｜>",
     .nameEnd = "\n",
     .argumentsBegin = "```json",
     .argumentsEnd = "```"},
    // deepseek-ai/DeepSeek-V3.1.
    {.family = "deepseek-v3.1",
     .syntax = CallSyntax::kNamedJson,
     .begin = {{"<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>"}},
     .end = "<｜tool▁calls▁end｜>",
     .callBegin = "<｜tool▁call▁begin｜>",
     .callEnd = "<｜tool▁call▁end｜>",
     .nameEnd = "<｜tool▁sep｜>"},
    // moonshotai/Kimi-K2-Instruct: functions.NAME:INDEX is the call's id.
    {.family = "kimi-k2",
     .syntax = CallSyntax::kNamedJson,
     .begin = {{"<|tool_calls_section_begin|>", "<|tool_call_begin|>"}},
     .end = "<|tool_calls_section_end|>",
     .callBegin = "<|tool_call_begin|>",
     .callEnd = "<|tool_call_end|>",
     .namePrefix = "functions.",
     .nameEnd = "<|tool_call_argument_begin|>",
     .isNumbered = true},
    // CohereForAI/c4ai-command-r7b-12-2024, Command A.
    {.family = "command-r7b",
     .syntax = CallSyntax::kJson,
     .begin = {{"<|START_ACTION|>"}},
     .end = "<|END_ACTION|>",
     .isList = true,
     .nameKey = "tool_name",
     .argumentsKey = "parameters"},
    // CohereForAI/c4ai-command-r-plus.
    {.family = "command-r",
     .syntax = CallSyntax::kJson,
     .begin = {{"Action:\n```json", "Action: ```json"}},
     .end = "```",
     .isList = true,
     .nameKey = "tool_name",
     .argumentsKey = "parameters"},
    // ibm-granite/granite-3.x: "respond only with <|tool_call|> followed by a JSON list".
    {.family = "granite-3",
     .syntax = CallSyntax::kJson,
     .begin = {{"<|tool_call|>", "<tool_call>"}},
     .isList = true},
    // microsoft/Phi-4-mini-instruct; without the bar in vLLM's template for it. Firefunction v2.
    {.family = "phi-4-mini",
     .syntax = CallSyntax::kJson,
     .begin = {{"<|tool_call|>", "functools"}},
     .end = "<|/tool_call|>",
     .isList = true},
    {.family = "firefunction", .syntax = CallSyntax::kJson, .begin = {{"functools"}}, .isList = true},
    // nvidia/NVIDIA-Nemotron-Nano-9B-v2; ServiceNow-AI/Apriel, MiniMaxAI/MiniMax-M1.
    {.family = "nemotron",
     .syntax = CallSyntax::kJson,
     .begin = {{"<TOOLCALL>"}},
     .end = "</TOOLCALL>",
     .isList = true},
    {.family = "apriel",
     .syntax = CallSyntax::kJson,
     .begin = {{"<tool_calls>"}},
     .end = "</tool_calls>",
     .isList = true},
    // Qwen/Qwen3-Coder; also Qwen3.5, Nemotron 3, Step 3.5. The outer marker is left out at times.
    {.family = "qwen3-coder",
     .syntax = CallSyntax::kParameters,
     .begin = {{"<tool_call>", "<function="}},
     .end = "</tool_call>",
     .isMultiple = false,
     .callBegin = "<function=",
     .callEnd = "</function>",
     .nameEnd = ">",
     .keyBegin = "<parameter=",
     .keyEnd = ">",
     .valueEnd = "</parameter>",
     .trimsLines = true},
    // ByteDance-Seed/Seed-OSS.
    {.family = "seed-oss",
     .syntax = CallSyntax::kParameters,
     .begin = {{"<seed:tool_call>", "<function="}},
     .end = "</seed:tool_call>",
     .isMultiple = false,
     .callBegin = "<function=",
     .callEnd = "</function>",
     .nameEnd = ">",
     .keyBegin = "<parameter=",
     .keyEnd = ">",
     .valueEnd = "</parameter>",
     .trimsLines = true},
    // MiniMaxAI/MiniMax-M2.
    {.family = "minimax-m2",
     .syntax = CallSyntax::kParameters,
     .begin = {{"<minimax:tool_call>", "<invoke name=\""}},
     .end = "</minimax:tool_call>",
     .callBegin = "<invoke name=\"",
     .callEnd = "</invoke>",
     .nameEnd = "\">",
     .keyBegin = "<parameter name=\"",
     .keyEnd = "\">",
     .valueEnd = "</parameter>"},
    // zai-org/GLM-4.5, 4.6, 4.7.
    {.family = "glm-4",
     .syntax = CallSyntax::kParameters,
     .begin = {{"<tool_call>"}},
     .end = "</tool_call>",
     .isMultiple = false,
     .keyBegin = "<arg_key>",
     .keyEnd = "</arg_key>",
     .valueBegin = "<arg_value>",
     .valueEnd = "</arg_value>"},
    // openai/gpt-oss: github.com/openai/harmony, docs/format.md.
    {.family = "gpt-oss", .syntax = CallSyntax::kChannels, .namePrefix = "functions."},
};

constexpr ReasoningForm kReasoningForms[] = {
    // DeepSeek R1, Qwen3, QwQ, GLM, SmolLM3, Kimi K2 Thinking, MiniMax M2 …
    {.family = "think", .begin = "<think>", .end = "</think>"},
    {.family = "granite-3",
     .begin = "<think>",
     .end = "</think>",
     .textBegin = "<response>",
     .textEnd = "</response>"},
    {.family = "command-r7b",
     .begin = "<|START_THINKING|>",
     .end = "<|END_THINKING|>",
     .textBegin = "<|START_RESPONSE|>",
     .textEnd = "<|END_RESPONSE|>"},
    {.family = "mistral", .begin = "[THINK]", .end = "[/THINK]"},
    {.family = "seed-oss", .begin = "<seed:think>", .end = "</seed:think>"},
    // LG EXAONE Deep and others.
    {.family = "thought", .begin = "<thought>", .end = "</thought>"},
    {.family = "reasoning", .begin = "<reasoning>", .end = "</reasoning>"},
    // Apertus.
    {.family = "inner", .begin = "<|inner_prefix|>", .end = "<|inner_suffix|>"},
    {.family = "harmony", .begin = "<|channel|>analysis<|message|>", .end = "<|end|>"},
};

/// A template that has all of `marks` and not `without` writes this form.
struct Sign {
  std::string_view family;
  std::array<std::string_view, 2> marks;
  std::string_view without;
};

/// The first that fits counts: marks that are part of others' come later.
constexpr Sign kToolSigns[] = {
    {"gpt-oss", {"<|channel|>", "<|message|>"}, ""},
    {"kimi-k2", {"<|tool_calls_section_begin|>", ""}, ""},
    {"deepseek-v3", {"<｜tool▁calls▁begin｜>", "```json"}, ""},
    {"deepseek-v3.1", {"<｜tool▁calls▁begin｜>", ""}, ""},
    {"command-r7b", {"<|START_ACTION|>", ""}, ""},
    {"command-r", {"Action:", "<|CHATBOT_TOKEN|>"}, ""},
    {"seed-oss", {"<seed:tool_call>", ""}, ""},
    {"minimax-m2", {"<minimax:tool_call>", "<invoke name="}, ""},
    {"qwen3-coder", {"<function=", "<parameter="}, ""},
    {"glm-4", {"<arg_key>", "<tool_call>"}, ""},
    {"mistral-args", {"[TOOL_CALLS]", "[ARGS]"}, ""},
    {"mistral", {"[TOOL_CALLS]", ""}, ""},
    {"functionary-v3.2", {">>>${recipient}", ""}, ""},
    {"functionary-v3.2", {">>>all", ""}, ""},
    {"functionary-v3.1", {"<function=", "</function>"}, ""},
    {"lfm2", {"<|tool_call_start|>", ""}, ""},
    {"lfm2", {"<|tool_list_start|>", ""}, ""},
    {"nemotron", {"<TOOLCALL>", ""}, ""},
    {"apriel", {"<tool_calls>", ""}, ""},
    {"phi-4-mini", {"<|tool|>", "<|/tool|>"}, ""},
    {"granite-3", {"<|tool_call|>", "<|start_of_role|>"}, ""},
    {"firefunction", {" functools[", ""}, ""},
    {"hermes", {"<tool_call>", "</tool_call>"}, "<minimax"},
    {"pythonic", {"[func_name1(params_name1=", ""}, ""},
    {"pythonic", {"<|python_start|>", ""}, ""},
    {"llama3-json", {"<|start_header_id|>", "\"parameters\": "}, ""},
    // Unsloth's SmolLM3 shows no tools; the model was trained on Hermes' form (its model card).
    {"hermes", {"named SmolLM, trained by Hugging Face", ""}, ""},
    {"gemma", {"<start_of_turn>", ""}, ""},
};

constexpr Sign kReasoningSigns[] = {
    {"harmony", {"<|channel|>", "<|message|>"}, ""},
    {"command-r7b", {"<|START_THINKING|>", ""}, ""},
    {"mistral", {"[THINK]", "[/THINK]"}, ""},
    {"seed-oss", {"<seed:think>", ""}, ""},
    {"granite-3", {"<response>", "<|start_of_role|>"}, ""},
    {"inner", {"<|inner_prefix|>", ""}, ""},
    {"think", {"think>", ""}, ""},
    {"thought", {"<thought>", ""}, ""},
    {"reasoning", {"<reasoning>", ""}, ""},
};

bool fits(const Sign& sign, std::string_view source) {
  const auto has = [&](std::string_view mark) { return source.find(mark) != std::string_view::npos; };
  return std::all_of(sign.marks.begin(), sign.marks.end(), has) &&
         (sign.without.empty() || !has(sign.without));
}

template <std::size_t N>
std::string_view familyOf(const Sign (&signs)[N], std::string_view source, std::string_view otherwise) {
  const auto found =
      std::find_if(std::begin(signs), std::end(signs), [&](const Sign& sign) { return fits(sign, source); });
  return found == std::end(signs) ? otherwise : found->family;
}

template <class Form, std::size_t N>
const Form* find(const Form (&forms)[N], std::string_view family) {
  const auto found = std::find_if(std::begin(forms), std::end(forms),
                                  [&](const Form& form) { return form.family == family; });
  return found == std::end(forms) ? nullptr : &*found;
}

std::string_view withoutTrailingSpace(std::string_view text) {
  while (!text.empty() && isSpace(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

std::span<const ToolForm> toolForms() { return kToolForms; }
std::span<const ReasoningForm> reasoningForms() { return kReasoningForms; }
const ToolForm* findToolForm(std::string_view family) { return find(kToolForms, family); }
const ReasoningForm* findReasoningForm(std::string_view family) { return find(kReasoningForms, family); }

AnswerForm recognise(std::string_view source) {
  const std::string_view reasoning = familyOf(kReasoningSigns, source, "");
  return {findToolForm(familyOf(kToolSigns, source, "generic")),
          findReasoningForm(reasoning.empty() ? "think" : reasoning), !reasoning.empty()};
}

bool opensReasoning(const ReasoningForm& form, std::string_view prompt) {
  // Harmony's prompt ends before the channel is chosen.
  return !form.begin.empty() && withoutTrailingSpace(prompt).ends_with(form.begin);
}

bool opensCalls(const ToolForm& form, std::string_view prompt) {
  return form.fromPrompt && !form.begin.empty() && withoutTrailingSpace(prompt).ends_with(form.begin.first());
}

}  // namespace quern::engine::answer
