#include "kernels/reference/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/formats/half.h"

namespace quern::kernels::reference {
namespace {

/// Element `index` of a block whose elements, after the scales of Q8_0, lie as [elements]; `scale` counts the
/// block's scales.
float element(cpu::KvType type, const std::byte* block, std::int64_t headDim, std::int64_t index,
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
  }
  return 0;
}

}  // namespace

std::vector<double> attention(const std::vector<float>& query, const std::vector<std::vector<float>>& keys,
                              const std::vector<std::vector<float>>& values, std::int64_t first, double scale,
                              double softcap) {
  std::vector<double> scores;
  double largest = -std::numeric_limits<double>::infinity();
  for (std::size_t j = static_cast<std::size_t>(first); j < keys.size(); ++j) {
    double dot = 0;
    for (std::size_t i = 0; i < query.size(); ++i) dot += static_cast<double>(query[i]) * keys[j][i];
    dot *= scale;
    if (softcap > 0) dot = softcap * std::tanh(dot / softcap);
    scores.push_back(dot);
    largest = std::max(largest, dot);
  }
  double sum = 0;
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

std::vector<float> cachedKey(cpu::KvType type, const std::byte* block, std::int64_t slot,
                             std::int64_t headDim) {
  std::vector<float> key;
  for (std::int64_t i = 0; i < headDim; ++i) {
    key.push_back(element(type, block, headDim, i * cpu::kKvBlock + slot, i / 32 * cpu::kKvBlock + slot));
  }
  return key;
}

std::vector<float> cachedValue(cpu::KvType type, const std::byte* block, std::int64_t slot,
                               std::int64_t headDim) {
  std::vector<float> value;
  for (std::int64_t i = 0; i < headDim; ++i) {
    value.push_back(element(type, block, headDim, slot * headDim + i, i / 32 * cpu::kKvBlock + slot));
  }
  return value;
}

}  // namespace quern::kernels::reference
