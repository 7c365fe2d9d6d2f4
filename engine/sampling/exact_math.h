// exp and log made of additions and multiplications only. The C library's differ in the last bit between
// versions and processors; these do not, so that a seed picks the same tokens on every machine. Error: below
// 4e-16 of the result.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace quern::engine::sampling {

inline constexpr double kLn2 = 0.693147180559945309417;

inline constexpr std::array<double, 14> kInverseFactorials = [] {
  std::array<double, 14> values{1.0};
  double factorial = 1.0;
  for (std::size_t n = 1; n < values.size(); ++n) values[n] = 1.0 / (factorial *= static_cast<double>(n));
  return values;
}();

/// e^x for x <= 0; 0 below -700 (and for NaN), where no weight matters any more.
inline double exactExp(double x) {
  if (!(x > -700.0)) return 0.0;
  // x = n·ln2 + r with |r| <= ln2/2; ln2 in two parts, the first short enough that n times it is exact.
  constexpr double kUpper = 0x1.62e42feep-1;
  constexpr double kLower = 0x1.a39ef35793c76p-33;
  const auto n = static_cast<std::int64_t>(x / kLn2 - 0.5);
  const double r = (x - static_cast<double>(n) * kUpper) - static_cast<double>(n) * kLower;
  // Taylor: the first term left out is r^14/14! < 5e-18.
  double sum = kInverseFactorials[13];
  for (std::size_t term = 13; term-- > 0;) sum = sum * r + kInverseFactorials[term];
  return sum * std::bit_cast<double>(static_cast<std::uint64_t>(n + 1023) << 52);
}

/// Natural logarithm of a normal x > 0.
inline double exactLog(double x) {
  const auto bits = std::bit_cast<std::uint64_t>(x);
  auto exponent = static_cast<std::int64_t>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0x000FFFFFFFFFFFFFULL) | 0x3FF0000000000000ULL);
  if (m > 1.41421356237309504880) {
    m *= 0.5;
    ++exponent;
  }
  // log m = 2·artanh(s), |s| < 0.1716: the first term left out is below 2e-19.
  const double s = (m - 1.0) / (m + 1.0);
  const double square = s * s;
  double sum = 0.0;
  for (int odd = 23; odd >= 3; odd -= 2) sum = (sum + 1.0 / odd) * square;
  return static_cast<double>(exponent) * kLn2 + 2.0 * s * (1.0 + sum);
}

}  // namespace quern::engine::sampling
