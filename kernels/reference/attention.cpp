#include "kernels/reference/attention.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/formats/half.h"

namespace quern::kernels::reference {
namespace {

/// Elements that a Q4_0 cache turns together: the largest power of two in headDim, at most 256.
std::int64_t turnedTogether(std::int64_t headDim) {
  std::int64_t n = 1;
  while (headDim % (2 * n) == 0 && n < 256) n *= 2;
  return n;
}

/// An element of a block: unit `index` after the scales, and of a byte of two the low or the high one;
/// `scale` counts the block's scales.
float element(cpu::KvType type, const std::byte* block, std::int64_t headDim, std::int64_t index, bool isHigh,
              std::int64_t scale) {
  const auto half = [](const std::byte* p) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, p, sizeof bits);
    return halfToFloat(bits);
  };
  switch (type) {
    case cpu::KvType::kF32: {
      float value = 0;
      std::memcpy(&value, block + 4 * index, sizeof value);
      return value;
    }
    case cpu::KvType::kF16:
      return half(block + 2 * index);
    case cpu::KvType::kQ8_0:
      return half(block + 2 * scale) *
             static_cast<float>(static_cast<std::int8_t>(block[headDim / 32 * cpu::kKvBlock * 2 + index]));
    case cpu::KvType::kQ4_0: {
      const auto both = static_cast<int>(block[headDim / 32 * cpu::kKvBlock * 2 + index]);
      return half(block + 2 * scale) * static_cast<float>((isHigh ? both / 16 : both % 16) - 8);
    }
  }
  return 0;
}

}  // namespace

std::vector<double> attention(const std::vector<float>& query, const std::vector<std::vector<float>>& keys,
                              const std::vector<std::vector<float>>& values, std::int64_t first, double scale,
                              double softcap, const float* sink) {
  std::vector<double> scores;
  double largest = sink != nullptr ? *sink : -std::numeric_limits<double>::infinity();
  for (std::size_t j = static_cast<std::size_t>(first); j < keys.size(); ++j) {
    double dot = 0;
    for (std::size_t i = 0; i < query.size(); ++i) dot += static_cast<double>(query[i]) * keys[j][i];
    dot *= scale;
    if (softcap > 0) dot = softcap * std::tanh(dot / softcap);
    scores.push_back(dot);
    largest = std::max(largest, dot);
  }
  double sum = sink != nullptr ? std::exp(*sink - largest) : 0;
  std::vector<double> output(query.size(), 0.0);
  for (std::size_t j = 0; j < scores.size(); ++j) {
    const double p = std::exp(scores[j] - largest);
    sum += p;
    for (std::size_t i = 0; i < output.size(); ++i)
      output[i] += p * values[j + static_cast<std::size_t>(first)][i];
  }
  for (double& x : output) x /= sum;
  return output;
}

std::vector<float> turned(const std::vector<float>& head, const cpu::HeadTurn& turn, std::int64_t token) {
  std::vector<double> x(head.begin(), head.end());
  if (turn.norm != nullptr) {
    double squares = 0;
    for (const double v : x) squares += v * v;
    const double scale = 1 / std::sqrt(squares / static_cast<double>(x.size()) + turn.epsilon);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] *= scale * turn.norm[i];
  }
  for (std::int64_t i = 0; i < turn.rotary / 2; ++i) {
    const float* pair = turn.cosSin + token * turn.cosSinStride + 2 * i;
    double& a = x[static_cast<std::size_t>(turn.neox ? i : 2 * i)];
    double& b = x[static_cast<std::size_t>(turn.neox ? i + turn.rotary / 2 : 2 * i + 1)];
    const double first = a * pair[0] - b * pair[1];
    b = a * pair[1] + b * pair[0];
    a = first;
  }
  return std::vector<float>(x.begin(), x.end());
}

std::vector<float> hadamard(const std::vector<float>& x, std::int64_t n) {
  std::vector<float> result;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(x.size()); ++i) {
    double sum = 0;
    for (std::int64_t j = 0; j < n; ++j) {
      const double element = x[static_cast<std::size_t>(i / n * n + j)];
      sum += std::popcount(static_cast<std::uint64_t>(i % n & j)) % 2 == 0 ? element : -element;
    }
    result.push_back(static_cast<float>(sum / std::sqrt(static_cast<double>(n))));
  }
  return result;
}

std::vector<float> storedKey(cpu::KvType type, const std::byte* block, std::int64_t slot,
                             std::int64_t headDim) {
  std::vector<float> key;
  for (std::int64_t i = 0; i < headDim; ++i) {
    const std::int64_t scale = i / 32 * cpu::kKvBlock + slot;
    const std::int64_t row = type == cpu::KvType::kQ4_0 ? i / 2 : i;
    key.push_back(element(type, block, headDim, row * cpu::kKvBlock + slot, i % 2 == 1, scale));
  }
  return key;
}

std::vector<float> storedValue(cpu::KvType type, const std::byte* block, std::int64_t slot,
                               std::int64_t headDim) {
  std::vector<float> value;
  for (std::int64_t i = 0; i < headDim; ++i) {
    const std::int64_t scale = i / 32 * cpu::kKvBlock + slot;
    const std::int64_t at = slot * headDim + i;
    const std::int64_t unit = type == cpu::KvType::kQ4_0 ? at / 32 * 16 + at % 16 : at;
    value.push_back(element(type, block, headDim, unit, i % 32 >= 16, scale));
  }
  return value;
}

std::vector<float> cachedKey(cpu::KvType type, const std::byte* block, std::int64_t slot,
                             std::int64_t headDim) {
  const std::vector<float> key = storedKey(type, block, slot, headDim);
  return type == cpu::KvType::kQ4_0 ? hadamard(key, turnedTogether(headDim)) : key;
}

std::vector<float> cachedValue(cpu::KvType type, const std::byte* block, std::int64_t slot,
                               std::int64_t headDim) {
  const std::vector<float> value = storedValue(type, block, slot, headDim);
  return type == cpu::KvType::kQ4_0 ? hadamard(value, turnedTogether(headDim)) : value;
}

}  // namespace quern::kernels::reference
