#include "kernels/reference/dequantize.h"

#include <cstring>

#include "kernels/formats/blocks.h"
#include "kernels/formats/half.h"

namespace quern::kernels::reference {
namespace {

template <class T>
T load(const void* source) {
  T value;
  std::memcpy(&value, source, sizeof value);
  return value;
}

void decode(const BlockQ4_0& block, float* out) {
  const float scale = halfToFloat(block.scale);
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * static_cast<float>((block.nibbles[i] & 15) - 8);
    out[i + 16] = scale * static_cast<float>((block.nibbles[i] >> 4) - 8);
  }
}

void decode(const BlockQ4_1& block, float* out) {
  const float scale = halfToFloat(block.scale);
  const float minimum = halfToFloat(block.minimum);
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * static_cast<float>(block.nibbles[i] & 15) + minimum;
    out[i + 16] = scale * static_cast<float>(block.nibbles[i] >> 4) + minimum;
  }
}

/// The five-bit value of element i of Q5_0 and Q5_1.
template <class Block>
int fiveBits(const Block& block, int i) {
  const int nibble = i < 16 ? block.nibbles[i] & 15 : block.nibbles[i - 16] >> 4;
  return nibble | (((block.highBits[i / 8] >> (i % 8)) & 1) << 4);
}

void decode(const BlockQ5_0& block, float* out) {
  const float scale = halfToFloat(block.scale);
  for (int i = 0; i < 32; ++i) out[i] = scale * static_cast<float>(fiveBits(block, i) - 16);
}

void decode(const BlockQ5_1& block, float* out) {
  const float scale = halfToFloat(block.scale);
  const float minimum = halfToFloat(block.minimum);
  for (int i = 0; i < 32; ++i) out[i] = scale * static_cast<float>(fiveBits(block, i)) + minimum;
}

void decode(const BlockQ8_0& block, float* out) {
  const float scale = halfToFloat(block.scale);
  for (int i = 0; i < 32; ++i) out[i] = scale * static_cast<float>(block.values[i]);
}

/// The two low bits of element i (0…255) of Q2_K and Q3_K.
template <class Block>
int twoBits(const Block& block, int i) {
  const int half = i / 128;
  const int run = (i % 128) / 32;
  return (block.values[32 * half + i % 32] >> (2 * run)) & 3;
}

void decode(const BlockQ2_K& block, float* out) {
  const float scale = halfToFloat(block.scale);
  const float minimum = halfToFloat(block.minimum);
  for (int i = 0; i < kSuperBlock; ++i) {
    const std::uint8_t group = block.scales[i / 16];
    out[i] = scale * static_cast<float>(group & 15) * static_cast<float>(twoBits(block, i)) -
             minimum * static_cast<float>(group >> 4);
  }
}

void decode(const BlockQ3_K& block, float* out) {
  const float scale = halfToFloat(block.scale);
  for (int i = 0; i < kSuperBlock; ++i) {
    const int high = (block.highBits[i % 32] >> (i / 32)) & 1;
    const int value = twoBits(block, i) + 4 * high - 4;
    out[i] = scale * static_cast<float>(q3Scale(block.scales, i / 16)) * static_cast<float>(value);
  }
}

/// The low nibble of element i (0…255) where every run of 64 shares 32 bytes: Q4_K and Q5_K.
template <class Block>
int nibbleOfRun(const Block& block, int i) {
  return (block.nibbles[32 * (i / 64) + i % 32] >> (4 * ((i / 32) % 2))) & 15;
}

void decode(const BlockQ4_K& block, float* out) {
  const float scale = halfToFloat(block.scale);
  const float minimum = halfToFloat(block.minimum);
  for (int i = 0; i < kSuperBlock; ++i) {
    const ScaleAndMinimum group = scaleAndMinimum(block.scales, i / 32);
    out[i] = scale * static_cast<float>(group.scale) * static_cast<float>(nibbleOfRun(block, i)) -
             minimum * static_cast<float>(group.minimum);
  }
}

void decode(const BlockQ5_K& block, float* out) {
  const float scale = halfToFloat(block.scale);
  const float minimum = halfToFloat(block.minimum);
  for (int i = 0; i < kSuperBlock; ++i) {
    const ScaleAndMinimum group = scaleAndMinimum(block.scales, i / 32);
    const int high = (block.highBits[i % 32] >> (i / 32)) & 1;
    out[i] = scale * static_cast<float>(group.scale) * static_cast<float>(nibbleOfRun(block, i) + 16 * high) -
             minimum * static_cast<float>(group.minimum);
  }
}

