#include "engine/evaluation/benchmark.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <utility>

#include "engine/runtime/machine.h"

namespace quern::engine::evaluation {
namespace {

using Clock = std::chrono::steady_clock;

/// One thing that is measured, and the times it took.
struct Case {
  BenchmarkResult result;
  std::vector<double> seconds;
};

class Bench {
 public:
  Bench(DirectModel& model, const BenchmarkOptions& options) : model_(model), options_(options) {
    // Any tokens do; the same ones every time.
    std::mt19937 random(7);
    std::uniform_int_distribution<std::int32_t> token(0, model.executable().vocabularySize() - 1);
    tokens_.resize(static_cast<std::size_t>(std::max({options.promptTokens, options.depth, 64})));
    for (std::int32_t& each : tokens_) each = token(random);
    slices_.reserve(
        static_cast<std::size_t>(*std::max_element(options.batches.begin(), options.batches.end())));
  }

  base::Result<void> fillDepth(std::int32_t sequences) {
    if (options_.depth == 0) return base::ok();
    for (std::int32_t s = 0; s < sequences; ++s) {
      QUERN_TRY(model_.advance(s, std::span(tokens_).first(static_cast<std::size_t>(options_.depth)), 0, 0));
    }
    return base::ok();
  }

  base::Result<double> time(const Case& one) {
    const auto began = Clock::now();
    if (one.result.name == "prefill") {
      QUERN_TRY(model_.advance(0, std::span(tokens_).first(static_cast<std::size_t>(one.result.tokens)),
                               options_.depth, 1));
    } else {
      for (std::int32_t i = 0; i < one.result.tokens; ++i) QUERN_TRY(decodeStep(one.result.batch, i));
    }
    return std::chrono::duration<double>(Clock::now() - began).count();
  }

 private:
  base::Result<void> decodeStep(std::int32_t batch, std::int32_t step) {
    slices_.clear();
    for (std::int32_t s = 0; s < batch; ++s) {
      const auto which = static_cast<std::size_t>(s + step) % tokens_.size();
      slices_.push_back({std::span(tokens_).subspan(which, 1), options_.depth + step, model_.blocks(s), 1});
    }
    return model_.executable().run({slices_});
  }

