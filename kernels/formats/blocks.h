// The bytes of one block of every quantized format that Quern decodes, as they lie in a GGUF file
// (little-endian). Layouts are facts of the format; source: the public ggml block definitions and the GGUF
// specification.
//
// "half" fields are IEEE binary16. In the 4-bit formats byte i of `nibbles` holds element i in its low and
// element i + 16 in its high half; in the K formats (super-blocks of 256) the split is told beside the field.
#pragma once

#include <cstdint>

namespace quern::kernels {

using Half = std::uint16_t;

inline constexpr int kSuperBlock = 256;

/// w = scale · (q − 8)
struct BlockQ4_0 {
  Half scale;
  std::uint8_t nibbles[16];
};
/// w = scale · q + minimum
struct BlockQ4_1 {
  Half scale;
  Half minimum;
  std::uint8_t nibbles[16];
};
/// w = scale · (q − 16); bit i of highBits is bit 4 of element i
struct BlockQ5_0 {
  Half scale;
  std::uint8_t highBits[4];
  std::uint8_t nibbles[16];
};
/// w = scale · q + minimum
struct BlockQ5_1 {
  Half scale;
  Half minimum;
  std::uint8_t highBits[4];
  std::uint8_t nibbles[16];
};
/// w = scale · q
struct BlockQ8_0 {
  Half scale;
  std::int8_t values[32];
};
/// 16 groups of 16: w = scale · (scales[g] & 15) · q − minimum · (scales[g] >> 4). For each half of 128
/// elements, 32 bytes hold four runs of 32 elements, two bits each, the first run lowest.
struct BlockQ2_K {
  std::uint8_t scales[16];
  std::uint8_t values[64];
  Half scale;
  Half minimum;
};
/// 16 groups of 16: w = scale · (s_g − 32) · (q − 4). `values` as in Q2_K; the third bit of element 32·j + i
/// is bit j of highBits[i], for j = 0…7. The sixteen 6-bit s_g: low nibbles in scales[0…7] (g and g + 8),
/// upper two bits in scales[8…11] (bits 2·(g / 4) of byte 8 + g % 4).
struct BlockQ3_K {
  std::uint8_t highBits[32];
  std::uint8_t values[64];
  std::uint8_t scales[12];
  Half scale;
};
/// 8 groups of 32: w = scale · s_g · q − minimum · m_g; 6-bit s_g and m_g, see scaleAndMinimum(). For each
/// run of 64 elements, 32 bytes: the first 32 elements low, the next 32 high.
struct BlockQ4_K {
  Half scale;
  Half minimum;
  std::uint8_t scales[12];
  std::uint8_t nibbles[128];
};
/// As Q4_K with a fifth bit: bit g of highBits[i] belongs to element i of group g.
struct BlockQ5_K {
  Half scale;
  Half minimum;
  std::uint8_t scales[12];
  std::uint8_t highBits[32];
  std::uint8_t nibbles[128];
};
/// 16 groups of 16: w = scale · scales[g] · (q − 32). For each half of 128 elements: 64 bytes of low nibbles
/// (elements 0–63 low, 64–127 high) and 32 bytes of upper bits (two bits of elements i, i + 32, i + 64, i +
/// 96).
struct BlockQ6_K {
  std::uint8_t nibbles[128];
  std::uint8_t highBits[64];
  std::int8_t scales[16];
  Half scale;
};
/// w = scale · kIq4Values[q]
struct BlockIQ4_NL {
  Half scale;
  std::uint8_t nibbles[16];
};
/// 8 groups of 32: w = scale · (s_g − 32) · kIq4Values[q]; s_g: low nibbles in scalesLow, upper two bits in
/// scalesHigh
struct BlockIQ4_XS {
  Half scale;
  std::uint16_t scalesHigh;
  std::uint8_t scalesLow[4];
  std::uint8_t nibbles[128];
};
/// w = 2^(scale − 127) · kMxfp4Values[q] / 2, where kMxfp4Values holds doubled E2M1 values
struct BlockMXFP4 {
  std::uint8_t scale;
  std::uint8_t nibbles[16];
};

static_assert(sizeof(BlockQ4_0) == 18 && sizeof(BlockQ4_1) == 20 && sizeof(BlockQ5_0) == 22);
static_assert(sizeof(BlockQ5_1) == 24 && sizeof(BlockQ8_0) == 34 && sizeof(BlockQ2_K) == 84);
static_assert(sizeof(BlockQ3_K) == 110 && sizeof(BlockQ4_K) == 144 && sizeof(BlockQ5_K) == 176);
static_assert(sizeof(BlockQ6_K) == 210 && sizeof(BlockIQ4_NL) == 18 && sizeof(BlockIQ4_XS) == 136);
static_assert(sizeof(BlockMXFP4) == 17);

/// The non-linear 4-bit grid of IQ4_NL and IQ4_XS.
inline constexpr std::int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                               1,    13,   25,  38,  53,  69,  89,  113};
/// E2M1 (OCP Microscaling Formats 1.0) times two, so that every value is whole.
inline constexpr std::int8_t kMxfp4Values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

struct ScaleAndMinimum {
  std::uint8_t scale;
  std::uint8_t minimum;
};

/// The 6-bit scale and minimum of group g (0…7) of Q4_K and Q5_K: groups 0–3 lie in the low six bits of bytes
/// g and g + 4; groups 4–7 in the nibbles of byte g + 4 with their upper bits in the top two bits of bytes g
/// − 4 and g.
inline ScaleAndMinimum scaleAndMinimum(const std::uint8_t (&scales)[12], int g) {
  if (g < 4) {
    return {static_cast<std::uint8_t>(scales[g] & 63), static_cast<std::uint8_t>(scales[g + 4] & 63)};
  }
  return {static_cast<std::uint8_t>((scales[g + 4] & 15) | ((scales[g - 4] >> 6) << 4)),
          static_cast<std::uint8_t>((scales[g + 4] >> 4) | ((scales[g] >> 6) << 4))};
}

/// The signed scale (−32…31) of group g (0…15) of Q3_K.
inline int q3Scale(const std::uint8_t (&scales)[12], int g) {
  const int low = g < 8 ? scales[g] & 15 : scales[g - 8] >> 4;
  const int high = (scales[8 + g % 4] >> (2 * (g / 4))) & 3;
  return (low | (high << 4)) - 32;
}

/// The signed scale (−32…31) of group g (0…7) of IQ4_XS.
inline int iq4Scale(const BlockIQ4_XS& block, int g) {
  const int low = (block.scalesLow[g / 2] >> (4 * (g % 2))) & 15;
  const int high = (block.scalesHigh >> (2 * g)) & 3;
  return (low | (high << 4)) - 32;
}

}  // namespace quern::kernels
