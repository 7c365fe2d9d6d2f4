// The prompts' product against dequantized weights in double precision: what its rounding to int8 may cost,
// and that tokens do not depend on each other.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/reference/dequantize.h"
#include "tests/kernels/all_tables.h"
#include "tests/kernels/random_matrix.h"

namespace quern::kernels::cpu {
namespace {

/// A packed matrix, its plain values, and a prompt's activations.
struct Case {
  Case(const Kernels& kernels, DType type, std::int64_t rowCount, std::int64_t colCount,
       std::int64_t tokenCount, const std::vector<std::byte>& matrix, std::vector<float> x)
      : table(kernels), rows(rowCount), cols(colCount), tokens(tokenCount), values(std::move(x)) {
    packed.resize(table.packedBytes(type, rows, cols));
    table.packRows(type, matrix.data(), rows, cols, 0, rows, packed.data());
    weights = {type, rows, cols, packed.data(), packed.size()};
    plain.resize(static_cast<std::size_t>(rows * cols));
    const std::size_t rowBytes = matrix.size() / static_cast<std::size_t>(rows);
    for (std::int64_t r = 0; r < rows; ++r) {
      EXPECT_TRUE(reference::dequantizeRow(type, matrix.data() + static_cast<std::size_t>(r) * rowBytes,
                                           plain.data() + r * cols, static_cast<std::size_t>(cols)));
    }
    const std::int64_t groups = (tokens + kPanelTokens - 1) / kPanelTokens * kPanelTokens;
    quantized.resize(static_cast<std::size_t>(groups * cols) + kAlignment);
    scales.resize(static_cast<std::size_t>(groups * panelBlocks(cols)));
    starts.resize(scales.size());
    auto* aligned = reinterpret_cast<std::int8_t*>(
        (reinterpret_cast<std::uintptr_t>(quantized.data()) + kAlignment - 1) / kAlignment * kAlignment);
    activations = {aligned, scales.data(), starts.data()};
    for (std::int64_t t = 0; t < tokens; ++t) {
      table.quantizePanelRow(values.data() + t * cols, cols, activations, t);
    }
  }

  static Case random(const Kernels& kernels, DType type, std::int64_t rowCount, std::int64_t colCount,
                     std::int64_t tokenCount) {
    std::mt19937 random(static_cast<unsigned>(rowCount * 7919 + colCount * 31 + tokenCount));
    const std::vector<std::byte> matrix = randomMatrix(type, rowCount, colCount, random);
    std::normal_distribution<float> number;
    std::vector<float> x(static_cast<std::size_t>(tokenCount * colCount));
    for (float& v : x) v = number(random);
    return {kernels, type, rowCount, colCount, tokenCount, matrix, std::move(x)};
  }

  std::vector<float> run(std::int64_t first, std::int64_t count, float before = -1.0F,
                         bool accumulate = false) const {
    std::vector<float> output(static_cast<std::size_t>(count * rows), before);
    table.panelMatmul(weights, 0, rows, activations, first, count, output.data(), rows, accumulate);
    return output;
  }

  /// The int8 value of token t, column c, and its block's scale.
  int activation(std::int64_t t, std::int64_t c) const {
    return activations
        .quantized[((t / kPanelTokens) * cols + c / 4 * 4) * kPanelTokens + 4 * (t % kPanelTokens) + c % 4];
  }
  double scale(std::int64_t t, std::int64_t c) const {
    return activations
        .scales[((t / kPanelTokens) * panelBlocks(cols) + c / kPanelBlock) * kPanelTokens + t % kPanelTokens];
  }

