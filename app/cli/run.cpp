// quern run MODEL [PROMPT]

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>

#include "app/cli/chat.h"
#include "app/cli/command.h"
#include "app/cli/lora.h"
#include "engine/answer/tool.h"
#include "engine/base/text.h"
#include "engine/grammar/constraint_cache.h"
#include "engine/grammar/json_constraints.h"
#include "engine/runtime/kv_type.h"

namespace quern::app {
namespace {

struct Arguments {
  ChatOptions chat;
  std::string positional;
  std::string prompt;
  std::string system;
  std::string schema;
  std::string tools;
  std::string toolChoice = "auto";
  std::string grammar;
  std::string regex;
  std::string kv = "f16";
  bool jsonObject = false;
  bool guesses = true;
  CLI::Option* seed = nullptr;
  CLI::Option* schemaOption = nullptr;
  CLI::Option* grammarOption = nullptr;
  CLI::Option* regexOption = nullptr;
  CLI::Option* positionalOption = nullptr;
  CLI::Option* promptOption = nullptr;
  CLI::Option* systemOption = nullptr;
  CLI::Option* toolsOption = nullptr;
};

int wrongUse(const char* sentence) {
  std::fprintf(stderr, "quern run: %s\n", sentence);
  return kWrongUse;
}

/// What is in a file; `otherwise`: what its name could have been instead.
engine::base::Result<std::string> fileText(const std::string& file, const char* otherwise) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  if (!(text << stream.rdbuf())) {
    return engine::base::Error(engine::base::ErrorCode::kNotFound,
                               "\"" + engine::base::printable(file) +
                                   "\" is neither a file that can be read nor " + otherwise + ".");
  }
  return text.str();
}

/// A grammar has "::=" somewhere, which no file's name has.
engine::base::Result<std::string> grammarText(const std::string& fileOrText) {
  if (fileOrText.find("::=") != std::string::npos) return fileOrText;
  return fileText(fileOrText, "a grammar (`root ::= …`)");
}

/// A schema is an object, true or false.
engine::base::Result<std::string> schemaText(const std::string& fileOrText) {
  const std::size_t first = fileOrText.find_first_not_of(" \t\r\n");
  const bool isText = first != std::string::npos && fileOrText[first] == '{';
  if (isText || fileOrText == "true" || fileOrText == "false") return fileOrText;
  return fileText(fileOrText, "a JSON schema (`{\"type\": …}`)");
}

/// What answers must match, from whichever option says it. Errors are wrong uses.
engine::base::Result<std::optional<engine::grammar::ConstraintSource>> constraintOf(
    const Arguments& arguments) {
  namespace grammar = engine::grammar;
  const std::size_t forms = arguments.grammarOption->count() + arguments.regexOption->count() +
                            arguments.schemaOption->count() + (arguments.jsonObject ? 1 : 0);
  if (forms == 0) return std::optional<grammar::ConstraintSource>{};
  if (forms > 1) {
    return engine::base::Error(
        engine::base::ErrorCode::kInvalidArgument,
        "an answer can be held to one of --json-schema, --json-object, --grammar and --regex, not to both.");
  }
  std::optional<grammar::ConstraintSource> source;
  if (arguments.grammarOption->count() > 0) {
    QUERN_ASSIGN(std::string text, grammarText(arguments.grammar));
    source = grammar::gbnfSource(std::move(text));
  } else if (arguments.schemaOption->count() > 0) {
    QUERN_ASSIGN(std::string text, schemaText(arguments.schema));
    source = grammar::jsonSchemaSource(std::move(text));
  } else {
    source = arguments.jsonObject ? grammar::jsonObjectSource() : grammar::regexSource(arguments.regex);
  }
  QUERN_TRY(source->grammar());  // before a model is loaded for it
  return source;
}

engine::base::Result<std::vector<engine::answer::Tool>> readTools(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  const auto tools = nlohmann::ordered_json::parse(stream, nullptr, false);
  if (!stream || tools.is_discarded()) {
    return engine::base::Error(
        engine::base::ErrorCode::kMalformed,
        "\"" + engine::base::printable(path) + "\" cannot be read as a JSON list of tools.");
  }
  return engine::answer::parseTools(tools);
}

/// none, auto, required, or a tool's name.
engine::base::Result<engine::answer::ToolChoice> choiceOf(const std::string& text,
                                                          const std::vector<engine::answer::Tool>& tools) {
  if (text == "none" || text == "auto" || text == "required") {
    return engine::answer::parseToolChoice(text, tools);
  }
  return engine::answer::parseToolChoice({{"function", {{"name", text}}}}, tools);
}

int run(Arguments& arguments) {
  ChatOptions& chat = arguments.chat;
  if (arguments.positionalOption->count() > 0 && arguments.promptOption->count() > 0) {
    return wrongUse("give the prompt once: behind MODEL or with -p.");
  }
  if (arguments.positionalOption->count() > 0) chat.prompt = arguments.positional;
  if (arguments.promptOption->count() > 0) chat.prompt = arguments.prompt;
  if (arguments.systemOption->count() > 0) {
    if (chat.raw) return wrongUse("--system has no place in a --raw prompt.");
    chat.system = arguments.system;
  }
  if (arguments.toolsOption->count() > 0) {
    if (chat.raw) return wrongUse("--tools have no place in a --raw prompt.");
    auto tools = readTools(arguments.tools);
    if (!tools) return wrongUse(tools.error().message().c_str());
    const auto choice = choiceOf(arguments.toolChoice, *tools);
    if (!choice) return wrongUse(choice.error().message().c_str());
    chat.tools = std::move(*tools);
    chat.toolChoice = *choice;
  }
  auto constraint = constraintOf(arguments);
  if (!constraint) return wrongUse(constraint.error().message().c_str());
  chat.constraint = *std::move(constraint);
  const bool mustCall = chat.toolChoice.kind == engine::answer::ToolChoice::Kind::kRequired ||
                        chat.toolChoice.kind == engine::answer::ToolChoice::Kind::kNamed;
  if (mustCall && chat.constraint) {
    return wrongUse("an answer that must call a tool cannot be held to another form, too.");
  }
  if (chat.json) chat.stats = false;
  chat.sampling.randomSeed = arguments.seed->count() == 0;
  chat.load.kvType = *engine::runtime::kvTypeOf(arguments.kv);
  if (!arguments.guesses) {
    if (!chat.draft.empty()) return wrongUse("--draft and --no-guess exclude each other.");
    chat.load.speculation = engine::scheduler::Speculation::kOff;
  }
  return runChat(chat);
}

}  // namespace

