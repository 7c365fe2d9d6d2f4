#include "engine/evaluation/benchmark.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <utility>

#include "engine/base/text.h"
#include "engine/runtime/machine.h"

namespace quern::engine::evaluation {
namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

/// Tokens of a warm-up: enough that every buffer is touched, threads are awake and clocks are up.
constexpr std::int32_t kWarmPrompt = 128;
constexpr std::int32_t kWarmDecode = 8;

/// One thing that is measured, and the times it took.
struct Case {
  Case(const char* name, std::int32_t batch, std::int32_t tokens, std::int32_t depth) {
    result.name = name;
    result.batch = batch;
    result.tokens = tokens;
    result.depth = depth;
  }
  BenchmarkResult result;
  std::vector<double> seconds;

  bool isPrefill() const { return result.name == "prefill"; }
  std::string text() const {
    std::string text = result.name + " of " + base::grouped(static_cast<std::uint64_t>(result.tokens));
    if (result.batch > 1) text += " × " + std::to_string(result.batch);
    if (result.depth > 0) text += " behind " + base::grouped(static_cast<std::uint64_t>(result.depth));
    return text;
  }
};

std::int32_t largest(const std::vector<std::int32_t>& numbers) {
  return numbers.empty() ? 0 : *std::max_element(numbers.begin(), numbers.end());
}
bool allAtLeast(const std::vector<std::int32_t>& numbers, std::int32_t least) {
  return std::all_of(numbers.begin(), numbers.end(), [&](std::int32_t number) { return number >= least; });
}

class Bench {
 public:
  Bench(DirectModel& model, const BenchmarkOptions& options) : model_(model) {
    // Any tokens do; the same ones every time.
    std::mt19937 random(7);
    std::uniform_int_distribution<std::int32_t> token(0, model.executable().vocabularySize() - 1);
    tokens_.resize(static_cast<std::size_t>(
        std::max({largest(options.promptTokens), largest(options.depths), 64, kFirstPrompt})));
    for (std::int32_t& each : tokens_) each = token(random);
    slices_.reserve(static_cast<std::size_t>(largest(options.batches)));
  }

  /// Fills the cache of all sequences up to `depth`: one is computed, the others are copies in blocks of
  /// their own, so that decoding them together reads as many bytes as different texts would.
  base::Result<void> fill(std::int32_t sequences, std::int32_t depth) {
    if (depth == 0) return base::ok();
    QUERN_TRY(model_.advance(0, std::span(tokens_).first(static_cast<std::size_t>(depth)), 0, 0));
    const auto blocks =
        static_cast<std::size_t>((depth + runtime::kKvBlockTokens - 1) / runtime::kKvBlockTokens);
    for (std::int32_t s = 1; s < sequences; ++s) {
      for (std::size_t b = 0; b < blocks; ++b) {
        model_.executable().copyBlock(model_.blocks(0)[b], model_.blocks(s)[b]);
      }
    }
    return base::ok();
  }

  base::Result<double> time(const Case& one, std::int32_t tokens) {
    const auto began = Clock::now();
    bytesRead_ = 0;
    if (one.isPrefill()) {
      QUERN_TRY(prefill(one.result, tokens));
    } else {
      for (std::int32_t i = 0; i < tokens; ++i) QUERN_TRY(decodeStep(one.result, i));
    }
    return secondsSince(began);
  }

  /// Bytes that the last time() had to read: which experts of a mixture are read is known only behind it.
  double bytesRead() const { return bytesRead_; }

 private:
  void countBytes(std::int32_t position, std::int32_t sequences) {
    const runtime::Executable& executable = model_.executable();
    bytesRead_ +=
        static_cast<double>(executable.bytesOfLastRun()) +
        sequences * static_cast<double>(executable.bytesPerToken(position) - executable.bytesPerToken(0));
  }

  base::Result<void> prefill(const BenchmarkResult& result, std::int32_t tokens) {
    const std::int32_t step = model_.options().batchTokens;
    for (std::int32_t at = 0; at < tokens; at += step) {
      const std::int32_t count = std::min(step, tokens - at);
      const auto part =
          std::span(tokens_).subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(count));
      QUERN_TRY(model_.advance(0, part, result.depth + at, at + count == tokens ? 1 : 0));
      countBytes(result.depth + tokens / 2, 1);
    }
    return base::ok();
  }

