// Tokens per second of bare steps, held against what the machine could do.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/evaluation/direct_model.h"

namespace quern::engine::evaluation {

struct BenchmarkOptions {
  std::int32_t promptTokens = 512;          ///< 0: prefill is not measured
  std::int32_t decodeTokens = 64;           ///< 0: decode is not measured
  std::vector<std::int32_t> batches = {1};  ///< sequences decoded together
  std::int32_t depth = 0;                   ///< tokens in the cache before a measurement begins
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
  /// The shortest time that memory bandwidth and multiply-add peak allow, over the median's time. Beyond 1
  /// the weights stayed in the processor's caches from one token to the next.
  double limitShare = 0;
};

struct Benchmark {
  std::string device;
  std::int32_t threads = 0;
  double readBytesPerSecond = 0;
  double int8MacsPerSecond = 0;
  std::vector<BenchmarkResult> results;
};

/// Told before every single measurement; returning false cancels (kCancelled).
using BenchmarkProgress = std::function<bool(const std::string& what)>;

/// Measures everything once a round, `repeats` rounds, so that a disturbance meets all alike; one round
/// before warms up. Sampling is not part of what is timed. Errors: those of DirectModel, kInvalidArgument.
base::Result<Benchmark> runBenchmark(const std::filesystem::path& path, const BenchmarkOptions& options,
                                     const runtime::Progress& loading, const BenchmarkProgress& progress);

/// Multiply-adds with weights that one token takes, and those that one row of logits takes.
struct MacCount {
  std::uint64_t perToken = 0;
  std::uint64_t perLogitRow = 0;
};
MacCount countMacs(const gguf::File& file);

Spread spreadOf(std::vector<double> numbers);

}  // namespace quern::engine::evaluation