void addRunCommand(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  ChatOptions& chat = arguments->chat;
  CLI::App* command = app.add_subcommand("run", "Chat in the terminal, or answer one prompt");
  command->add_option("MODEL", chat.model, "An installed name or a path")->required();
  arguments->positionalOption = command->add_option(
      "PROMPT", arguments->positional, "One question; without it they come from the keyboard or a pipe");
  arguments->promptOption = command->add_option("-p,--prompt", arguments->prompt, "The same as PROMPT");
  command->add_flag("--raw", chat.raw, "The prompt goes to the model as it is, without its chat template");
  arguments->systemOption = command->add_option("--system", arguments->system, "The system prompt");
  command
      ->add_option("-n,--max-tokens", chat.maxTokens, "Stop after so many tokens (-1: when the model ends)")
      ->check(CLI::Range(-1, 1 << 30));
  auto& sampling = chat.sampling;
  command->add_option("--temp", sampling.temperature, "Temperature; 0 always takes the likeliest token")
      ->check(CLI::Range(0.0F, 100.0F))
      ->capture_default_str();
  command->add_option("--top-k", sampling.topK, "Choose among the K likeliest (0: off)")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str();
  command->add_option("--top-p", sampling.topP, "Choose among the likeliest that together reach P (1: off)")
      ->check(CLI::Range(0.0F, 1.0F))
      ->capture_default_str();
  command
      ->add_option("--min-p", sampling.minP,
                   "Leave out what is less likely than P times the likeliest (0: off)")
      ->check(CLI::Range(0.0F, 1.0F))
      ->capture_default_str();
  arguments->seed = command->add_option("--seed", sampling.seed, "The same seed, the same answer");
  command->add_option("--stop", chat.stop, "A text that ends the answer; may be given again")
      ->allow_extra_args(false);
  arguments->grammarOption = command->add_option(
      "--grammar", arguments->grammar, "A GBNF grammar that answers must match: a file, or the text");
  arguments->regexOption = command->add_option("--regex", arguments->regex,
                                               "A regular expression that answers must match as a whole");
  arguments->schemaOption = command->add_option(
      "--json-schema", arguments->schema, "A JSON schema that answers must satisfy: a file, or the JSON");
  command->add_flag("--json-object", arguments->jsonObject, "Answers must be a JSON object");
  arguments->toolsOption = command->add_option(
      "--tools", arguments->tools,
      "A JSON list of tools, as OpenAI's API has them; --json shows what the model calls");
  command
      ->add_option("--tool-choice", arguments->toolChoice,
                   "none, auto, required or a tool's NAME: whether the model may or must call")
      ->needs(arguments->toolsOption)
      ->capture_default_str();
  command
      ->add_option("--reasoning-budget", chat.reasoningTokens,
                   "End the model's reasoning after so many tokens (-1: when it likes)")
      ->check(CLI::Range(-1, 1 << 30));
  command
      ->add_option("--ctx", chat.load.contextTokens,
                   "Tokens that the chat may hold (0: the model's own, at most 8192)")
      ->check(CLI::Range(0, 1 << 24));
  command->add_option("-t,--threads", chat.load.threads, "Threads (0: one per physical core)")
      ->check(CLI::Range(0, 1024));
  command->add_option("--kv", arguments->kv, "How keys and values are kept")
      ->check(CLI::IsMember(engine::runtime::kvTypeNames()))
      ->capture_default_str();
  command->add_option("--draft", chat.draft,
                      "A small MODEL with the same vocabulary that guesses ahead; the answer stays the same");
  command->add_option("--lora", chat.loras, kLoraHelp)->allow_extra_args(false);
  command->add_flag("!--no-guess", arguments->guesses, "Compute token by token, without guessing ahead");
  command->add_option("--kernels", chat.load.kernels,
                      "A table of kernels, for comparisons (see \"quern doctor\")");
  command->add_flag("--stats", chat.stats, "Numbers after each answer");
  command->add_flag(
      "--json", chat.json,
      "Answers as JSON, one a line: text, reasoning, tool_calls, tokens, timings, finish_reason");
  command->callback([arguments, &action] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace quern::app
