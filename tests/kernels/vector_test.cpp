// Norms, activations, rotations and attention of every table against plain formulas.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "kernels/reference/attention.h"
#include "tests/kernels/all_tables.h"

namespace quern::kernels::cpu {
namespace {

std::vector<float> randomFloats(std::size_t n, float scale, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> number(0.0F, scale);
  std::vector<float> values(n);
  for (float& v : values) v = number(random);
  return values;
}

using Vector = EveryTable;

TEST_P(Vector, RmsNormAgreesWithItsFormula) {
  for (const std::size_t n : {1U, 8U, 15U, 16U, 33U, 576U}) {
    const auto x = randomFloats(n, 3.0F, 1);
    const auto weight = randomFloats(n, 1.0F, 2);
    std::vector<float> out(n);
    GetParam()->rmsNorm(x.data(), weight.data(), 1e-5F, static_cast<std::int64_t>(n), out.data());
    double square = 0;
    for (const float v : x) square += static_cast<double>(v) * v;
    const double scale = 1.0 / std::sqrt(square / static_cast<double>(n) + 1e-5);
    for (std::size_t i = 0; i < n; ++i) EXPECT_NEAR(out[i], x[i] * scale * weight[i], 1e-5);
  }
}

TEST_P(Vector, ActivationsAgreeWithTheirFormulas) {
  std::vector<float> x = randomFloats(203, 4.0F, 3);
  x[0] = -200.0F;
  x[1] = 200.0F;
  x[2] = 0.0F;
  x[3] = 1e-4F;
  const auto up = randomFloats(x.size(), 1.0F, 4);
  std::vector<float> silu(x.size());
  std::vector<float> gelu(x.size());
  std::vector<float> capped = x;
  const auto n = static_cast<std::int64_t>(x.size());
  GetParam()->siluMul(x.data(), up.data(), silu.data(), n);
  GetParam()->geluMul(x.data(), up.data(), gelu.data(), n);
  GetParam()->softcap(capped.data(), 30.0F, n);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double v = x[i];
    EXPECT_NEAR(silu[i], v / (1 + std::exp(-v)) * up[i], 1e-5 * (1 + std::fabs(v))) << v;
    const double inner = std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v);
    EXPECT_NEAR(gelu[i], 0.5 * v * (1 + std::tanh(inner)) * up[i], 1e-5 * (1 + std::fabs(v))) << v;
    EXPECT_NEAR(capped[i], 30 * std::tanh(v / 30), 2e-5) << v;
  }
}

TEST_P(Vector, QuantizedActivationsAreWithinHalfAStep) {
  std::vector<float> x = randomFloats(96, 2.0F, 5);
  for (std::size_t i = 64; i < 96; ++i) x[i] = 0.0F;
  std::vector<std::int8_t> q(x.size());
  std::vector<float> scales(3);
  std::vector<float> sums(6);
  GetParam()->quantizeRow(x.data(), 96, q.data(), scales.data(), sums.data());
  for (std::size_t i = 0; i < x.size(); ++i)
    EXPECT_NEAR(scales[i / 32] * q[i], x[i], scales[i / 32] * 0.501F);
  for (std::size_t s = 0; s < 6; ++s) {
    int sum = 0;
    for (std::size_t i = 0; i < 16; ++i) sum += q[16 * s + i];
    EXPECT_FLOAT_EQ(sums[s], scales[s / 2] * static_cast<float>(sum));
  }
  EXPECT_EQ(scales[2], 0.0F);
}

TEST_P(Vector, RopeRotatesPairsInBothStyles) {
  const float cosSin[4] = {std::cos(0.3F), std::sin(0.3F), std::cos(1.1F), std::sin(1.1F)};
  float neighbours[5] = {1, 2, 3, 4, 9};
  GetParam()->rope(neighbours, cosSin, 4, false);
  EXPECT_NEAR(neighbours[0], std::cos(0.3) - 2 * std::sin(0.3), 1e-6);
  EXPECT_NEAR(neighbours[3], 3 * std::sin(1.1) + 4 * std::cos(1.1), 1e-6);
  float halves[5] = {1, 2, 3, 4, 9};
  GetParam()->rope(halves, cosSin, 4, true);
  EXPECT_NEAR(halves[0], std::cos(0.3) - 3 * std::sin(0.3), 1e-6);
  EXPECT_NEAR(halves[3], 2 * std::sin(1.1) + 4 * std::cos(1.1), 1e-6);
  EXPECT_EQ(halves[4], 9.0F);
}

/// A cache of one head filled with random keys and values.
struct Cache {
  static constexpr std::int64_t kBlock = 32;
  std::vector<std::vector<float>> keys, values;
  std::vector<std::vector<std::byte>> keyStore, valueStore;
  std::vector<const std::byte*> keyBlocks, valueBlocks;

