#include "kernels/reference/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace quern::kernels::reference {

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

}  // namespace quern::kernels::reference
