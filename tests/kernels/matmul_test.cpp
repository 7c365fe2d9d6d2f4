// Every table's matmul against dequantized weights in double precision, over odd shapes and all formats.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "kernels/formats/half.h"
#include "kernels/reference/dequantize.h"
#include "tests/kernels/all_tables.h"
#include "tests/kernels/random_matrix.h"

namespace quern::kernels::cpu {
namespace {

struct Quantized {
  std::vector<float> values;
  std::vector<std::int8_t> quantized;
  std::vector<float> scales, sums;
  Activations view(std::int64_t cols) const {
    return {values.data(), cols, quantized.data(), scales.data(), sums.data()};
  }
};

void quantize(const Kernels& table, std::int64_t tokens, std::int64_t cols, Quantized& x) {
  x.quantized.resize(x.values.size());
  x.scales.resize(x.values.size() / kActivationBlock);
  x.sums.resize(x.values.size() / kSumBlock);
  for (std::int64_t t = 0; t < tokens; ++t) {
    table.quantizeRow(x.values.data() + t * cols, cols, x.quantized.data() + t * cols,
                      x.scales.data() + t * cols / kActivationBlock, x.sums.data() + t * cols / kSumBlock);
  }
}

Quantized randomActivations(const Kernels& table, std::int64_t tokens, std::int64_t cols,
                            std::mt19937& random) {
  Quantized x;
  std::normal_distribution<float> number;
  x.values.resize(static_cast<std::size_t>(tokens * cols));
  for (float& v : x.values) v = number(random);
  if (cols % kActivationBlock == 0) quantize(table, tokens, cols, x);
  return x;
}

using Matmul = EveryTable;

void compare(const Kernels& table, DType type, std::int64_t rows, std::int64_t cols, std::int64_t tokens) {
  std::mt19937 random(static_cast<unsigned>(rows * 7919 + cols * 31 + tokens));
  const std::vector<std::byte> matrix = randomMatrix(type, rows, cols, random);
  std::vector<std::byte> packed(table.packedBytes(type, rows, cols));
  table.packRows(type, matrix.data(), rows, cols, 0, rows, packed.data());
  const PackedMatrix weights{type, rows, cols, packed.data(), packed.size()};
  const Quantized x = randomActivations(table, tokens, cols, random);
  std::vector<float> output(static_cast<std::size_t>(tokens * rows), -1.0F);
  table.matmul(weights, 0, rows, x.view(cols), tokens, output.data(), rows, false);

  const bool quantized = table.readsQuantized(type);
  const std::size_t rowBytes = matrix.size() / static_cast<std::size_t>(rows);
  std::vector<float> row(static_cast<std::size_t>(cols));
  for (std::int64_t r = 0; r < rows; ++r) {
    ASSERT_TRUE(reference::dequantizeRow(type, matrix.data() + static_cast<std::size_t>(r) * rowBytes,
                                         row.data(), row.size()));
    for (std::int64_t t = 0; t < tokens; ++t) {
      double expected = 0;
      double magnitude = 0;
      for (std::int64_t c = 0; c < cols; ++c) {
        const auto i = static_cast<std::size_t>(t * cols + c);
        const double a =
            quantized ? static_cast<double>(x.quantized[i]) * x.scales[i / kActivationBlock] : x.values[i];
        expected += a * row[static_cast<std::size_t>(c)];
        magnitude += std::fabs(a * row[static_cast<std::size_t>(c)]);
      }
      ASSERT_NEAR(output[static_cast<std::size_t>(t * rows + r)], expected, 2e-5 * magnitude + 1e-5)
          << dtypeInfo(type)->name << " rows " << rows << " cols " << cols << " token " << t << " row " << r;
    }
  }
}

TEST_P(Matmul, AgreesWithDequantizedWeightsOverOddShapes) {
  for (const DType type : kTypes) {
    const bool super = dtypeInfo(type)->blockElements == 256;
    for (const std::int64_t rows : {1, 15, 16, 17, 33}) {
      for (const std::int64_t cols : {32, 64, 96, 576}) {
        for (const std::int64_t tokens : {1, 2, 3, 9})
          compare(*GetParam(), type, rows, super ? cols / 32 * 256 : cols, tokens);
      }
    }
  }
}

TEST_P(Matmul, TakesAnyNumberOfColumnsForFloatingWeights) {
  for (const std::int64_t cols : {1, 7, 17, 100}) compare(*GetParam(), DType::kF32, 5, cols, 3);
}

TEST_P(Matmul, OneRowDoesNotDependOnHowManyTokensAreComputedTogether) {
  for (const DType type : kTypes) {
    std::mt19937 random(5);
    const std::int64_t rows = 20;
    // More columns and tokens than are taken at once, and no whole number of either.
    const std::int64_t cols = dtypeInfo(type)->blockElements == 256 ? 768 : 736;
    const std::int64_t tokens = 71;
    const Kernels& table = *GetParam();
    const std::vector<std::byte> matrix = randomMatrix(type, rows, cols, random);
    std::vector<std::byte> packed(table.packedBytes(type, rows, cols));
    table.packRows(type, matrix.data(), rows, cols, 0, rows, packed.data());
    const PackedMatrix weights{type, rows, cols, packed.data(), packed.size()};
    const Quantized x = randomActivations(table, tokens, cols, random);
    std::vector<float> together(static_cast<std::size_t>(tokens * rows));
    table.matmul(weights, 0, rows, x.view(cols), tokens, together.data(), rows, false);
    std::vector<float> alone(static_cast<std::size_t>(rows));
    for (std::int64_t t = 0; t < tokens; ++t) {
      const Activations one{x.values.data() + t * cols, cols, x.quantized.data() + t * cols,
                            x.scales.data() + t * cols / kActivationBlock,
                            x.sums.data() + t * cols / kSumBlock};
      table.matmul(weights, 0, 16, one, 1, alone.data(), rows, false);
      table.matmul(weights, 16, rows, one, 1, alone.data(), rows, false);
      ASSERT_EQ(std::memcmp(alone.data(), together.data() + t * rows, alone.size() * sizeof(float)), 0)
          << dtypeInfo(type)->name << " token " << t;
    }
  }
}

/// A matrix whose every quant is the same pattern of bits and whose scales are 1.
std::vector<std::byte> filledMatrix(DType type, std::byte fill, std::int64_t rows, std::int64_t cols) {
  const DTypeInfo& info = *dtypeInfo(type);
  std::vector<std::byte> matrix(static_cast<std::size_t>(rows * cols / info.blockElements) * info.blockBytes,
                                fill);
  for (std::size_t block = 0; block < matrix.size(); block += info.blockBytes) {
    for (const std::size_t offset : halfOffsets(type)) {
      const std::uint16_t one = floatToHalf(1.0F);
      std::memcpy(matrix.data() + block + offset, &one, 2);
    }
    if (type == DType::kMXFP4) matrix[block] = static_cast<std::byte>(127);
  }
  return matrix;
}

// Sums in 16 bits are where a wrong bound would show: all quants at the end of their range, all activations
// at ±127, in one sign, in pairs and in alternation.
TEST_P(Matmul, SurvivesTheLargestQuantsAndActivations) {
  const Kernels& table = *GetParam();
  const std::int64_t cols = 512;
  const std::int64_t tokens = 9;
  for (const DType type : kTypes) {
    if (!table.readsQuantized(type)) continue;
    // All ones, none, IQ4's and MXFP4's largest, and the two ends of a signed byte.
    for (const int fill : {0xFF, 0x00, 0x77, 0x80, 0x7F}) {
      const std::vector<std::byte> matrix = filledMatrix(type, static_cast<std::byte>(fill), 16, cols);
      std::vector<std::byte> packed(table.packedBytes(type, 16, cols));
      table.packRows(type, matrix.data(), 16, cols, 0, 16, packed.data());
      std::vector<float> row(static_cast<std::size_t>(cols));
      reference::dequantizeRow(type, matrix.data(), row.data(), row.size());
      Quantized x;
      for (std::int64_t t = 0; t < tokens; ++t) {
        for (std::int64_t c = 0; c < cols; ++c) {
          const bool negative = t % 4 == 1 || (t % 4 == 2 && c % 2 == 1) || (t % 4 == 3 && c % 4 >= 2);
          x.values.push_back(negative ? -1.0F : 1.0F);
        }
      }
      quantize(table, tokens, cols, x);
      ASSERT_EQ(x.quantized[0], 127);
      ASSERT_EQ(x.quantized[static_cast<std::size_t>(cols)], -127);
      for (const std::int64_t together : {std::int64_t{1}, std::int64_t{2}, tokens}) {
        std::vector<float> output(static_cast<std::size_t>(tokens * 16));
        table.matmul({type, 16, cols, packed.data(), packed.size()}, 0, 16, x.view(cols), together,
                     output.data(), 16, false);
        for (std::int64_t t = 0; t < together; ++t) {
          double expected = 0;
          double magnitude = 0;
          for (std::int64_t c = 0; c < cols; ++c) {
            const double product = static_cast<double>(row[static_cast<std::size_t>(c)]) *
                                   x.values[static_cast<std::size_t>(t * cols + c)];
            expected += product;
            magnitude += std::fabs(product);
          }
          for (std::size_t r = 0; r < 16; ++r) {
            ASSERT_NEAR(output[static_cast<std::size_t>(t) * 16 + r], expected, magnitude * 2e-5 + 1e-5)
                << dtypeInfo(type)->name << " filled with " << fill << ", token " << t << " of " << together
                << ", row " << r;
          }
        }
      }
    }
  }
}

TEST_P(Matmul, AccumulatesOntoWhatIsThere) {
  const Kernels& table = *GetParam();
  const std::vector<float> matrix(17 * 8, 1.0F);
  std::vector<std::byte> packed(table.packedBytes(DType::kF32, 17, 8));
  table.packRows(DType::kF32, reinterpret_cast<const std::byte*>(matrix.data()), 17, 8, 0, 17, packed.data());
  const std::vector<float> x(8, 0.5F);
  std::vector<float> output(17, 3.0F);
  table.matmul({DType::kF32, 17, 8, packed.data(), packed.size()}, 0, 17,
               {x.data(), 8, nullptr, nullptr, nullptr}, 1, output.data(), 17, true);
  for (const float y : output) EXPECT_FLOAT_EQ(y, 7.0F);
}

QUERN_FOR_EVERY_TABLE(Matmul);

}  // namespace
}  // namespace quern::kernels::cpu
