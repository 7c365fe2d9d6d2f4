#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "engine/evaluation/benchmark.h"
#include "engine/evaluation/perplexity.h"
#include "engine/gguf/writer.h"
#include "engine/runtime/machine.h"
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

TEST(Machine, SaysWhatItIs) {
  const runtime::Machine machine = runtime::describeMachine();
  EXPECT_GE(machine.physicalCores, 1);
  EXPECT_GE(machine.logicalCores, machine.physicalCores);
  EXPECT_GT(machine.memoryBytes, 1U << 20);
  EXPECT_LE(machine.availableBytes, machine.memoryBytes);
  EXPECT_FALSE(machine.system.empty());
  const runtime::KernelChoice choice = runtime::chosenKernels();
  EXPECT_FALSE(choice.name.empty());
  EXPECT_FALSE(choice.reason.empty());
}

TEST(Machine, RemembersItsPeak) {
  const double peak = runtime::measuredInt8Peak(1);
  EXPECT_GT(peak, 1e8);
  EXPECT_LT(peak, 1e14);
  EXPECT_EQ(runtime::measuredInt8Peak(1), peak);
}

}  // namespace
}  // namespace quern::engine::evaluation