  Cache(const Kernels& table, KvType type, std::int64_t positions, std::int64_t headDim) {
    const std::size_t rowBytes = kvRowBytes(type, headDim);
    for (std::int64_t p = 0; p < positions; ++p) {
      keys.push_back(randomFloats(static_cast<std::size_t>(headDim), 1.0F, static_cast<unsigned>(2 * p)));
      values.push_back(
          randomFloats(static_cast<std::size_t>(headDim), 1.0F, static_cast<unsigned>(2 * p + 1)));
      if (p % kBlock == 0) {
        keyStore.emplace_back(rowBytes * kBlock);
        valueStore.emplace_back(rowBytes * kBlock);
      }
      const std::size_t offset = rowBytes * static_cast<std::size_t>(p % kBlock);
      table.storeKv(type, keys.back().data(), keyStore.back().data() + offset, headDim);
      table.storeKv(type, values.back().data(), valueStore.back().data() + offset, headDim);
    }
    for (std::size_t b = 0; b < keyStore.size(); ++b) {
      keyBlocks.push_back(keyStore[b].data());
      valueBlocks.push_back(valueStore[b].data());
    }
  }
};

std::vector<float> runAttention(const Kernels& table, const Cache& cache, KvType type,
                                const std::vector<float>& query, std::int64_t tokens, std::int64_t heads,
                                std::int64_t headDim, std::int64_t first, std::int64_t window,
                                float softcap) {
  std::vector<float> output(query.size());
  std::vector<float> scratch(table.attentionScratchFloats(tokens, heads, headDim));
  AttentionTask task;
  task.query = query.data();
  task.queryTokenStride = heads * headDim;
  task.queryHeadStride = headDim;
  task.output = output.data();
  task.outputTokenStride = heads * headDim;
  task.outputHeadStride = headDim;
  task.queryTokens = tokens;
  task.groupHeads = heads;
  task.headDim = headDim;
  task.firstPosition = first;
  task.window = window;
  task.keyBlocks = cache.keyBlocks.data();
  task.valueBlocks = cache.valueBlocks.data();
  task.blockTokens = Cache::kBlock;
  task.type = type;
  task.scale = 1.0F / std::sqrt(static_cast<float>(headDim));
  task.softcap = softcap;
  task.scratch = scratch.data();
  table.attend(task);
  return output;
}

TEST_P(Vector, AttentionAgreesWithTheNaiveSoftmax) {
  struct Case {
    KvType type;
    std::int64_t headDim, tokens, heads, first, window;
    float softcap;
    double tolerance;
  };
  for (const Case& c :
       {Case{KvType::kF32, 64, 5, 3, 70, 0, 0, 1e-5}, Case{KvType::kF16, 64, 1, 3, 200, 0, 0, 2e-3},
        Case{KvType::kQ8_0, 96, 3, 1, 40, 0, 0, 2e-2}, Case{KvType::kF32, 8, 7, 2, 0, 0, 0, 1e-5},
        Case{KvType::kF32, 80, 40, 2, 30, 33, 0, 1e-5}, Case{KvType::kF32, 256, 4, 1, 10, 4, 50, 1e-5},
        Case{KvType::kF16, 18, 2, 4, 63, 1, 0, 2e-3}}) {
    const Cache cache(*GetParam(), c.type, c.first + c.tokens, c.headDim);
    const auto query = randomFloats(static_cast<std::size_t>(c.tokens * c.heads * c.headDim), 1.0F, 99);
    const auto output = runAttention(*GetParam(), cache, c.type, query, c.tokens, c.heads, c.headDim, c.first,
                                     c.window, c.softcap);
    for (std::int64_t t = 0; t < c.tokens; ++t) {
      for (std::int64_t h = 0; h < c.heads; ++h) {
        const auto offset = static_cast<std::ptrdiff_t>((t * c.heads + h) * c.headDim);
        const std::vector<float> q(query.begin() + offset, query.begin() + offset + c.headDim);
        const auto end = static_cast<std::ptrdiff_t>(c.first + t + 1);
        const std::int64_t seen = c.window > 0 ? std::max<std::int64_t>(0, c.first + t - c.window + 1) : 0;
        const auto expected =
            reference::attention(q, {cache.keys.begin(), cache.keys.begin() + end},
                                 {cache.values.begin(), cache.values.begin() + end}, seen,
                                 1.0 / std::sqrt(static_cast<double>(c.headDim)), c.softcap);
        for (std::int64_t i = 0; i < c.headDim; ++i) {
          ASSERT_NEAR(output[static_cast<std::size_t>(offset + i)], expected[static_cast<std::size_t>(i)],
                      c.tolerance);
        }
      }
    }
  }
}

TEST_P(Vector, AttentionOfATokenDoesNotDependOnItsNeighbours) {
  const Cache cache(*GetParam(), KvType::kF16, 100, 64);
  const auto query = randomFloats(30 * 2 * 64, 1.0F, 7);
  const auto together = runAttention(*GetParam(), cache, KvType::kF16, query, 30, 2, 64, 70, 40, 0);
  for (std::int64_t t = 0; t < 30; ++t) {
    const std::vector<float> one(query.begin() + t * 128, query.begin() + (t + 1) * 128);
    const auto alone = runAttention(*GetParam(), cache, KvType::kF16, one, 1, 2, 64, 70 + t, 40, 0);
    ASSERT_EQ(std::memcmp(alone.data(), together.data() + t * 128, 128 * sizeof(float)), 0) << t;
  }
}

QUERN_FOR_EVERY_TABLE(Vector);

}  // namespace
}  // namespace quern::kernels::cpu
