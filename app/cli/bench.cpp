// quern bench: prefill, decode and batched decode beside the machine's own limits.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/cli/command.h"
#include "app/cli/interrupt.h"
#include "app/cli/output.h"
#include "engine/base/text.h"
#include "engine/evaluation/benchmark.h"
#include "engine/hub/library.h"

namespace quern::app {
namespace {

using Json = nlohmann::ordered_json;
using engine::evaluation::Benchmark;
using engine::evaluation::BenchmarkResult;

struct Arguments {
  std::string model;
  engine::evaluation::BenchmarkOptions options;
  bool json = false;
};

Json toJson(const std::string& model, const Benchmark& benchmark) {
  Json results = Json::array();
  for (const BenchmarkResult& result : benchmark.results) {
    results.push_back({{"name", result.name},
                       {"batch", result.batch},
                       {"tokens", result.tokens},
                       {"depth", result.depth},
                       {"tokens_per_second",
                        {{"median", result.tokensPerSecond.median},
                         {"min", result.tokensPerSecond.min},
                         {"max", result.tokensPerSecond.max}}},
                       {"limit_share", result.limitShare}});
  }
  return {{"model", model},
          {"device", benchmark.device},
          {"threads", benchmark.threads},
          {"limits",
           {{"read_gb_s", benchmark.readBytesPerSecond / 1e9},
            {"int8_gmac_s", benchmark.int8MacsPerSecond / 1e9}}},
          {"results", std::move(results)}};
}

void printText(const std::string& model, const Benchmark& benchmark) {
  std::printf("%s on %s\nlimits: %.1f GB/s read, %.0f G int8 multiply-adds/s\n\n",
              engine::base::printable(model).c_str(), benchmark.device.c_str(),
              benchmark.readBytesPerSecond / 1e9, benchmark.int8MacsPerSecond / 1e9);
  std::vector<std::vector<std::string>> rows = {
      {"", "BATCH", "TOKENS", "DEPTH", "TOK/S", "MIN", "MAX", "OF LIMIT"}};
  for (const BenchmarkResult& result : benchmark.results) {
    rows.push_back({result.name, std::to_string(result.batch), std::to_string(result.tokens),
                    std::to_string(result.depth), fixedText(result.tokensPerSecond.median, 1),
                    fixedText(result.tokensPerSecond.min, 1), fixedText(result.tokensPerSecond.max, 1),
                    fixedText(result.limitShare * 100, 0) + " %"});
  }
  printTable(rows, {1, 2, 3, 4, 5, 6, 7});
  const bool cached = std::any_of(benchmark.results.begin(), benchmark.results.end(),
                                  [](const BenchmarkResult& result) { return result.limitShare > 1; });
  if (cached)
    std::puts("\nOver 100 %: the weights stay in the processor's caches, which are faster than its memory.");
}

int bench(const Arguments& arguments) {
  if (arguments.options.promptTokens == 0 && arguments.options.decodeTokens == 0) {
    std::fputs("quern bench: -p 0 and -n 0 leave nothing to measure.\n", stderr);
    return kWrongUse;
  }
  const auto path = engine::hub::resolveModel(arguments.model);
  if (!path) return fail(path.error());
  const InterruptWatch watch;
  StatusLine line;
  const auto benchmark = engine::evaluation::runBenchmark(
      *path, arguments.options, loadingProgress(line, arguments.model), [&](const std::string& what) {
        line.show("Measuring " + what + " …");
        return !interrupted();
      });
  line.clear();
  if (!benchmark) return fail(benchmark.error());
  if (arguments.json) {
    printJson(toJson(arguments.model, *benchmark));
  } else {
    printText(arguments.model, *benchmark);
  }
  return kOk;
}

}  // namespace

void addBenchCommand(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  auto& options = arguments->options;
  CLI::App* command = app.add_subcommand("bench", "Tokens per second beside the machine's own limits");
  command->add_option("-m,--model", arguments->model, "An installed name or a path")->required();
  command->add_option("-p,--prompt-tokens", options.promptTokens, "Tokens of a prompt (0: leave prefill out)")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  command->add_option("-n,--decode-tokens", options.decodeTokens, "Tokens to decode (0: leave decode out)")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  command->add_option("-b,--batch", options.batches, "Sequences decoded together, e.g. 1,8,16,32")
      ->delimiter(',')
      ->check(CLI::Range(1, 512))
      ->capture_default_str();
  command->add_option("-d,--depth", options.depth, "Tokens in the cache before")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  command->add_option("-r,--repeat", options.repeats, "Rounds; everything is measured once a round")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("-t,--threads", options.compile.threads, "Threads (0: one per physical core)")
      ->check(CLI::Range(0, 1024));
  command->add_option("--kernels", options.compile.kernels, "A table of kernels, for comparisons");
  command->add_flag("--json", arguments->json, "As JSON");
  command->callback([arguments, &action] { action = [arguments] { return bench(*arguments); }; });
}

}  // namespace quern::app
