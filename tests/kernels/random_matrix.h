// Matrices of every type with random quants and scales of a sensible size.
#pragma once

#include <cstring>
#include <random>
#include <vector>

#include "kernels/formats/formats.h"
#include "kernels/formats/half.h"

namespace quern::kernels::cpu {

inline constexpr DType kTypes[] = {DType::kF32,  DType::kF16,    DType::kBF16,   DType::kQ4_0,
                                   DType::kQ4_1, DType::kQ5_0,   DType::kQ5_1,   DType::kQ8_0,
                                   DType::kQ2_K, DType::kQ3_K,   DType::kQ4_K,   DType::kQ5_K,
                                   DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS, DType::kMXFP4};

/// Offsets of the two-byte floats inside a block of `type`.
inline std::vector<std::size_t> halfOffsets(DType type) {
  switch (type) {
    case DType::kQ4_0:
    case DType::kQ5_0:
    case DType::kQ8_0:
    case DType::kIQ4_NL:
    case DType::kIQ4_XS:
      return {0};
    case DType::kQ4_1:
    case DType::kQ5_1:
    case DType::kQ4_K:
    case DType::kQ5_K:
      return {0, 2};
    case DType::kQ2_K:
      return {80, 82};
    case DType::kQ3_K:
      return {108};
    case DType::kQ6_K:
      return {208};
    default:
      return {};
  }
}

/// Random blocks with scales of a sensible size.
inline std::vector<std::byte> randomMatrix(DType type, std::int64_t rows, std::int64_t cols,
                                           std::mt19937& random) {
  const DTypeInfo& info = *dtypeInfo(type);
  const auto blocks = static_cast<std::size_t>(rows * cols / info.blockElements);
  std::vector<std::byte> bytes(blocks * info.blockBytes);
  std::uniform_real_distribution<float> number(-1.0F, 1.0F);
  for (std::size_t b = 0; b < blocks; ++b) {
    std::byte* block = bytes.data() + b * info.blockBytes;
    if (type == DType::kF32) {
      const float x = number(random);
      std::memcpy(block, &x, 4);
    } else if (type == DType::kF16 || type == DType::kBF16) {
      const float x = number(random);
      const std::uint16_t bits = type == DType::kF16 ? floatToHalf(x) : floatToBfloat(x);
      std::memcpy(block, &bits, 2);
    } else {
      for (std::size_t i = 0; i < info.blockBytes; ++i) block[i] = static_cast<std::byte>(random() & 0xFF);
      for (const std::size_t offset : halfOffsets(type)) {
        const std::uint16_t half = floatToHalf(number(random) * 0.05F);
        std::memcpy(block + offset, &half, 2);
      }
      if (type == DType::kMXFP4) block[0] = static_cast<std::byte>(118 + random() % 8);
    }
  }
  return bytes;
}

}  // namespace quern::kernels::cpu
