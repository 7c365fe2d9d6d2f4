// quern perplexity: how surprised a model is by a text.

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/cli/command.h"
#include "app/cli/interrupt.h"
#include "app/cli/output.h"
#include "engine/base/text.h"
#include "engine/evaluation/perplexity.h"
#include "engine/hub/library.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::app {
namespace {

using namespace engine;

/// Rows of logits kept at a time: 64 of 262,144 floats are 64 MiB.
constexpr std::int32_t kLogitRows = 64;

struct Arguments {
  std::string model;
  std::string file;
  std::string klBase;
  std::int32_t context = 512;
  runtime::CompileOptions compile;
  bool json = false;
};

base::Result<std::string> readText(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  if (!stream.is_open() || stream.bad()) {
    return base::Error(base::ErrorCode::kNotFound,
                       "The text \"" + base::printable(path) + "\" cannot be read.");
  }
  // llama-perplexity drops the newline at the end of a file, and numbers are to be held side by side.
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

struct Outcome {
  evaluation::Perplexity perplexity;
  std::size_t tokens = 0;
  double seconds = 0;
  std::string device;
};

base::Result<Outcome> measure(const Arguments& arguments) {
  QUERN_ASSIGN(const std::string text, readText(arguments.file));
  QUERN_ASSIGN(const auto path, hub::resolveModel(arguments.model));
  StatusLine line;
  runtime::CompileOptions compile = arguments.compile;
  compile.logitRows = kLogitRows;
  QUERN_ASSIGN(const auto model, evaluation::DirectModel::load(path, 1, arguments.context, compile,
                                                               loadingProgress(line, arguments.model)));
  QUERN_ASSIGN(const auto tokenizer, tokenizer::Tokenizer::fromGguf(model->file()));
  const auto tokens = tokenizer->encode(text, {.addSpecial = true, .parseSpecial = false});
  const auto& special = tokenizer->special();
  const std::optional<std::int32_t> bos = special.addBos ? special.bos : std::nullopt;
  const auto began = std::chrono::steady_clock::now();
  Outcome outcome;
  model->executable().setActive(true);
  QUERN_ASSIGN(outcome.perplexity,
               evaluation::measurePerplexity(*model, tokens, arguments.context, bos,
                                             [&](const evaluation::Perplexity& soFar, std::int32_t windows) {
                                               line.show("Window " + std::to_string(soFar.windows) + " of " +
                                                         std::to_string(windows) + ": perplexity " +
                                                         fixedText(soFar.perplexity, 4));
                                               return !interrupted();
                                             }));
  model->executable().setActive(false);
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  outcome.tokens = tokens.size();
  outcome.device = model->executable().description();
  return outcome;
}

int perplexity(const Arguments& arguments) {
  if (!arguments.klBase.empty()) {
    std::fputs(
        "quern perplexity: --kl-base is not available yet; leave it out to measure perplexity alone.\n",
        stderr);
    return kWrongUse;
  }
  const InterruptWatch watch;
  const auto outcome = measure(arguments);
  if (!outcome) return fail(outcome.error());
  const evaluation::Perplexity& result = outcome->perplexity;
  const double rate = static_cast<double>(result.windows) * arguments.context / outcome->seconds;
  if (arguments.json) {
    printJson({{"model", arguments.model},
               {"device", outcome->device},
               {"context", arguments.context},
               {"windows", result.windows},
               {"tokens", outcome->tokens},
               {"scored_tokens", result.scoredTokens},
               {"perplexity", result.perplexity},
               {"standard_error", result.standardError},
               {"nats_per_token", result.nats},
               {"tokens_per_second", rate}});
    return kOk;
  }
  std::printf("perplexity %.4f ± %.4f (%s of %s tokens scored, %d windows of %d, %.1f tok/s)\n",
              result.perplexity, result.standardError,
              base::grouped(static_cast<std::uint64_t>(result.scoredTokens)).c_str(),
              base::grouped(outcome->tokens).c_str(), result.windows, arguments.context, rate);
  return kOk;
}

}  // namespace

void addPerplexityCommand(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("perplexity", "How surprised a model is by a text");
  command->add_option("-m,--model", arguments->model, "An installed name or a path")->required();
  command->add_option("-f,--file", arguments->file, "The text")->required();
  command->add_option("--ctx", arguments->context, "Tokens in a window; its second half is scored")
      ->check(CLI::Range(4, 1 << 20))
      ->capture_default_str();
  command->add_option("--kl-base", arguments->klBase, "Not available yet");
  command->add_option("-t,--threads", arguments->compile.threads, "Threads (0: one per physical core)")
      ->check(CLI::Range(0, 1024));
  command->add_option("--kernels", arguments->compile.kernels, "A table of kernels, for comparisons");
  command->add_flag("--json", arguments->json, "As JSON");
  command->callback([arguments, &action] { action = [arguments] { return perplexity(*arguments); }; });
}

}  // namespace quern::app
