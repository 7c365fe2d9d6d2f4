#include "app/cli/chat.h"

#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <utility>

#include "app/cli/answer.h"
#include "app/cli/command.h"
#include "app/cli/conversation.h"
#include "app/cli/interrupt.h"
#include "app/cli/line_reader.h"
#include "app/cli/lora.h"
#include "app/cli/output.h"
#include "engine/base/text.h"
#include "engine/hub/library.h"

namespace quern::app {
namespace {

using engine::base::Result;
using engine::scheduler::FinishReason;

constexpr const char* kHelp =
    "/help            this list\n"
    "/clear           forget the conversation\n"
    "/system TEXT     set the system prompt and begin anew; without TEXT show it, \"/system -\" removes it\n"
    "/retry           answer the last question again\n"
    "/stats           show numbers after every answer, or stop showing them\n"
    "/exit            end (also Ctrl-D, or Ctrl-C twice)\n"
    "A line that ends in \\ goes on in the next one. Ctrl-C stops an answer.";

void writeText(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

/// A message for the person that is not part of the answer.
void note(const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); }

/// Asks, prints, and tells how it went: kOk or kFailed.
int printAnswer(const ChatOptions& options,
                const std::function<Result<Answer>(const std::function<void(const std::string&)>&)>& ask) {
  const auto answer = ask([&](const std::string& text) {
    if (!options.json) writeText(text);
  });
  if (!answer) return fail(answer.error());
  if (options.json) {
    printJsonLine(answerJson(*answer));
  } else if (answer->text.empty() || answer->text.back() != '\n') {
    writeText("\n");
  }
  if (options.stats && !options.json) note(statsText(*answer));
  if (answer->reason == FinishReason::kContextFull) {
    note("The context is full; --ctx N makes room for longer chats.");
  }
  return answer->reason == FinishReason::kCancelled ? kFailed : kOk;
}

/// Each line of stdin is a question; a question that fails does not keep the others from being asked.
int answerPipe(Conversation& conversation, const ChatOptions& options) {
  int code = kOk;
  std::string line;
  while (!interrupted() && std::getline(std::cin, line)) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    const int one = printAnswer(options, [&](const auto& onText) { return conversation.ask(line, onText); });
    if (one != kOk) code = one;
  }
  return interrupted() ? kFailed : code;
}

std::optional<std::string> readQuestion(LineReader& reader) {
  std::string question;
  const char* prompt = "\x01\x1b[1m\x02> \x01\x1b[0m\x02";  // readline's marks around what has no width
  for (;;) {
    const auto line = reader.read(prompt);
    if (!line) return std::nullopt;
    if (line->empty() || line->back() != '\\') return question + *line;
    question.append(*line, 0, line->size() - 1);
    question += '\n';
    prompt = "… ";
  }
}

/// Carries out a line that begins with "/"; false ends the chat.
bool command(const std::string& line, Conversation& conversation, ChatOptions& options) {
  const std::size_t space = line.find(' ');
  const std::string verb = line.substr(0, space);
  const std::string rest = space == std::string::npos ? "" : line.substr(line.find_first_not_of(' ', space));
  if (verb == "/exit" || verb == "/quit" || verb == "/bye") return false;
  if (verb == "/help" || verb == "/?") {
    note(kHelp);
  } else if (verb == "/clear") {
    conversation.clear();
    note("The conversation is forgotten.");
  } else if (verb == "/system") {
    if (rest.empty()) {
      note(conversation.system().empty() ? "There is no system prompt." : conversation.system());
    } else {
      conversation.setSystem(rest == "-" ? "" : rest);
      note("The system prompt is set and the conversation begins anew.");
    }
  } else if (verb == "/retry") {
    (void)printAnswer(options, [&](const auto& onText) { return conversation.again(onText); });
  } else if (verb == "/stats") {
    options.stats = !options.stats;
    note(options.stats ? "Numbers follow every answer." : "No more numbers.");
  } else {
    note("There is no command \"" + engine::base::printable(verb) + "\"; /help lists them.");
  }
  return true;
}

int converse(Conversation& conversation, ChatOptions options) {
  const auto& info = conversation.engine().info();
  note(info.name + " · " + info.quantization + " · " + conversation.engine().device() + " · /help for help");
  LineReader reader;
  while (const auto question = readQuestion(reader)) {
    if (question->find_first_not_of(" \t\n") == std::string::npos) continue;
    clearInterrupt();
    if (question->front() == '/') {
      if (!command(*question, conversation, options)) break;
      continue;
    }
    (void)printAnswer(options, [&](const auto& onText) { return conversation.ask(*question, onText); });
  }
  return kOk;
}

}  // namespace

int runChat(const ChatOptions& options) {
  const auto path = engine::hub::resolveModel(options.model);
  if (!path) return fail(path.error());
  engine::scheduler::LoadOptions load = options.load;
  if (!options.draft.empty()) {
    const auto draft = engine::hub::resolveModel(options.draft);
    if (!draft) return fail(draft.error());
    load.speculation = engine::scheduler::Speculation::kDraftModel;
    load.draftModel = *draft;
  }
  const InterruptWatch watch;
  StatusLine line;
  auto engine = engine::scheduler::Engine::load(*path, load, loadingProgress(line, options.model));
  line.clear();
  if (!engine) return fail(engine.error());
  const auto valid = engine::sampling::validate(options.sampling, (*engine)->info().vocabularySize);
  if (!valid) {
    (void)fail(valid.error());
    return kWrongUse;
  }
  auto adapters = loadLoras(**engine, options.loras);
  if (!adapters) return fail(adapters.error());
  engine::grammar::ConstraintCache constraints;
  std::shared_ptr<const engine::grammar::Constraint> constraint;
  if (options.constraint) {
    auto compiled = constraints.get(*options.constraint, (*engine)->tokenizer());
    if (!compiled) return fail(compiled.error());
    constraint = *std::move(compiled);
  }
  Conversation conversation(*engine, options, constraints, std::move(constraint));
  conversation.setAdapters(*std::move(adapters));
  if (options.prompt) {
    return printAnswer(options,
                       [&](const auto& onText) { return conversation.ask(*options.prompt, onText); });
  }
  if (::isatty(STDIN_FILENO) == 1) return converse(conversation, options);
  return answerPipe(conversation, options);
}

int runTerminalChat(const std::string& model, const std::string& why) {
  note("quern: " + why);
  ChatOptions options;
  options.model = model;
  return runChat(options);
}

}  // namespace quern::app
