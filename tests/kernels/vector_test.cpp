// Norms, activations and rotations of every table against plain formulas.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

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

TEST_P(Vector, SwigluOfGptOssClampsAndAddsOne) {
  std::vector<float> gate = randomFloats(203, 6.0F, 8);
  std::vector<float> up = randomFloats(gate.size(), 6.0F, 9);
  gate[0] = -200.0F;
  gate[1] = 200.0F;
  up[2] = 200.0F;
  up[3] = -200.0F;
  std::vector<float> out(gate.size());
  GetParam()->swigluOai(gate.data(), up.data(), out.data(), static_cast<std::int64_t>(out.size()));
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double g = std::min<double>(gate[i], 7.0);
    const double u = std::clamp<double>(up[i], -7.0, 7.0);
    const double expected = (u + 1) * g / (1 + std::exp(-1.702 * g));
    EXPECT_NEAR(out[i], expected, 2e-6 * (1 + std::fabs(expected))) << gate[i] << " " << up[i];
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

QUERN_FOR_EVERY_TABLE(Vector);

}  // namespace
}  // namespace quern::kernels::cpu