  const Kernels& table;
  std::int64_t rows, cols, tokens;
  std::vector<float> values, plain;
  std::vector<std::byte> packed;
  PackedMatrix weights;
  std::vector<std::int8_t> quantized;
  std::vector<float> scales;
  std::vector<std::int32_t> starts;
  PanelActivations activations;
};

/// Tables without a product of their own for prompts are covered by matmul's tests.
std::vector<const Kernels*> tablesWithPanels() {
  std::vector<const Kernels*> tables = allTables();
  std::erase_if(tables, [](const Kernels* table) { return table->panelMatmul == nullptr; });
  return tables;
}

using Panel = EveryTable;

void compare(const Case& c, const char* name) {
  const std::vector<float> output = c.run(0, c.tokens);
  double squaredError = 0;
  double squares = 0;
  for (std::int64_t t = 0; t < c.tokens; ++t) {
    for (std::int64_t r = 0; r < c.rows; ++r) {
      double expected = 0;
      double largest = 0;
      double activations = 0;
      for (std::int64_t col = 0; col < c.cols; ++col) {
        const double w = c.plain[static_cast<std::size_t>(r * c.cols + col)];
        const double a = c.activation(t, col) * c.scale(t, col);
        expected += w * a;
        largest = std::max(largest, std::fabs(w));
        activations += std::fabs(a);
      }
      // Half a step each, if every rounding went the same way; the step comes from a bound of the weights
      // that random quants reach only nearly.
      const double allowed = 1e-6 + 1.5 * largest / 127 * 0.7 * activations;
      const double y = output[static_cast<std::size_t>(t * c.rows + r)];
      ASSERT_NEAR(y, expected, allowed)
          << name << " rows " << c.rows << " cols " << c.cols << " token " << t << " row " << r;
      squaredError += (y - expected) * (y - expected);
      squares += expected * expected;
    }
  }
  if (c.rows * c.tokens < 64) return;  // too few for a mean
  EXPECT_LT(std::sqrt(squaredError / squares), 0.015) << name << " rows " << c.rows << " cols " << c.cols;
}

TEST_P(Panel, AgreesWithDequantizedWeightsOverOddShapes) {
  for (const DType type : kTypes) {
    if (!GetParam()->readsQuantized(type)) continue;
    const bool super = dtypeInfo(type)->blockElements == 256;
    for (const std::int64_t rows : {1, 16, 17, 33, 63}) {
      for (const std::int64_t cols : {32, 256, 288, 576}) {
        for (const std::int64_t tokens : {1, 4, 12, 29}) {
          compare(Case::random(*GetParam(), type, rows, super ? (cols + 255) / 256 * 256 : cols, tokens),
                  dtypeInfo(type)->name.data());
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(Panel, TokensDoNotDependOnEachOther) {
  for (const DType type : kTypes) {
    if (!GetParam()->readsQuantized(type)) continue;
    const Case c = Case::random(*GetParam(), type, 40, 512, 40);
    const std::vector<float> together = c.run(0, 40);
    for (const auto& [first, count] : {std::pair{0, 1}, {3, 1}, {5, 30}, {12, 12}, {20, 7}, {39, 1}}) {
      const std::vector<float> some = c.run(first, count);
      ASSERT_EQ(std::memcmp(some.data(), together.data() + first * c.rows, some.size() * sizeof(float)), 0)
          << dtypeInfo(type)->name << " tokens " << first << " + " << count;
    }
  }
}

TEST_P(Panel, LongRunsAreCutWithoutATrace) {
  const Case c = Case::random(*GetParam(), DType::kQ4_0, 33, 320, 1100);
  const std::vector<float> together = c.run(0, 1100);
  for (const std::int64_t t : {0, 527, 528, 529, 1056, 1099}) {
    const std::vector<float> one = c.run(t, 1);
    ASSERT_EQ(std::memcmp(one.data(), together.data() + t * c.rows, one.size() * sizeof(float)), 0) << t;
  }
}

TEST_P(Panel, AccumulatesOntoWhatIsThere) {
  for (const std::int64_t cols : {96, 576}) {
    const Case c = Case::random(*GetParam(), DType::kQ4_1, 17, cols, 13);
    const std::vector<float> product = c.run(0, 13);
    const std::vector<float> sum = c.run(0, 13, 3.0F, true);
    for (std::size_t i = 0; i < sum.size(); ++i) EXPECT_NEAR(sum[i], product[i] + 3.0F, 1e-5F);
  }
}

TEST_P(Panel, SurvivesTheLargestQuantsAndActivations) {
  for (const DType type : {DType::kQ4_0, DType::kQ5_0, DType::kQ8_0, DType::kQ6_K, DType::kIQ4_NL}) {
    for (const std::byte filler : {std::byte{0xFF}, std::byte{0x80}, std::byte{0x00}}) {
      std::mt19937 random(1);
      std::vector<std::byte> matrix = randomMatrix(type, 16, 512, random);
      std::fill(matrix.begin(), matrix.end(), filler);
      for (std::size_t block = 0; block < matrix.size(); block += dtypeInfo(type)->blockBytes) {
        for (const std::size_t offset : halfOffsets(type)) {
          const std::uint16_t one = floatToHalf(1.0F);
          std::memcpy(matrix.data() + block + offset, &one, 2);
        }
      }
      for (const float sign : {1.0F, -1.0F}) {
        const Case c(*GetParam(), type, 16, 512, 12, matrix, std::vector<float>(12 * 512, sign));
        ASSERT_EQ(c.activation(7, 300), static_cast<int>(127 * sign));
        double expected = 0;
        for (std::int64_t col = 0; col < 512; ++col)
          expected += c.plain[static_cast<std::size_t>(col)] * sign;
        for (const float y : c.run(0, 12)) {
          ASSERT_NEAR(y, expected, std::fabs(expected) * 0.01 + 1e-3) << dtypeInfo(type)->name;
        }
      }
    }
  }
}

TEST_P(Panel, ZerosGiveZerosWhateverTheOtherSideIs) {
  for (const DType type : {DType::kQ4_0, DType::kQ4_K, DType::kQ8_0}) {
    const std::size_t bytes = 32 * 256 / dtypeInfo(type)->blockElements * dtypeInfo(type)->blockBytes;
    const Case zeroWeights(*GetParam(), type, 32, 256, 5, std::vector<std::byte>(bytes),
                           std::vector<float>(5 * 256, 1e30F));
    for (const float y : zeroWeights.run(0, 5)) EXPECT_EQ(y, 0.0F);
    std::mt19937 random(2);
    const Case zeroActivations(*GetParam(), type, 32, 256, 5, randomMatrix(type, 32, 256, random),
                               std::vector<float>(5 * 256, 0.0F));
    for (const float y : zeroActivations.run(0, 5)) EXPECT_EQ(y, 0.0F);
  }
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Panel);
INSTANTIATE_TEST_SUITE_P(Tables, Panel, testing::ValuesIn(tablesWithPanels()),
                         [](const auto& param) { return param.param->name; });

}  // namespace
}  // namespace quern::kernels::cpu
