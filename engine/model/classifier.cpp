#include "engine/model/classifier.h"

#include <cmath>
#include <string>

#include "engine/base/text.h"
#include "engine/gguf/file.h"
#include "kernels/reference/dequantize.h"

namespace quern::engine::model {
namespace {

/// More than any model that is read has; it keeps a file's number from filling the memory.
constexpr std::uint64_t kMostLabels = 1U << 16;

base::Error malformed(std::string sentence) { return {base::ErrorCode::kMalformed, std::move(sentence)}; }

base::Result<std::vector<float>> floats(const gguf::Tensor& tensor) {
  std::vector<float> values(tensor.elements());
  if (!kernels::reference::dequantizeRow(tensor.type, tensor.data.data(), values.data(), values.size())) {
    return malformed("The model's tensor \"" + std::string(tensor.name) +
                     "\" is of a type that cannot be decoded.");
  }
  return values;
}

}  // namespace

base::Result<std::optional<Classifier>> Classifier::read(const gguf::File& file, std::int32_t width) {
  Classifier head;
  auto cols = static_cast<std::uint64_t>(width);
  for (const std::string name : {"cls", "cls.output"}) {
    const gguf::Tensor* weights = file.tensor(name + ".weight");
    if (weights == nullptr) continue;
    if (weights->rowElements() != cols || weights->rows() > kMostLabels) {
      return malformed("The model's tensor \"" + name + ".weight\" has rows of " +
                       base::grouped(weights->rowElements()) + " elements; what it reads has " +
                       base::grouped(cols) + ".");
    }
    Layer layer;
    layer.cols = static_cast<std::size_t>(cols);
    layer.rows = static_cast<std::size_t>(weights->rows());
    layer.hasTanh = name == "cls";
    QUERN_ASSIGN(layer.weights, floats(*weights));
    if (const gguf::Tensor* bias = file.tensor(name + ".bias"); bias != nullptr) {
      if (bias->elements() != weights->rows()) {
        return malformed("The model's tensor \"" + name + ".bias\" has " + base::grouped(bias->elements()) +
                         " elements; it must have " + base::grouped(weights->rows()) + ".");
      }
      QUERN_ASSIGN(layer.bias, floats(*bias));
    }
    cols = weights->rows();
    head.layers_.push_back(std::move(layer));
  }
  if (head.layers_.empty()) return std::optional<Classifier>();
  return std::optional<Classifier>(std::move(head));
}

std::vector<float> Classifier::scores(std::span<const float> hidden) const {
  std::vector<float> x(hidden.begin(), hidden.end());
  for (const Layer& layer : layers_) {
    std::vector<float> next;
    next.reserve(layer.rows);
    for (std::size_t row = 0; row < layer.rows; ++row) {
      double sum = layer.bias.empty() ? 0.0 : layer.bias[row];
      for (std::size_t col = 0; col < layer.cols; ++col) {
        sum += static_cast<double>(layer.weights[row * layer.cols + col]) * x[col];
      }
      next.push_back(static_cast<float>(layer.hasTanh ? std::tanh(sum) : sum));
    }
    x = std::move(next);
  }
  return x;
}

}  // namespace quern::engine::model
