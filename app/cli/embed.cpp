// quern embed: a line of text in, a line of JSON numbers out; for a reranker, a question and a text in and
// their scores out.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <future>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/cli/command.h"
#include "app/cli/interrupt.h"
#include "app/cli/lora.h"
#include "app/cli/output.h"
#include "engine/base/text.h"
#include "engine/hub/library.h"
#include "engine/scheduler/engine.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::app {
namespace {

using namespace engine;
using scheduler::Event;
using scheduler::Pooling;

/// Lines that the engine computes together: enough to fill a step with sentences.
constexpr std::int32_t kTogether = 16;
/// How often Ctrl-C is looked for while nothing comes.
constexpr std::chrono::milliseconds kPoll{20};
/// Longer than any context holds; it keeps a pipe without newlines from filling the memory.
constexpr std::size_t kMostBytes = std::size_t{1} << 26;

struct Arguments {
  std::string model;
  std::string pooling;
  std::vector<std::string> loras;
  scheduler::LoadOptions options;
};

/// Waits on the engine thread for one text's embedding.
class Waiting final : public scheduler::EventSink {
 public:
  void onEvent(const Event& event) override {
    if (event.kind == Event::Kind::kEmbedding || event.kind == Event::Kind::kScores) values_ = event.values;
    if (event.kind != Event::Kind::kFinished) return;
    if (event.error) {
      done_.set_value(*event.error);
    } else if (values_.empty()) {
      done_.set_value(base::Error(base::ErrorCode::kCancelled, "Embedding was cancelled."));
    } else {
      done_.set_value(std::move(values_));
    }
  }
  std::future<base::Result<std::vector<float>>> result() { return done_.get_future(); }

 private:
  std::vector<float> values_;
  std::promise<base::Result<std::vector<float>>> done_;
};

struct Line {
  scheduler::RequestId id = 0;
  std::future<base::Result<std::vector<float>>> result;
};

std::optional<Pooling> poolingOf(const std::string& name) {
  for (const Pooling pooling : {Pooling::kMean, Pooling::kFirst, Pooling::kLast, Pooling::kRank}) {
    if (scheduler::poolingName(pooling) == name) return pooling;
  }
  return std::nullopt;
}

base::Result<Line> submit(scheduler::Engine& engine, const std::string& text, Pooling pooling,
                          const std::vector<scheduler::AdapterChoice>& adapters, std::size_t number) {
  scheduler::Request request;
  request.pooling = pooling;
  request.adapters = adapters;
  if (pooling == Pooling::kRank) {
    const std::size_t tab = text.find('\t');
    if (tab == std::string::npos) {
      return base::Error(base::ErrorCode::kInvalidArgument,
                         "Line " + base::grouped(number) +
                             " has no tab: to be ranked, a line is a question, a tab and a text.");
    }
    const std::string_view line = text;
    request.prompt = scheduler::rerankPrompt(*engine.tokenizer(), line.substr(0, tab), line.substr(tab + 1));
  } else {
    request.prompt = engine.tokenizer()->encode(text, {.addSpecial = true, .parseSpecial = false});
  }
  if (request.prompt.empty()) {
    return base::Error(base::ErrorCode::kInvalidArgument,
                       "Line " + base::grouped(number) + " is empty: there is nothing to embed.");
  }
  const auto sink = std::make_shared<Waiting>();
  Line line;
  line.result = sink->result();
  auto id = engine.submit(std::move(request), sink);
  if (!id) {
    return base::Error(id.error().code(), "Line " + base::grouped(number) + ": " + id.error().message());
  }
  line.id = *id;
  return line;
}

/// A JSON list with as many digits as tell one float from the next.
std::string listOf(const std::vector<float>& values) {
  std::string text = "[";
  std::array<char, 32> digits{};
  for (const float value : values) {
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    if (text.size() > 1) text += ',';
    text.append(digits.data(), end);
  }
  return text + "]";
}

/// Waits for the lines in their order and prints each.
base::Result<void> print(scheduler::Engine& engine, std::vector<Line>& lines) {
  for (Line& line : lines) {
    bool cancelled = false;
    while (line.result.wait_for(kPoll) != std::future_status::ready) {
      if (!interrupted() || cancelled) continue;
      for (const Line& other : lines) engine.cancel(other.id);
      cancelled = true;
    }
    QUERN_ASSIGN(const std::vector<float> values, line.result.get());
    std::printf("%s\n", listOf(values).c_str());
  }
  lines.clear();
  return base::ok();
}

base::Result<void> embed(Arguments arguments) {
  const InterruptWatch watch;
  QUERN_ASSIGN(const auto path, hub::resolveModel(arguments.model));
  scheduler::LoadOptions& options = arguments.options;
  options.embeddings = true;
  options.parallel = kTogether;
  options.speculation = scheduler::Speculation::kOff;
  options.rehearse = false;
  // Sentences share the room that two long texts need.
  options.kvTokens = 2 * std::max(options.contextTokens, 8192);
  std::shared_ptr<scheduler::Engine> engine;
  {
    StatusLine status;
    QUERN_ASSIGN(engine, scheduler::Engine::load(path, options, loadingProgress(status, arguments.model)));
  }
  QUERN_ASSIGN(const auto adapters, loadLoras(*engine, arguments.loras));
  Pooling pooling = engine->info().pooling;
  // Where the file says nothing: an encoder's tokens all know the text, a decoder's last one does.
  if (pooling == Pooling::kNone) pooling = engine->info().isEncoder ? Pooling::kMean : Pooling::kLast;
  if (!arguments.pooling.empty()) pooling = *poolingOf(arguments.pooling);

  std::vector<Line> lines;
  std::string text;
  for (std::size_t number = 1; std::getline(std::cin, text); ++number) {
    if (text.size() > kMostBytes) {
      return base::Error(base::ErrorCode::kLimit,
                         "Line " + base::grouped(number) + " is longer than 64 MiB.");
    }
    if (!text.empty() && text.back() == '\r') text.pop_back();
    QUERN_ASSIGN(Line line, submit(*engine, text, pooling, adapters, number));
    lines.push_back(std::move(line));
    if (lines.size() == static_cast<std::size_t>(kTogether)) QUERN_TRY(print(*engine, lines));
  }
  return print(*engine, lines);
}

}  // namespace

void addEmbedCommand(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("embed", "Embeddings of the lines on standard input, as JSON");
  verb->add_option("-m,--model", arguments->model, "An installed name or a path")->required();
  verb->add_option("--pooling", arguments->pooling,
                   "How tokens become one vector; the model's own if not given")
      ->check(CLI::IsMember({"mean", "cls", "last", "rank"}));
  verb->add_option("--lora", arguments->loras, kLoraHelp)->allow_extra_args(false);
  verb->add_option("--ctx", arguments->options.contextTokens, "Tokens that a line may have")
      ->check(CLI::Range(1, 1 << 20));
  verb->add_option("-t,--threads", arguments->options.threads, "Threads; 0: one per physical core")
      ->check(CLI::Range(0, 512));
  verb->callback([arguments, &action] {
    action = [arguments] {
      const auto done = embed(*arguments);
      if (!done) return fail(done.error());
      return std::fflush(stdout) == 0 ? kOk : kFailed;
    };
  });
}

}  // namespace quern::app