  DirectModel& model_;
  const BenchmarkOptions& options_;
  std::vector<std::int32_t> tokens_;
  std::vector<runtime::Slice> slices_;
};

/// The least seconds that the machine's limits allow for a case.
double leastSeconds(const Case& one, const DirectModel& model, const MacCount& macs,
                    const Benchmark& limits) {
  const BenchmarkResult& result = one.result;
  const auto bytesAt = [&](std::int32_t position) {
    return static_cast<double>(model.executable().bytesPerToken(position));
  };
  const auto tokens = static_cast<double>(result.tokens);
  const double batch = result.batch;
  double bytes = 0;
  double rows = 0;
  double computed = tokens * batch;
  if (result.name == "prefill") {
    const std::int32_t step = model.options().batchTokens;
    const double steps = (result.tokens + step - 1) / step;
    bytes = steps * bytesAt(result.depth);
    rows = 1;
  } else {
    // Weights are read once a step, each sequence's cache on top of them.
    const std::int32_t middle = result.depth + result.tokens / 2;
    bytes = tokens * (bytesAt(middle) + (batch - 1) * (bytesAt(middle) - bytesAt(0)));
    rows = computed;
  }
  const double multiplications =
      computed * static_cast<double>(macs.perToken) + rows * static_cast<double>(macs.perLogitRow);
  return std::max(limits.readBytesPerSecond > 0 ? bytes / limits.readBytesPerSecond : 0,
                  limits.int8MacsPerSecond > 0 ? multiplications / limits.int8MacsPerSecond : 0);
}

}  // namespace

Spread spreadOf(std::vector<double> numbers) {
  if (numbers.empty()) return {};
  std::sort(numbers.begin(), numbers.end());
  const std::size_t middle = numbers.size() / 2;
  const double median =
      numbers.size() % 2 == 1 ? numbers[middle] : (numbers[middle - 1] + numbers[middle]) / 2;
  return {median, numbers.front(), numbers.back()};
}

MacCount countMacs(const gguf::File& file) {
  MacCount count;
  for (const gguf::Tensor& tensor : file.tensors()) {
    if (tensor.dims.size() >= 2 && tensor.name.starts_with("blk.")) count.perToken += tensor.elements();
  }
  // Tied embeddings are the output matrix as well.
  const gguf::Tensor* output = file.tensor("output.weight");
  if (output == nullptr) output = file.tensor("token_embd.weight");
  if (output != nullptr) count.perLogitRow = output->elements();
  return count;
}

base::Result<Benchmark> runBenchmark(const std::filesystem::path& path, const BenchmarkOptions& options,
                                     const runtime::Progress& loading, const BenchmarkProgress& progress) {
  const bool bad = options.promptTokens < 0 || options.decodeTokens < 0 || options.depth < 0 ||
                   options.repeats < 1 || options.batches.empty() ||
                   *std::min_element(options.batches.begin(), options.batches.end()) < 1;
  if (bad) return base::Error(base::ErrorCode::kInvalidArgument, "A benchmark needs positive numbers.");
  const std::int32_t largest = *std::max_element(options.batches.begin(), options.batches.end());
  const std::int32_t sequences = options.decodeTokens > 0 ? largest : 1;
  runtime::CompileOptions compile = options.compile;
  compile.batchTokens = std::max(512, sequences);
  compile.logitRows = std::max(1, sequences);
  QUERN_ASSIGN(const std::unique_ptr<DirectModel> model,
               DirectModel::load(path, sequences,
                                 options.depth + std::max({options.promptTokens, options.decodeTokens, 1}),
                                 compile, loading));

  Benchmark benchmark;
  benchmark.device = model->executable().description();
  benchmark.threads = model->executable().threads();
  if (progress && !progress("limits"))
    return base::Error(base::ErrorCode::kCancelled, "The benchmark was cancelled.");
  benchmark.readBytesPerSecond = runtime::measuredReadBandwidth(benchmark.threads);
  benchmark.int8MacsPerSecond = runtime::measuredInt8Peak(benchmark.threads);

  std::vector<Case> cases;
  if (options.promptTokens > 0) {
    cases.push_back({{"prefill", 1, options.promptTokens, options.depth, {}, 0}, {}});
  }
  if (options.decodeTokens > 0) {
    for (const std::int32_t batch : options.batches) {
      cases.push_back({{"decode", batch, options.decodeTokens, options.depth, {}, 0}, {}});
    }
  }
  model->executable().setActive(true);
  Bench bench(*model, options);
  QUERN_TRY(bench.fillDepth(sequences));
  for (std::int32_t round = 0; round <= options.repeats; ++round) {
    for (Case& one : cases) {
      if (progress && !progress(one.result.name + " " + std::to_string(one.result.batch))) {
        return base::Error(base::ErrorCode::kCancelled, "The benchmark was cancelled.");
      }
      QUERN_ASSIGN(const double seconds, bench.time(one));
      if (round > 0) one.seconds.push_back(seconds);
    }
  }
  model->executable().setActive(false);

  const MacCount macs = countMacs(model->file());
  for (Case& one : cases) {
    const double tokens = static_cast<double>(one.result.tokens) * one.result.batch;
    std::vector<double> rates;
    for (const double seconds : one.seconds) rates.push_back(tokens / seconds);
    one.result.tokensPerSecond = spreadOf(std::move(rates));
    one.result.limitShare =
        leastSeconds(one, *model, macs, benchmark) * one.result.tokensPerSecond.median / tokens;
    benchmark.results.push_back(std::move(one.result));
  }
  return benchmark;
}

}  // namespace quern::engine::evaluation
