// Tokens per second of bare steps, held against what the machine could do.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/evaluation/direct_model.h"
#include "engine/evaluation/work.h"

namespace quern::engine::evaluation {

struct BenchmarkOptions {
  std::vector<std::int32_t> promptTokens = {512};  ///< lengths of prompts; none: prefill is not measured
  std::int32_t decodeTokens = 64;                  ///< 0: decode is not measured
  std::vector<std::int32_t> batches = {1};         ///< sequences decoded together
  std::vector<std::int32_t> depths = {0};          ///< tokens in the cache before a measurement begins
  std::int32_t repeats = 3;
  runtime::CompileOptions compile;  ///< kvTokens, batchTokens and logitRows are chosen here
};

struct Spread {
  double median = 0;
  double min = 0;
  double max = 0;
};

struct BenchmarkResult {
  std::string name;  ///< "prefill" or "decode"
  std::int32_t batch = 1;
  std::int32_t tokens = 0;  ///< a sequence
  std::int32_t depth = 0;
  Spread tokensPerSecond;  ///< of all sequences together
  Work work;               ///< of one repeat
  /// The read bandwidth of this case's own working set (Work::stepBytes): a small model may lie in a cache.
  double readLimitBytesPerSecond = 0;
  /// The shortest time that read bandwidth and multiply-add peak allow, over the median's time.
  double limitShare = 0;
  Bound bound = Bound::kRead;  ///< which of the two limits that is

  double secondsOfMedian() const { return work.tokens / tokensPerSecond.median; }
};

struct Benchmark {
  std::string device;
  std::int32_t threads = 0;
  Limits limits;           ///< the memory's bandwidth (far beyond any cache) and the chosen kernels' peak
  double loadSeconds = 0;  ///< from opening the file to a compiled model
  double firstTokenSeconds = 0;  ///< from opening the file to the logits behind a prompt of kFirstPrompt
  runtime::MemoryUse memory;
  std::uint64_t peakBytes = 0;  ///< of resident memory up to that first token; 0: the system does not say
  std::vector<BenchmarkResult> results;
};

/// Tokens of the prompt that the first token waits for.
inline constexpr std::int32_t kFirstPrompt = 16;

/// Where a benchmark is: what is done now, and how many of how many steps lie behind.
struct BenchmarkStep {
  std::string what;
  std::int32_t done = 0;
  std::int32_t of = 0;
};
/// Told before every step; returning false cancels (kCancelled).
using BenchmarkProgress = std::function<bool(const BenchmarkStep& step)>;

/// Measures everything once a round, `repeats` rounds, so that a disturbance meets all alike; a short round
/// before warms up. Sampling is not part of what is timed. Errors: those of DirectModel, kInvalidArgument.
base::Result<Benchmark> runBenchmark(const std::filesystem::path& path, const BenchmarkOptions& options,
                                     const runtime::Progress& loading, const BenchmarkProgress& progress);

Spread spreadOf(std::vector<double> numbers);

}  // namespace quern::engine::evaluation
