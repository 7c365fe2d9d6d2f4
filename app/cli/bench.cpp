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
#include "engine/runtime/kv_type.h"

namespace quern::app {
namespace {

using Json = nlohmann::ordered_json;
using engine::base::byteText;
using engine::evaluation::Benchmark;
using engine::evaluation::BenchmarkResult;
using engine::evaluation::Bound;

struct Arguments {
  std::string model;
  std::string kv = "f16";
  engine::evaluation::BenchmarkOptions options;
  bool json = false;
  bool csv = false;
};

const char* boundName(Bound bound) { return bound == Bound::kRead ? "read" : "multiply"; }

double readRate(const BenchmarkResult& result) { return result.work.bytes / result.secondsOfMedian(); }
double macRate(const BenchmarkResult& result) { return result.work.macs / result.secondsOfMedian(); }

Json toJson(const Arguments& arguments, const Benchmark& benchmark) {
  Json results = Json::array();
  for (const BenchmarkResult& result : benchmark.results) {
    const auto& work = result.work;
    results.push_back({{"name", result.name},
                       {"batch", result.batch},
                       {"tokens", result.tokens},
                       {"depth", result.depth},
                       {"tokens_per_second",
                        {{"median", result.tokensPerSecond.median},
                         {"min", result.tokensPerSecond.min},
                         {"max", result.tokensPerSecond.max}}},
                       {"bytes_per_token", work.bytes / work.tokens},
                       {"macs_per_token", work.macs / work.tokens},
                       {"attention_macs_per_token", work.attentionMacs / work.tokens},
                       {"read_gb_s", readRate(result) / 1e9},
                       {"read_limit_gb_s", result.readLimitBytesPerSecond / 1e9},
                       {"gmac_s", macRate(result) / 1e9},
                       {"limited_by", boundName(result.bound)},
                       {"limit_share", result.limitShare}});
  }
  return {
      {"model", arguments.model},
      {"device", benchmark.device},
      {"threads", benchmark.threads},
      {"kv", arguments.kv},
      {"limits",
       {{"read_gb_s", benchmark.limits.readBytesPerSecond / 1e9},
        {"int8_gmac_s", benchmark.limits.int8MacsPerSecond / 1e9}}},
      {"load", {{"seconds", benchmark.loadSeconds}, {"first_token_seconds", benchmark.firstTokenSeconds}}},
      {"memory",
       {{"weight_bytes", benchmark.memory.weightBytes},
        {"kv_bytes", benchmark.memory.kvBytes},
        {"work_bytes", benchmark.memory.workBytes},
        {"peak_bytes", benchmark.peakBytes}}},
      {"results", std::move(results)}};
}

/// A field of a CSV file (RFC 4180): quoted where it must be.
std::string csvField(const std::string& text) {
  if (text.find_first_of("\",\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

void printCsv(const Arguments& arguments, const Benchmark& benchmark) {
  std::puts(
      "model,device,threads,kv,name,batch,tokens,depth,tokens_per_second,min,max,bytes_per_token,"
      "macs_per_token,read_gb_s,read_limit_gb_s,gmac_s,int8_limit_gmac_s,limited_by,limit_share");
  for (const BenchmarkResult& result : benchmark.results) {
    const auto& work = result.work;
    std::printf("%s,%s,%d,%s,%s,%d,%d,%d,%.3f,%.3f,%.3f,%.0f,%.0f,%.3f,%.3f,%.3f,%.3f,%s,%.4f\n",
                csvField(arguments.model).c_str(), csvField(benchmark.device).c_str(), benchmark.threads,
                arguments.kv.c_str(), result.name.c_str(), result.batch, result.tokens, result.depth,
                result.tokensPerSecond.median, result.tokensPerSecond.min, result.tokensPerSecond.max,
                work.bytes / work.tokens, work.macs / work.tokens, readRate(result) / 1e9,
                result.readLimitBytesPerSecond / 1e9, macRate(result) / 1e9,
                benchmark.limits.int8MacsPerSecond / 1e9, boundName(result.bound), result.limitShare);
  }
}

void printText(const Arguments& arguments, const Benchmark& benchmark) {
  const auto& memory = benchmark.memory;
  std::printf("%s on %s, %s cache\n", engine::base::printable(arguments.model).c_str(),
              benchmark.device.c_str(), arguments.kv.c_str());
  std::printf("limits   %.1f GB/s read from memory, %.0f G int8 multiply-adds/s\n",
              benchmark.limits.readBytesPerSecond / 1e9, benchmark.limits.int8MacsPerSecond / 1e9);
  std::printf("load     %.2f s, first token after %.2f s\n", benchmark.loadSeconds,
              benchmark.firstTokenSeconds);
  std::printf("memory   %s weights, %s cache, %s work; peak %s\n\n", byteText(memory.weightBytes).c_str(),
              byteText(memory.kvBytes).c_str(), byteText(memory.workBytes).c_str(),
              benchmark.peakBytes > 0 ? byteText(benchmark.peakBytes).c_str() : "unknown");
  std::vector<std::vector<std::string>> rows = {{"", "BATCH", "TOKENS", "DEPTH", "TOK/S", "MIN", "MAX",
                                                 "MB/TOK", "MMAC/TOK", "GB/S", "GMAC/S", "OF LIMIT", ""}};
  for (const BenchmarkResult& result : benchmark.results) {
    const std::string limit = result.bound == Bound::kRead
                                  ? "of " + fixedText(result.readLimitBytesPerSecond / 1e9, 1) + " GB/s"
                                  : "of the multiply-adds";
    rows.push_back({result.name, std::to_string(result.batch), std::to_string(result.tokens),
                    std::to_string(result.depth), fixedText(result.tokensPerSecond.median, 1),
                    fixedText(result.tokensPerSecond.min, 1), fixedText(result.tokensPerSecond.max, 1),
                    fixedText(result.work.bytes / result.work.tokens / 1e6, 1),
                    fixedText(result.work.macs / result.work.tokens / 1e6, 0),
                    fixedText(readRate(result) / 1e9, 1), fixedText(macRate(result) / 1e9, 0),
                    fixedText(result.limitShare * 100, 0) + " %", limit});
  }
  printTable(rows, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  const bool cached =
      std::any_of(benchmark.results.begin(), benchmark.results.end(), [&](const BenchmarkResult& result) {
        return result.readLimitBytesPerSecond > 1.2 * benchmark.limits.readBytesPerSecond;
      });
  if (cached) {
    std::puts(
        "\nWhat a step reads fits into the processor's last cache at least in part, so that it is held "
        "against "
        "what\nthis machine reads of as many bytes again and again, not against its memory.");
  }
}

int bench(Arguments arguments) {
  auto& options = arguments.options;
  std::erase(options.promptTokens, 0);
  if (options.promptTokens.empty() && options.decodeTokens == 0) {
    std::fputs("quern bench: -p 0 and -n 0 leave nothing to measure.\n", stderr);
    return kWrongUse;
  }
  options.compile.kvType = *engine::runtime::kvTypeOf(arguments.kv);
  const auto path = engine::hub::resolveModel(arguments.model);
  if (!path) return fail(path.error());
  const InterruptWatch watch;
  StatusLine line;
  const auto benchmark = engine::evaluation::runBenchmark(
      *path, options, loadingProgress(line, arguments.model),
      [&](const engine::evaluation::BenchmarkStep& step) {
        line.show("Measuring " + step.what + " (" + std::to_string(step.done + 1) + " of " +
                  std::to_string(step.of) + ") …");
        return !interrupted();
      });
  line.clear();
  if (!benchmark) return fail(benchmark.error());
  if (arguments.json) {
    printJson(toJson(arguments, *benchmark));
  } else if (arguments.csv) {
    printCsv(arguments, *benchmark);
  } else {
    printText(arguments, *benchmark);
  }
  return kOk;
}

}  // namespace

void addBenchCommand(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  auto& options = arguments->options;
  CLI::App* command = app.add_subcommand("bench", "Tokens per second beside the machine's own limits");
  command->add_option("-m,--model", arguments->model, "An installed name or a path")->required();
  command
      ->add_option("-p,--prompt-tokens", options.promptTokens,
                   "Tokens of a prompt, e.g. 512,4096 (0: leave prefill out)")
      ->delimiter(',')
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  command->add_option("-n,--decode-tokens", options.decodeTokens, "Tokens to decode (0: leave decode out)")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  command->add_option("-b,--batch", options.batches, "Sequences decoded together, e.g. 1,8,16,32")
      ->delimiter(',')
      ->check(CLI::Range(1, 512))
      ->capture_default_str();
  command->add_option("-d,--depth", options.depths, "Tokens in the cache before, e.g. 0,4096")
      ->delimiter(',')
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  command->add_option("-r,--repeat", options.repeats, "Rounds; everything is measured once a round")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("-t,--threads", options.compile.threads, "Threads (0: one per physical core)")
      ->check(CLI::Range(0, 1024));
  command->add_option("--kv", arguments->kv, "How keys and values are kept")
      ->check(CLI::IsMember(engine::runtime::kvTypeNames()))
      ->capture_default_str();
  command->add_option("--kernels", options.compile.kernels,
                      "A table of kernels, for comparisons (see \"quern doctor\")");
  auto* json = command->add_flag("--json", arguments->json, "As JSON");
  command->add_flag("--csv", arguments->csv, "As comma-separated values")->excludes(json);
  command->callback([arguments, &action] { action = [arguments] { return bench(*arguments); }; });
}

}  // namespace quern::app
