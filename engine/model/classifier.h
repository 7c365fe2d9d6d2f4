// The head that makes a reranker, or another classifier, of an encoder.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/result.h"

namespace quern::engine::gguf {
class File;
}

namespace quern::engine::model {

/// scores = output · tanh(dense · x + its bias) + its bias, x the first token's hidden state. In GGUF files
/// the tensors "cls.weight", "cls.bias", "cls.output.weight" and "cls.output.bias"; of the two matrices one
/// may be missing, as llama.cpp has it. Small beside the encoder, so it is computed in plain float32 on the
/// caller's thread.
class Classifier {
 public:
  /// None where the file has neither matrix. Errors: kMalformed, with the tensor's name.
  static base::Result<std::optional<Classifier>> read(const gguf::File& file, std::int32_t width);

  std::int32_t labels() const { return static_cast<std::int32_t>(layers_.back().rows); }
  /// `hidden`: [width] → [labels]
  std::vector<float> scores(std::span<const float> hidden) const;

 private:
  struct Layer {
    std::size_t rows = 0, cols = 0;
    std::vector<float> weights;  ///< [rows, cols]
    std::vector<float> bias;     ///< [rows], or empty
    bool hasTanh = false;
  };
  std::vector<Layer> layers_;
};

}  // namespace quern::engine::model
