// The fast packer against the plain one, bit by bit: all types, odd numbers of rows, tails, shares.

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "kernels/reference/pack.h"
#include "tests/kernels/all_tables.h"

namespace quern::kernels::cpu {
namespace {

constexpr DType kTypes[] = {DType::kF32,  DType::kF16,    DType::kBF16,   DType::kQ4_0,
                            DType::kQ4_1, DType::kQ5_0,   DType::kQ5_1,   DType::kQ8_0,
                            DType::kQ2_K, DType::kQ3_K,   DType::kQ4_K,   DType::kQ5_K,
                            DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS, DType::kMXFP4};

/// Any bytes are a matrix to a packer: infinities, NaN and scales of every sign among them.
std::vector<std::byte> randomBytes(std::size_t count, std::mt19937& random) {
  std::vector<std::byte> bytes(count);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random() & 0xFF);
  return bytes;
}

std::size_t matrixBytes(DType type, std::int64_t rows, std::int64_t cols) {
  const DTypeInfo& info = *dtypeInfo(type);
  return static_cast<std::size_t>(rows * cols) / info.blockElements * info.blockBytes;
}

using Pack = EveryTable;

void compare(const Kernels& table, DType type, std::int64_t rows, std::int64_t cols,
             const std::vector<std::byte>& matrix) {
  // What is not written shows as the bytes that were there before, different ones on either side.
  const std::size_t bytes = table.packedBytes(type, rows, cols);
  std::vector<std::byte> expected(bytes, std::byte{0x55});
  std::vector<std::byte> packed(bytes, std::byte{0xAA});
  reference::packRows(type, matrix.data(), rows, cols, 0, rows, expected.data());
  // In shares of two tiles, last share first, as workers may take them.
  for (std::int64_t begin = (rows - 1) / 32 * 32; begin >= 0; begin -= 32) {
    table.packRows(type, matrix.data(), rows, cols, begin, std::min(rows, begin + 32), packed.data());
  }
  const auto differs = std::mismatch(packed.begin(), packed.end(), expected.begin());
  ASSERT_TRUE(differs.first == packed.end())
      << dtypeInfo(type)->name << " rows " << rows << " cols " << cols << " at byte "
      << (differs.first - packed.begin()) << " of " << bytes;
}

TEST_P(Pack, WritesTheBytesOfThePlainTwinForEveryTypeAndNumberOfRows) {
  std::mt19937 random(11);
  for (const DType type : kTypes) {
    const std::int64_t block = std::max<std::int64_t>(32, dtypeInfo(type)->blockElements);
    for (std::int64_t rows = 1; rows <= 50; ++rows) {
      for (const std::int64_t blocks : {1, 2, 5}) {
        compare(*GetParam(), type, rows, blocks * block,
                randomBytes(matrixBytes(type, rows, blocks * block), random));
      }
    }
  }
}

TEST_P(Pack, TakesAnyNumberOfColumnsForFloatingWeights) {
  std::mt19937 random(12);
  for (const DType type : {DType::kF32, DType::kF16, DType::kBF16}) {
    for (const std::int64_t cols : {1, 3, 31, 63, 64, 65, 130, 257}) {
      compare(*GetParam(), type, 19, cols, randomBytes(matrixBytes(type, 19, cols), random));
    }
  }
}

TEST_P(Pack, SurvivesExtremes) {
  for (const DType type : kTypes) {
    const std::int64_t cols = 512;
    for (const int byte : {0x00, 0xFF, 0x80, 0x7F, 0x0F, 0xF0}) {
      for (const std::int64_t rows : {13, 16}) {
        compare(*GetParam(), type, rows, cols,
                std::vector<std::byte>(matrixBytes(type, rows, cols), static_cast<std::byte>(byte)));
      }
    }
  }
}

TEST_P(Pack, ReadsMatricesThatLieAtOddAddresses) {
  std::mt19937 random(13);
  for (const DType type : kTypes) {
    const std::int64_t rows = 17;
    const std::int64_t cols = 256;
    const std::vector<std::byte> matrix = randomBytes(matrixBytes(type, rows, cols) + 1, random);
    std::vector<std::byte> expected(GetParam()->packedBytes(type, rows, cols));
    std::vector<std::byte> packed(expected.size());
    const std::vector<std::byte> moved(matrix.begin() + 1, matrix.end());
    reference::packRows(type, moved.data(), rows, cols, 0, rows, expected.data());
    GetParam()->packRows(type, matrix.data() + 1, rows, cols, 0, rows, packed.data());
    EXPECT_EQ(packed, expected) << dtypeInfo(type)->name;
  }
}

QUERN_FOR_EVERY_TABLE(Pack);

}  // namespace
}  // namespace quern::kernels::cpu