  base::Result<void> decodeStep(const BenchmarkResult& result, std::int32_t step) {
    slices_.clear();
    for (std::int32_t s = 0; s < result.batch; ++s) {
      const auto which = static_cast<std::size_t>(s + step) % tokens_.size();
      slices_.push_back({std::span(tokens_).subspan(which, 1), result.depth + step, model_.blocks(s), 1,
                         /*isPrompt=*/false});
    }
    QUERN_TRY(model_.executable().run({slices_}));
    countBytes(result.depth + step, result.batch);
    return base::ok();
  }

  DirectModel& model_;
  double bytesRead_ = 0;
  std::vector<std::int32_t> tokens_;
  std::vector<runtime::Slice> slices_;
};

/// What one repeat of a case does.
Work workOf(const BenchmarkResult& result, const DirectModel& model, const MacCount& macs) {
  const auto bytesAt = [&](std::int32_t position) {
    return static_cast<double>(model.executable().bytesPerToken(position));
  };
  const double batch = result.batch;
  // Cache and attention grow evenly with the position: the middle token stands for all.
  const std::int32_t middle = result.depth + result.tokens / 2;
  Work work;
  work.tokens = static_cast<double>(result.tokens) * batch;
  double rows = work.tokens;
  if (result.name == "prefill") {
    const std::int32_t step = model.options().batchTokens;
    const double steps = (result.tokens + step - 1) / step;
    work.stepBytes = bytesAt(middle);
    work.bytes = steps * work.stepBytes;
    rows = 1;
  } else {
    work.stepBytes = bytesAt(middle) + (batch - 1) * (bytesAt(middle) - bytesAt(0));
    work.bytes = result.tokens * work.stepBytes;
  }
  // Steps take other experts of a mixture in turn: all of them are read again and again.
  work.stepBytes += std::max(0.0, static_cast<double>(model.executable().memory().weightBytes) - bytesAt(0));
  work.macs = work.tokens * static_cast<double>(macs.perToken) + rows * static_cast<double>(macs.perLogitRow);
  work.attentionMacs = work.tokens * static_cast<double>(attentionMacs(model.program(), middle));
  return work;
}

std::vector<Case> casesOf(const BenchmarkOptions& options) {
  std::vector<Case> cases;
  for (const std::int32_t depth : options.depths) {
    for (const std::int32_t prompt : options.promptTokens) cases.emplace_back("prefill", 1, prompt, depth);
    if (options.decodeTokens == 0) continue;
    for (const std::int32_t batch : options.batches) {
      cases.emplace_back("decode", batch, options.decodeTokens, depth);
    }
  }
  return cases;
}

/// Measures the limits that all cases need, in front of them and once more behind: what disturbed the first
/// time seldom disturbs the second, and the better one counts.
void measureLimits(std::vector<Case>& cases, const BenchmarkOptions& options, Benchmark& benchmark) {
  std::vector<std::uint64_t> workingSets = {0};  // the memory itself
  for (const Case& one : cases) {
    workingSets.push_back(static_cast<std::uint64_t>(one.result.work.stepBytes));
  }
  runtime::remeasureReadBandwidth(benchmark.threads, workingSets);
  runtime::remeasureInt8Peak(benchmark.threads, options.compile.kernels);
  benchmark.limits = {runtime::measuredReadBandwidth(benchmark.threads),
                      runtime::measuredInt8Peak(benchmark.threads, options.compile.kernels)};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    cases[i].result.readLimitBytesPerSecond =
        runtime::measuredReadBandwidth(benchmark.threads, workingSets[i + 1]);
  }
}

