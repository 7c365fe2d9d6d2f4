#include "tests/bench/synthetic/blocks.h"

#include <cmath>
#include <cstring>

#include "kernels/formats/blocks.h"
#include "kernels/formats/half.h"

namespace quern::bench {
namespace {

using namespace kernels;

/// Standard deviation of whole numbers drawn evenly from `count` neighbours: √((count² − 1) / 12).
constexpr float kDeviationOf16 = 4.6098F;
constexpr float kDeviationOf32 = 9.2331F;
constexpr float kDeviationOf64 = 18.4730F;
constexpr float kDeviationOf255 = 73.6116F;
constexpr float kDeviationOf4 = 1.1180F;
/// Root mean squares of what else the formats multiply their scales with.
constexpr float kRootMeanSquareOfQ3 = 2.3452F;        // −4…3
constexpr float kRootMeanSquareOfSixBits = 18.4797F;  // −32…31
constexpr float kRootMeanSquareOfIq4 = 67.4389F;      // kIq4Values
constexpr float kRootMeanSquareOfMxfp4 = 2.9262F;     // kMxfp4Values / 2

/// Even over [−1, 1); its own standard deviation is 1/√3.
float even(std::mt19937_64& random) {
  return static_cast<float>(static_cast<std::int64_t>(random())) * 0x1p-63F;
}

/// A scale around `scale`, between 2/3 and 4/3 of it; on average its square is 1 + 1/27 of the square.
float spread(float scale, std::mt19937_64& random) { return scale * 0.982F * (1 + even(random) / 3); }
float spreadSigned(float scale, std::mt19937_64& random) {
  return (random() & 1U) != 0 ? spread(scale, random) : -spread(scale, random);
}

template <std::size_t N>
void fillBytes(std::uint8_t (&bytes)[N], std::mt19937_64& random) {
  for (std::size_t i = 0; i < N; i += 8) {
    const std::uint64_t word = random();
    std::memcpy(bytes + i, &word, N - i < 8 ? N - i : 8);
  }
}

/// The 6-bit scales of a K format are drawn from 8…31: large enough to differ by small steps, small enough
/// that the half in front of them stays out of the subnormals.
constexpr std::uint32_t kLeastScale = 8;
constexpr std::uint32_t kScales = 24;
constexpr float kMeanSquareScale = 428.17F;  // of 8…31
std::uint8_t groupScale(std::mt19937_64& random) {
  return static_cast<std::uint8_t>(kLeastScale + random() % kScales);
}

void fill(BlockQ4_0& block, float deviation, std::mt19937_64& random) {
  block.scale = floatToHalf(spreadSigned(deviation / kDeviationOf16, random));
  fillBytes(block.nibbles, random);
}

void fill(BlockQ4_1& block, float deviation, std::mt19937_64& random) {
  const float scale = spread(deviation / kDeviationOf16, random);
  block.scale = floatToHalf(scale);
  block.minimum = floatToHalf(-7.5F * scale);  // minus the middle of 0…15
  fillBytes(block.nibbles, random);
}

void fill(BlockQ5_0& block, float deviation, std::mt19937_64& random) {
  block.scale = floatToHalf(spreadSigned(deviation / kDeviationOf32, random));
  fillBytes(block.highBits, random);
  fillBytes(block.nibbles, random);
}

void fill(BlockQ5_1& block, float deviation, std::mt19937_64& random) {
  const float scale = spread(deviation / kDeviationOf32, random);
  block.scale = floatToHalf(scale);
  block.minimum = floatToHalf(-15.5F * scale);
  fillBytes(block.highBits, random);
  fillBytes(block.nibbles, random);
}

void fill(BlockIQ4_NL& block, float deviation, std::mt19937_64& random) {
  block.scale = floatToHalf(spreadSigned(deviation / kRootMeanSquareOfIq4, random));
  fillBytes(block.nibbles, random);
}

/// Scales are powers of two: of the two around the wanted one, each as often as makes its square right on
/// average.
void fill(BlockMXFP4& block, float deviation, std::mt19937_64& random) {
  int exponent = 0;
  const float mantissa = std::frexp(deviation / kRootMeanSquareOfMxfp4, &exponent);  // 0.5…1
  const float upper = (4 * mantissa * mantissa - 1) / 3;
  const bool isUpper = (even(random) + 1) / 2 < upper;
  block.scale = static_cast<std::uint8_t>(127 + exponent - (isUpper ? 0 : 1));
  fillBytes(block.nibbles, random);
}

void fill(BlockQ8_0& block, float deviation, std::mt19937_64& random) {
  block.scale = floatToHalf(spread(deviation / kDeviationOf255, random));
  std::uint8_t bytes[32];
  fillBytes(bytes, random);
  for (int i = 0; i < 32; ++i) {
    // Quantizers leave −128 out; so does this.
    block.values[i] = static_cast<std::int8_t>(bytes[i] == 128 ? 0 : static_cast<int>(bytes[i] ^ 128U) - 128);
  }
}

/// Q4_K and Q5_K: every group has its minimum at minus the middle of its values, since both numbers are the
/// same six bits and the two halves differ by that middle.
template <class Block>
void fillGroups(Block& block, float deviation, float deviationOfValues, float middle,
                std::mt19937_64& random) {
  const float scale = spread(deviation / (deviationOfValues * std::sqrt(kMeanSquareScale)), random);
  block.scale = floatToHalf(scale);
  block.minimum = floatToHalf(halfToFloat(block.scale) * middle);
  for (int g = 0; g < 4; ++g) {
    // Groups 0–3 in the low six bits of bytes g and g + 4, groups 4–7 in byte g + 8; scales stay below 32, so
    // that the two bits above bit 5 are those that groups 4–7 keep there.
    const std::uint8_t low = groupScale(random);
    const std::uint8_t high = groupScale(random);
    block.scales[g] = static_cast<std::uint8_t>(low | ((high >> 4) << 6));
    block.scales[g + 4] = block.scales[g];
    block.scales[g + 8] = static_cast<std::uint8_t>((high & 15) | ((high & 15) << 4));
  }
}

void fill(BlockQ4_K& block, float deviation, std::mt19937_64& random) {
  fillGroups(block, deviation, kDeviationOf16, 7.5F, random);
  fillBytes(block.nibbles, random);
}

void fill(BlockQ5_K& block, float deviation, std::mt19937_64& random) {
  fillGroups(block, deviation, kDeviationOf32, 15.5F, random);
  fillBytes(block.highBits, random);
  fillBytes(block.nibbles, random);
}

void fill(BlockQ2_K& block, float deviation, std::mt19937_64& random) {
  // Both nibbles of a group's byte are the same, from 8…15.
  constexpr float kMeanSquareNibble = 137.5F;
  const float scale = spread(deviation / (kDeviationOf4 * std::sqrt(kMeanSquareNibble)), random);
  block.scale = floatToHalf(scale);
  block.minimum = floatToHalf(halfToFloat(block.scale) * 1.5F);
  for (std::uint8_t& each : block.scales) each = static_cast<std::uint8_t>((8 + random() % 8) * 17);
  fillBytes(block.values, random);
}

void fill(BlockQ3_K& block, float deviation, std::mt19937_64& random) {
  block.scale = floatToHalf(spread(deviation / (kRootMeanSquareOfQ3 * kRootMeanSquareOfSixBits), random));
  fillBytes(block.highBits, random);
  fillBytes(block.values, random);
  fillBytes(block.scales, random);
}

void fill(BlockIQ4_XS& block, float deviation, std::mt19937_64& random) {
  block.scale = floatToHalf(spread(deviation / (kRootMeanSquareOfIq4 * kRootMeanSquareOfSixBits), random));
  block.scalesHigh = static_cast<std::uint16_t>(random());
  fillBytes(block.scalesLow, random);
  fillBytes(block.nibbles, random);
}

void fill(BlockQ6_K& block, float deviation, std::mt19937_64& random) {
  const float scale = spread(deviation / (kDeviationOf64 * std::sqrt(kMeanSquareScale)), random);
  block.scale = floatToHalf(scale);
  for (std::int8_t& each : block.scales) {
    const auto magnitude = static_cast<std::int8_t>(groupScale(random));
    each = (random() & 1U) != 0 ? magnitude : static_cast<std::int8_t>(-magnitude);
  }
  fillBytes(block.nibbles, random);
  fillBytes(block.highBits, random);
}

constexpr float kRootOf3 = 1.7320508F;
void fill(Half& half, float deviation, std::mt19937_64& random) {
  half = floatToHalf(deviation * kRootOf3 * even(random));
}
/// A bfloat16 is a type of its own here: in a file it is as many bytes as a half.
struct Bfloat {
  std::uint16_t bits;
};
void fill(Bfloat& number, float deviation, std::mt19937_64& random) {
  number.bits = floatToBfloat(deviation * kRootOf3 * even(random));
}
void fill(float& number, float deviation, std::mt19937_64& random) {
  number = deviation * kRootOf3 * even(random);
}

template <class Block>
void fillAll(float deviation, std::mt19937_64& random, std::span<std::byte> target) {
  for (std::size_t at = 0; at + sizeof(Block) <= target.size(); at += sizeof(Block)) {
    Block block;
    fill(block, deviation, random);
    std::memcpy(target.data() + at, &block, sizeof block);
  }
}

using Filler = void (*)(float, std::mt19937_64&, std::span<std::byte>);
Filler fillerOf(DType type) {
  switch (type) {
    case DType::kF32:
      return fillAll<float>;
    case DType::kF16:
      return fillAll<Half>;
    case DType::kBF16:
      return fillAll<Bfloat>;
    case DType::kQ4_0:
      return fillAll<BlockQ4_0>;
    case DType::kQ4_1:
      return fillAll<BlockQ4_1>;
    case DType::kQ5_0:
      return fillAll<BlockQ5_0>;
    case DType::kQ8_0:
      return fillAll<BlockQ8_0>;
    case DType::kQ4_K:
      return fillAll<BlockQ4_K>;
    case DType::kQ5_K:
      return fillAll<BlockQ5_K>;
    case DType::kQ5_1:
      return fillAll<BlockQ5_1>;
    case DType::kQ2_K:
      return fillAll<BlockQ2_K>;
    case DType::kQ3_K:
      return fillAll<BlockQ3_K>;
    case DType::kIQ4_NL:
      return fillAll<BlockIQ4_NL>;
    case DType::kIQ4_XS:
      return fillAll<BlockIQ4_XS>;
    case DType::kMXFP4:
      return fillAll<BlockMXFP4>;
    case DType::kQ6_K:
      return fillAll<BlockQ6_K>;
    default:
      return nullptr;
  }
}

}  // namespace

bool canFill(DType type) { return fillerOf(type) != nullptr; }

void fillBlocks(DType type, float deviation, std::mt19937_64& random, std::span<std::byte> target) {
  if (const Filler filler = fillerOf(type)) filler(deviation, random, target);
}

}  // namespace quern::bench
