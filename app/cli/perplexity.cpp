// quern perplexity: how surprised a model is by a text.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <utility>

#include "app/cli/command.h"
#include "app/cli/interrupt.h"
#include "app/cli/output.h"
#include "engine/base/text.h"
#include "engine/evaluation/kl_base.h"
#include "engine/evaluation/perplexity.h"
#include "engine/hub/library.h"
#include "engine/runtime/kv_type.h"
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
  std::string kv = "f16";
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
  std::optional<evaluation::Divergence> divergence;  ///< against an existing base
  bool baseWritten = false;
  std::int32_t context = 0;
  std::size_t tokens = 0;
  double seconds = 0;
  std::string device;
};

/// What --kl-base means: compare with a base that is there, write one that is not.
struct Base {
  std::optional<evaluation::KlBaseReader> reader;
  std::optional<evaluation::KlBaseWriter> writer;

  base::Result<void> row(std::span<const float> logits, std::int32_t next) {
    if (reader) return reader->compare(logits, next);
    return writer ? writer->add(logits) : base::ok();
  }
};

base::Result<Outcome> measure(const Arguments& arguments) {
  QUERN_ASSIGN(const std::string text, readText(arguments.file));
  QUERN_ASSIGN(const auto path, hub::resolveModel(arguments.model));
  Base klBase;
  Outcome outcome;
  outcome.context = arguments.context;
  std::error_code ignored;
  if (!arguments.klBase.empty() && std::filesystem::exists(arguments.klBase, ignored)) {
    QUERN_ASSIGN(klBase.reader, evaluation::KlBaseReader::open(arguments.klBase));
    outcome.context = klBase.reader->context();
  }
  StatusLine line;
  runtime::CompileOptions compile = arguments.compile;
  compile.logitRows = kLogitRows;
  compile.kvType = *runtime::kvTypeOf(arguments.kv);
  QUERN_ASSIGN(const auto model, evaluation::DirectModel::load(path, 1, outcome.context, compile,
                                                               loadingProgress(line, arguments.model)));
  QUERN_ASSIGN(const auto tokenizer, tokenizer::Tokenizer::fromGguf(model->file()));
  const auto& special = tokenizer->special();
  const std::optional<std::int32_t> bos = special.addBos ? special.bos : std::nullopt;
  auto tokens = tokenizer->encode(text, {.addSpecial = true, .parseSpecial = false});
  const std::int32_t vocabulary = model->executable().vocabularySize();
  if (klBase.reader) {
    if (klBase.reader->vocabulary() != vocabulary) {
      return base::Error(base::ErrorCode::kInvalidArgument,
                         "The base was made with a vocabulary of " +
                             base::grouped(static_cast<std::uint64_t>(klBase.reader->vocabulary())) +
                             " tokens, this model has " +
                             base::grouped(static_cast<std::uint64_t>(vocabulary)) +
                             ": only models of one family can be compared.");
    }
    const auto& baseTokens = klBase.reader->tokens();
    if (tokens.size() < baseTokens.size() ||
        !std::equal(baseTokens.begin(), baseTokens.end(), tokens.begin())) {
      return base::Error(base::ErrorCode::kInvalidArgument,
                         "The base was made with another text; give the same one with -f.");
    }
    tokens.resize(baseTokens.size());
  } else if (!arguments.klBase.empty()) {
    QUERN_ASSIGN(auto writer,
                 evaluation::KlBaseWriter::create(arguments.klBase, outcome.context, vocabulary, tokens));
    klBase.writer.emplace(std::move(writer));
  }
  const auto began = std::chrono::steady_clock::now();
  model->executable().setActive(true);
  QUERN_ASSIGN(
      outcome.perplexity,
      evaluation::measurePerplexity(
          *model, tokens, outcome.context, bos,
          [&](const evaluation::Perplexity& soFar, std::int32_t windows) {
            line.show("Window " + std::to_string(soFar.windows) + " of " + std::to_string(windows) +
                      ": perplexity " + fixedText(soFar.perplexity, 4));
            return !interrupted();
          },
          [&](std::span<const float> logits, std::int32_t next) { return klBase.row(logits, next); }));
  model->executable().setActive(false);
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  if (klBase.reader) outcome.divergence = klBase.reader->result();
  if (klBase.writer) {
    QUERN_TRY(klBase.writer->finish());
    outcome.baseWritten = true;
  }
  outcome.tokens = tokens.size();
  outcome.device = model->executable().description();
  return outcome;
}

void printOutcomeJson(const Arguments& arguments, const Outcome& outcome, double rate) {
  const evaluation::Perplexity& result = outcome.perplexity;
  nlohmann::ordered_json document = {{"model", arguments.model},
                                     {"device", outcome.device},
                                     {"kv", arguments.kv},
                                     {"context", outcome.context},
                                     {"windows", result.windows},
                                     {"tokens", outcome.tokens},
                                     {"scored_tokens", result.scoredTokens},
                                     {"perplexity", result.perplexity},
                                     {"standard_error", result.standardError},
                                     {"nats_per_token", result.nats},
                                     {"tokens_per_second", rate}};
  if (outcome.divergence) {
    const evaluation::Divergence& divergence = *outcome.divergence;
    document["kl_divergence"] = {{"mean_nats", divergence.meanNats},
                                 {"standard_error", divergence.standardError},
                                 {"max_nats", divergence.maxNats},
                                 {"same_top_share", divergence.sameTop},
                                 {"base_perplexity", divergence.basePerplexity}};
  }
  printJson(document);
}

int perplexity(const Arguments& arguments) {
  const InterruptWatch watch;
  const auto outcome = measure(arguments);
  if (!outcome) return fail(outcome.error());
  const evaluation::Perplexity& result = outcome->perplexity;
  const double rate = static_cast<double>(result.windows) * outcome->context / outcome->seconds;
  if (arguments.json) {
    printOutcomeJson(arguments, *outcome, rate);
    return kOk;
  }
  std::printf("perplexity %.4f ± %.4f (%s of %s tokens scored, %d windows of %d, %.1f tok/s)\n",
              result.perplexity, result.standardError,
              base::grouped(static_cast<std::uint64_t>(result.scoredTokens)).c_str(),
              base::grouped(outcome->tokens).c_str(), result.windows, outcome->context, rate);
  if (outcome->divergence) {
    std::printf(
        "KL divergence %.6f ± %.6f nats, at most %.4f; the same top token in %.2f %%; base perplexity %.4f\n",
        outcome->divergence->meanNats, outcome->divergence->standardError, outcome->divergence->maxNats,
        outcome->divergence->sameTop * 100, outcome->divergence->basePerplexity);
  }
  if (outcome->baseWritten) std::fprintf(stderr, "The base is in \"%s\".\n", arguments.klBase.c_str());
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
  command->add_option(
      "--kl-base", arguments->klBase,
      "A base of log-probabilities: compared with where it exists, else written (llama-perplexity's format)");
  command->add_option("-t,--threads", arguments->compile.threads, "Threads (0: one per physical core)")
      ->check(CLI::Range(0, 1024));
  command->add_option("--kv", arguments->kv, "How keys and values are kept")
      ->check(CLI::IsMember(runtime::kvTypeNames()))
      ->capture_default_str();
  command->add_option("--kernels", arguments->compile.kernels, "A table of kernels, for comparisons");
  command->add_flag("--json", arguments->json, "As JSON");
  command->callback([arguments, &action] { action = [arguments] { return perplexity(*arguments); }; });
}

}  // namespace quern::app
