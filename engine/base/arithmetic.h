// Integer arithmetic that says when it overflows, for sizes and offsets that come from outside.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>

namespace quern::engine::base {

template <std::integral T>
std::optional<T> checkedAdd(T a, T b) {
  T sum;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

template <std::integral T>
std::optional<T> checkedMul(T a, T b) {
  T product;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

/// The smallest multiple of `alignment` (> 0) that is not below `value`; nullopt on overflow.
template <std::unsigned_integral T>
std::optional<T> checkedAlignUp(T value, T alignment) {
  const T rest = value % alignment;
  return rest == 0 ? std::optional<T>(value) : checkedAdd<T>(value, alignment - rest);
}

}  // namespace quern::engine::base
