// Texts through a model that makes vectors or scores of them.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "app/serve/api/generation.h"

namespace quern::app::serve {

struct EmbeddingResult {
  std::vector<std::vector<float>> values;  ///< per text: an embedding, or scores
  std::int32_t promptTokens = 0;
};

struct EmbeddingPlan {
  std::string model;
  std::vector<Prompt> texts;
  std::string field = "input";  ///< what errors of the texts name
  bool truncates = false;       ///< texts that are too long lose their end
  /// Not empty: scores of each text as an answer to this question, by a reranker.
  std::string question;
};

/// Errors are answered; `done` is called once on a worker otherwise.
void embed(const std::shared_ptr<Call>& call, EmbeddingPlan plan,
           std::function<void(Call& call, EmbeddingResult result)> done);

/// The first `dimensions` numbers, of length 1 again (Matryoshka embeddings).
void shorten(std::vector<float>& values, std::size_t dimensions);

}  // namespace quern::app::serve