void conclude(Case& one, const Limits& limits) {
  BenchmarkResult& result = one.result;
  std::vector<double> rates;
  for (const double seconds : one.seconds) rates.push_back(result.work.tokens / seconds);
  result.tokensPerSecond = spreadOf(std::move(rates));
  const LeastTime least = leastTime(result.work, {result.readLimitBytesPerSecond, limits.int8MacsPerSecond});
  result.bound = least.bound;
  result.limitShare = least.seconds / result.secondsOfMedian();
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

base::Result<Benchmark> runBenchmark(const std::filesystem::path& path, const BenchmarkOptions& options,
                                     const runtime::Progress& loading, const BenchmarkProgress& progress) {
  std::vector<Case> cases = casesOf(options);
  if (cases.empty() || options.repeats < 1 || options.decodeTokens < 0 || options.batches.empty() ||
      !allAtLeast(options.promptTokens, 1) || !allAtLeast(options.batches, 1) ||
      !allAtLeast(options.depths, 0)) {
    return base::Error(base::ErrorCode::kInvalidArgument, "A benchmark needs positive numbers.");
  }
  const std::int32_t sequences = options.decodeTokens > 0 ? largest(options.batches) : 1;
  const std::int64_t each =
      std::int64_t{largest(options.depths)} +
      std::max({largest(options.promptTokens), options.decodeTokens, kFirstPrompt, kWarmDecode});
  if (each > INT32_MAX) {
    return base::Error(base::ErrorCode::kLimit, "So many tokens fit into no cache: ask for a shorter depth.");
  }
  runtime::CompileOptions compile = options.compile;
  compile.batchTokens = std::max(512, sequences);
  compile.logitRows = std::max(1, sequences);

  Benchmark benchmark;
  const auto began = Clock::now();
  QUERN_ASSIGN(const std::unique_ptr<DirectModel> model,
               DirectModel::load(path, sequences, static_cast<std::int32_t>(each), compile, loading));
  benchmark.loadSeconds = secondsSince(began);
  Bench bench(*model, options);
  model->executable().setActive(true);
  QUERN_ASSIGN([[maybe_unused]] const double prompt,
               bench.time(Case("prefill", 1, kFirstPrompt, 0), kFirstPrompt));
  benchmark.firstTokenSeconds = secondsSince(began);
  benchmark.peakBytes = runtime::peakResidentBytes();
  benchmark.device = model->executable().description();
  benchmark.threads = model->executable().threads();
  benchmark.memory = model->executable().memory();

  const MacCount macs = countMacs(model->file());
  for (Case& one : cases) one.result.work = workOf(one.result, *model, macs);

  BenchmarkStep step{"", 0, static_cast<std::int32_t>(cases.size()) * (options.repeats + 1) + 3};
  const auto next = [&](std::string what) -> base::Result<void> {
    step.what = std::move(what);
    if (progress && !progress(step)) {
      return base::Error(base::ErrorCode::kCancelled, "The benchmark was cancelled.");
    }
    ++step.done;
    return base::ok();
  };
  model->executable().setActive(false);  // its workers would take from what is measured next
  while (model->executable().settle()) {
  }
  QUERN_TRY(next("the machine's limits"));
  measureLimits(cases, options, benchmark);
  model->executable().setActive(true);
  QUERN_TRY(next("a cache of " + base::grouped(static_cast<std::uint64_t>(largest(options.depths)))));
  QUERN_TRY(bench.fill(sequences, largest(options.depths)));
  for (std::int32_t round = 0; round <= options.repeats; ++round) {
    for (Case& one : cases) {
      const bool warmUp = round == 0;
      QUERN_TRY(next((warmUp ? "warm-up: " : "") + one.text()));
      const std::int32_t most = one.isPrefill() ? kWarmPrompt : kWarmDecode;
      QUERN_ASSIGN(const double seconds,
                   bench.time(one, warmUp ? std::min(most, one.result.tokens) : one.result.tokens));
      if (!warmUp) one.seconds.push_back(seconds);
      if (!warmUp) one.result.work.bytes = bench.bytesRead();
    }
  }
  model->executable().setActive(false);
  QUERN_TRY(next("the machine's limits again"));
  measureLimits(cases, options, benchmark);
  for (Case& one : cases) {
    conclude(one, benchmark.limits);
    benchmark.results.push_back(std::move(one.result));
  }
  return benchmark;
}

}  // namespace quern::engine::evaluation
