#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/gguf/file.h"

namespace quern::engine::gguf {
namespace {

template <class T>
T read(std::span<const std::byte> bytes, std::size_t index = 0) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof value);
  return value;
}

/// Element `index` of a run of integers or bools; nullopt for other types and for what int64 cannot hold.
std::optional<std::int64_t> integerAt(ValueType type, std::span<const std::byte> bytes, std::size_t index) {
  switch (type) {
    case ValueType::kU8:
    case ValueType::kBool:
      return read<std::uint8_t>(bytes, index);
    case ValueType::kI8:
      return read<std::int8_t>(bytes, index);
    case ValueType::kU16:
      return read<std::uint16_t>(bytes, index);
    case ValueType::kI16:
      return read<std::int16_t>(bytes, index);
    case ValueType::kU32:
      return read<std::uint32_t>(bytes, index);
    case ValueType::kI32:
      return read<std::int32_t>(bytes, index);
    case ValueType::kI64:
      return read<std::int64_t>(bytes, index);
    case ValueType::kU64: {
      const auto value = read<std::uint64_t>(bytes, index);
      if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
      return static_cast<std::int64_t>(value);
    }
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<std::uint64_t> Value::asUnsigned() const {
  if (type_ == ValueType::kU64) return read<std::uint64_t>(payload_);
  const std::optional<std::int64_t> value = asInteger();
  if (!value || *value < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*value);
}

std::optional<std::int64_t> Value::asInteger() const {
  if (type_ == ValueType::kBool) return std::nullopt;
  return integerAt(type_, payload_, 0);
}

std::optional<double> Value::asNumber() const {
  if (type_ == ValueType::kF32) return read<float>(payload_);
  if (type_ == ValueType::kF64) return read<double>(payload_);
  if (type_ == ValueType::kU64) return static_cast<double>(read<std::uint64_t>(payload_));
  if (const std::optional<std::int64_t> value = asInteger()) return static_cast<double>(*value);
  return std::nullopt;
}

std::optional<bool> Value::asBool() const {
  if (type_ != ValueType::kBool) return std::nullopt;
  return read<std::uint8_t>(payload_) != 0;
}

std::optional<std::string_view> Value::asString() const {
  if (type_ != ValueType::kString) return std::nullopt;
  return std::string_view(reinterpret_cast<const char*>(payload_.data()), payload_.size());
}

std::optional<std::vector<std::string_view>> Value::asStrings() const {
  if (!isArray() || elementType_ != ValueType::kString) return std::nullopt;
  std::vector<std::string_view> strings;
  strings.reserve(count_);
  const char* at = reinterpret_cast<const char*>(payload_.data());
  for (std::uint64_t i = 0; i < count_; ++i) {  // lengths were checked when the file was opened
    std::uint64_t length = 0;
    std::memcpy(&length, at, sizeof length);
    at += sizeof length;
    strings.emplace_back(at, length);
    at += length;
  }
  return strings;
}

std::optional<std::vector<float>> Value::asFloats() const {
  if (!isArray() || (elementType_ != ValueType::kF32 && elementType_ != ValueType::kF64)) return std::nullopt;
  std::vector<float> numbers(count_);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = elementType_ == ValueType::kF32 ? read<float>(payload_, i)
                                                 : static_cast<float>(read<double>(payload_, i));
  }
  return numbers;
}

std::optional<std::vector<std::int64_t>> Value::asIntegers() const {
  if (!isArray()) return std::nullopt;
  std::vector<std::int64_t> numbers;
  if (count_ > 0 && !integerAt(elementType_, payload_, 0)) return std::nullopt;
  numbers.reserve(count_);
  for (std::size_t i = 0; i < count_; ++i) {
    const std::optional<std::int64_t> number = integerAt(elementType_, payload_, i);
    if (!number) return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers;
}

}  // namespace quern::engine::gguf
