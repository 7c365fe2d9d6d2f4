#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "engine/evaluation/benchmark.h"
#include "engine/evaluation/perplexity.h"
#include "engine/evaluation/work.h"
#include "engine/gguf/writer.h"
#include "engine/model/program.h"
#include "engine/runtime/machine.h"
#include "tests/bench/synthetic/model.h"
#include "tests/support/folder.h"

namespace quern::engine::evaluation {
namespace {

TEST(Perplexity, LogLikelihoodIsThatOfTheSoftmax) {
  const std::vector<float> even(8, 3.0F);
  EXPECT_NEAR(negativeLogLikelihood(even, 5), std::log(8.0), 1e-12);
  const std::vector<float> two = {1.0F, 0.0F};
  EXPECT_NEAR(negativeLogLikelihood(two, 0), std::log1p(std::exp(-1.0)), 1e-7);
  EXPECT_NEAR(negativeLogLikelihood(two, 1), 1 + std::log1p(std::exp(-1.0)), 1e-7);
}

TEST(Perplexity, LargeLogitsDoNotOverflow) {
  const std::vector<float> large = {1e30F, -1e30F, 0.0F};
  EXPECT_EQ(negativeLogLikelihood(large, 0), 0.0);
  EXPECT_TRUE(std::isfinite(negativeLogLikelihood(large, 2)));
  const std::vector<float> banned = {0.0F, -std::numeric_limits<float>::infinity()};
  EXPECT_EQ(negativeLogLikelihood(banned, 0), 0.0);
}

TEST(Benchmark, SpreadIsMedianAndExtremes) {
  const Spread odd = spreadOf({3, 1, 10});
  EXPECT_EQ(odd.median, 3);
  EXPECT_EQ(odd.min, 1);
  EXPECT_EQ(odd.max, 10);
  EXPECT_EQ(spreadOf({4, 1, 2, 3}).median, 2.5);
  EXPECT_EQ(spreadOf({}).median, 0);
}

TEST(Benchmark, CountsMultiplyAddsOfWeightsOnly) {
  const test::Folder folder;
  const std::vector<std::byte> bytes(64 * 32 * 4);
  const auto part = [&](std::size_t floats) { return std::span<const std::byte>(bytes).first(floats * 4); };
  using Dims = std::vector<std::uint64_t>;
  gguf::Writer writer;
  writer.addTensor("token_embd.weight", kernels::DType::kF32, Dims{32, 64}, part(2048));
  writer.addTensor("blk.0.attn_q.weight", kernels::DType::kF32, Dims{32, 32}, part(1024));
  writer.addTensor("blk.0.ffn_up.weight", kernels::DType::kF32, Dims{32, 16}, part(512));
  writer.addTensor("blk.0.attn_norm.weight", kernels::DType::kF32, Dims{32}, part(32));
  writer.addTensor("output_norm.weight", kernels::DType::kF32, Dims{32}, part(32));
  ASSERT_TRUE(writer.write(folder / "m.gguf"));
  const auto file = gguf::File::open(folder / "m.gguf");
  ASSERT_TRUE(file);
  const MacCount count = countMacs(**file);
  EXPECT_EQ(count.perToken, 1536U);
  EXPECT_EQ(count.perLogitRow, 2048U);  // tied: the embeddings are the output matrix
}

TEST(Benchmark, OfExpertsOnlyThoseAtWorkCount) {
  const test::Folder folder;
  bench::Shape shape = bench::findPreset("tiny-moe")->shape;
  ASSERT_TRUE(bench::writeModel(folder / "m.gguf", shape, bench::Mix::kQ8_0, 1));
  const auto file = gguf::File::open(folder / "m.gguf");
  ASSERT_TRUE(file);
  const std::uint64_t attention = 256 * (256 + 128 + 128 + 256);
  const std::uint64_t experts = 3 * 256 * 256 * 2 + 256 * 8;  // two of eight, and the router
  EXPECT_EQ(countMacs(**file).perToken, 2 * (attention + experts));
  EXPECT_EQ(countMacs(**file).perLogitRow, 256U * 512);
}

TEST(Benchmark, AttentionCountsWhatAWindowLetsItSee) {
  model::Program program;
  program.heads = 4;
  program.headDim = 64;
  program.valueDim = 32;
  program.body = {model::Attend{}, model::Attend{}};
  std::get<model::Attend>(program.body[1]).window = 10;
  EXPECT_EQ(attentionMacs(program, 0), 2U * 4 * 96);
  EXPECT_EQ(attentionMacs(program, 99), (100U + 10) * 4 * 96);
}

TEST(Benchmark, TheSlowerLimitIsTheBound) {
  Work work;
  work.bytes = 100;
  work.macs = 1000;
  const LeastTime reading = leastTime(work, {10, 1000});
  EXPECT_EQ(reading.seconds, 10);
  EXPECT_EQ(reading.bound, Bound::kRead);
  const LeastTime multiplying = leastTime(work, {1000, 10});
  EXPECT_EQ(multiplying.seconds, 100);
  EXPECT_EQ(multiplying.bound, Bound::kMultiply);
  EXPECT_EQ(leastTime(work, {}).seconds, 0);  // unknown limits allow anything
}

class TinyBenchmark : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(bench::writeModel(path(), bench::findPreset("tiny")->shape, bench::Mix::kQ4_0, 1));
    options_.compile.threads = 1;
    options_.promptTokens = {8, 40};
    options_.decodeTokens = 4;
    options_.batches = {1, 3};
    options_.depths = {0, 70};
    options_.repeats = 2;
  }
  std::filesystem::path path() const { return folder_ / "m.gguf"; }