void decode(const BlockQ6_K& block, float* out) {
  const float scale = halfToFloat(block.scale);
  for (int i = 0; i < kSuperBlock; ++i) {
    const int half = i / 128;
    const int within = i % 128;
    const int low = (block.nibbles[64 * half + within % 64] >> (4 * (within / 64))) & 15;
    const int high = (block.highBits[32 * half + within % 32] >> (2 * (within / 32))) & 3;
    out[i] = scale * static_cast<float>(block.scales[i / 16]) * static_cast<float>((low | (high << 4)) - 32);
  }
}

void decode(const BlockIQ4_NL& block, float* out) {
  const float scale = halfToFloat(block.scale);
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * static_cast<float>(kIq4Values[block.nibbles[i] & 15]);
    out[i + 16] = scale * static_cast<float>(kIq4Values[block.nibbles[i] >> 4]);
  }
}

void decode(const BlockIQ4_XS& block, float* out) {
  const float scale = halfToFloat(block.scale);
  for (int g = 0; g < 8; ++g) {
    const float groupScale = scale * static_cast<float>(iq4Scale(block, g));
    for (int i = 0; i < 16; ++i) {
      const std::uint8_t byte = block.nibbles[16 * g + i];
      out[32 * g + i] = groupScale * static_cast<float>(kIq4Values[byte & 15]);
      out[32 * g + i + 16] = groupScale * static_cast<float>(kIq4Values[byte >> 4]);
    }
  }
}

void decode(const BlockMXFP4& block, float* out) {
  const float scale = e8m0ToFloat(block.scale) * 0.5F;
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * static_cast<float>(kMxfp4Values[block.nibbles[i] & 15]);
    out[i + 16] = scale * static_cast<float>(kMxfp4Values[block.nibbles[i] >> 4]);
  }
}

template <class Block, int blockElements>
bool decodeBlocks(const void* source, float* target, std::size_t elements) {
  if (elements % blockElements != 0) return false;
  const auto* bytes = static_cast<const std::byte*>(source);
  for (std::size_t i = 0; i < elements; i += blockElements, bytes += sizeof(Block)) {
    decode(load<Block>(bytes), target + i);
  }
  return true;
}

template <class Stored, float (*convert)(Stored)>
bool decodeScalars(const void* source, float* target, std::size_t elements) {
  const auto* bytes = static_cast<const std::byte*>(source);
  for (std::size_t i = 0; i < elements; ++i) target[i] = convert(load<Stored>(bytes + i * sizeof(Stored)));
  return true;
}

}  // namespace

bool dequantizeRow(DType type, const void* source, float* target, std::size_t elements) {
  switch (type) {
    case DType::kF32:
      std::memcpy(target, source, elements * sizeof(float));
      return true;
    case DType::kF16:
      return decodeScalars<std::uint16_t, halfToFloat>(source, target, elements);
    case DType::kBF16:
      return decodeScalars<std::uint16_t, bfloatToFloat>(source, target, elements);
    case DType::kQ4_0:
      return decodeBlocks<BlockQ4_0, 32>(source, target, elements);
    case DType::kQ4_1:
      return decodeBlocks<BlockQ4_1, 32>(source, target, elements);
    case DType::kQ5_0:
      return decodeBlocks<BlockQ5_0, 32>(source, target, elements);
    case DType::kQ5_1:
      return decodeBlocks<BlockQ5_1, 32>(source, target, elements);
    case DType::kQ8_0:
      return decodeBlocks<BlockQ8_0, 32>(source, target, elements);
    case DType::kQ2_K:
      return decodeBlocks<BlockQ2_K, kSuperBlock>(source, target, elements);
    case DType::kQ3_K:
      return decodeBlocks<BlockQ3_K, kSuperBlock>(source, target, elements);
    case DType::kQ4_K:
      return decodeBlocks<BlockQ4_K, kSuperBlock>(source, target, elements);
    case DType::kQ5_K:
      return decodeBlocks<BlockQ5_K, kSuperBlock>(source, target, elements);
    case DType::kQ6_K:
      return decodeBlocks<BlockQ6_K, kSuperBlock>(source, target, elements);
    case DType::kIQ4_NL:
      return decodeBlocks<BlockIQ4_NL, 32>(source, target, elements);
    case DType::kIQ4_XS:
      return decodeBlocks<BlockIQ4_XS, kSuperBlock>(source, target, elements);
    case DType::kMXFP4:
      return decodeBlocks<BlockMXFP4, 32>(source, target, elements);
    default:
      return false;
  }
}

}  // namespace quern::kernels::reference
