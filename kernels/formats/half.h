// Conversion between float32 and the 16-bit floats of model files, without intrinsics: the plain way that
// every platform has. Kernels with F16C or AVX-512 use their own instructions.
#pragma once

#include <bit>
#include <cstdint>

namespace quern::kernels {

/// IEEE 754 binary16 to float32, exact; subnormals, infinities and NaN included.
inline float halfToFloat(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1FU;
  const std::uint32_t mantissa = half & 0x3FFU;
  if (exponent == 0) {  // zero or subnormal: mantissa · 2^-24, which float32 holds exactly
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | sign);
  }
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000U | (mantissa << 13));
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

/// float32 to IEEE 754 binary16, rounded to nearest even; too large becomes infinity, NaN stays NaN.
inline std::uint16_t floatToHalf(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000U);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude >= 0x7F800000U) {
    return static_cast<std::uint16_t>(sign | 0x7C00U | (magnitude > 0x7F800000U ? 0x200U : 0U));
  }
  if (magnitude >= 0x477FF000U) return static_cast<std::uint16_t>(sign | 0x7C00U);  // 65,520 and above
  if (magnitude < 0x38800000U) {  // below 2^-14: a subnormal half
    // Adding 0.5 lines the subnormal's last bit up with float32's last bit, and the adder rounds to even.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3F000000U));
  }
  const std::uint32_t odd = (magnitude >> 13) & 1U;
  return static_cast<std::uint16_t>(sign | ((magnitude - 0x38000000U + 0xFFFU + odd) >> 13));
}

/// bfloat16 is the upper half of a float32.
inline float bfloatToFloat(std::uint16_t bfloat) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bfloat) << 16);
}

/// float32 to bfloat16, rounded to nearest even; NaN stays NaN.
inline std::uint16_t floatToBfloat(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return static_cast<std::uint16_t>((bits >> 16) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

/// E8M0, the block scale of MXFP4 (OCP Microscaling Formats 1.0): 2^(e − 127); the smallest is a float32
/// subnormal.
inline float e8m0ToFloat(std::uint8_t exponent) {
  return exponent == 0 ? 0x1p-127F : std::bit_cast<float>(static_cast<std::uint32_t>(exponent) << 23);
}

}  // namespace quern::kernels