  test::Folder folder_;
  BenchmarkOptions options_;
};

TEST_F(TinyBenchmark, MeasuresEveryLengthBatchAndDepth) {
  std::vector<BenchmarkStep> steps;
  const auto benchmark = runBenchmark(path(), options_, {}, [&](const BenchmarkStep& step) {
    steps.push_back(step);
    return true;
  });
  ASSERT_TRUE(benchmark) << benchmark.error().message();
  std::string cases;
  for (const BenchmarkResult& result : benchmark->results) {
    cases += result.name + " " + std::to_string(result.tokens) + "x" + std::to_string(result.batch) + "@" +
             std::to_string(result.depth) + " ";
    EXPECT_EQ(result.work.tokens, result.tokens * result.batch);
    EXPECT_GT(result.tokensPerSecond.min, 0);
    EXPECT_LE(result.tokensPerSecond.min, result.tokensPerSecond.median);
    EXPECT_LE(result.tokensPerSecond.median, result.tokensPerSecond.max);
    EXPECT_GT(result.limitShare, 0);
  }
  EXPECT_EQ(cases,
            "prefill 8x1@0 prefill 40x1@0 decode 4x1@0 decode 4x3@0 "
            "prefill 8x1@70 prefill 40x1@70 decode 4x1@70 decode 4x3@70 ");
  EXPECT_GT(benchmark->limits.readBytesPerSecond, 0);
  EXPECT_GT(benchmark->limits.int8MacsPerSecond, 0);
  EXPECT_GT(benchmark->firstTokenSeconds, benchmark->loadSeconds);
  EXPECT_GT(benchmark->peakBytes, benchmark->memory.weightBytes);
  ASSERT_FALSE(steps.empty());
  EXPECT_EQ(steps.back().done + 1, steps.back().of);
}

TEST_F(TinyBenchmark, CountsBytesOfTheCacheForEverySequence) {
  const auto benchmark = runBenchmark(path(), options_, {}, {});
  ASSERT_TRUE(benchmark) << benchmark.error().message();
  const auto stepBytes = [&](std::size_t index) { return benchmark->results[index].work.stepBytes; };
  // Two layers, two heads, keys and values of 64 halves; the weights are read once for all three sequences.
  const double cacheOf70 = 70.0 * 2 * 2 * 2 * 64 * 2;
  EXPECT_EQ(stepBytes(6) - stepBytes(2), cacheOf70);
  EXPECT_EQ(stepBytes(7) - stepBytes(3), 3 * cacheOf70);
  EXPECT_LT(stepBytes(3), 1.1 * stepBytes(2));
}

TEST_F(TinyBenchmark, StopsWhenToldTo) {
  int left = 3;
  const auto benchmark = runBenchmark(path(), options_, {}, [&](const BenchmarkStep&) { return left-- > 0; });
  ASSERT_FALSE(benchmark);
  EXPECT_EQ(benchmark.error().code(), base::ErrorCode::kCancelled);
}

TEST_F(TinyBenchmark, RefusesWhatCannotBeMeasured) {
  const auto refused = [&](auto change) {
    BenchmarkOptions options = options_;
    change(options);
    const auto benchmark = runBenchmark(path(), options, {}, {});
    return !benchmark && (benchmark.error().code() == base::ErrorCode::kInvalidArgument ||
                          benchmark.error().code() == base::ErrorCode::kLimit);
  };
  EXPECT_TRUE(refused([](BenchmarkOptions& o) { o.batches = {}; }));
  EXPECT_TRUE(refused([](BenchmarkOptions& o) { o.batches = {0}; }));
  EXPECT_TRUE(refused([](BenchmarkOptions& o) { o.depths = {-1}; }));
  EXPECT_TRUE(refused([](BenchmarkOptions& o) { o.depths = {}; }));
  EXPECT_TRUE(refused([](BenchmarkOptions& o) { o.repeats = 0; }));
  EXPECT_TRUE(refused([](BenchmarkOptions& o) { o.depths = {INT32_MAX}; }));
}

TEST(Machine, RemembersItsPeak) {
  const double peak = runtime::measuredInt8Peak(1);
  EXPECT_GT(peak, 1e8);
  EXPECT_LT(peak, 1e14);
  EXPECT_EQ(runtime::measuredInt8Peak(1), peak);
  EXPECT_NE(runtime::measuredInt8Peak(1, "generic"), peak);
  EXPECT_EQ(runtime::measuredInt8Peak(1, "no such kernels"), 0);
}

}  // namespace
}  // namespace quern::engine::evaluation
