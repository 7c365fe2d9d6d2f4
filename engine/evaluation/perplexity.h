// How surprised a model is by a text: llama-perplexity's method, so that numbers can be held side by side.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "engine/base/result.h"
#include "engine/evaluation/direct_model.h"

namespace quern::engine::evaluation {

struct Perplexity {
  double perplexity = 0;     ///< exp of the mean negative log-likelihood
  double standardError = 0;  ///< of the perplexity
  double nats = 0;           ///< mean negative log-likelihood
  std::int64_t scoredTokens = 0;
  std::int32_t windows = 0;
};

/// Told after every window; returning false cancels (kCancelled).
using PerplexityProgress = std::function<bool(const Perplexity& soFar, std::int32_t windowsInAll)>;

/// Sees every scored row: the logits behind a token and the token that follows it.
using RowVisitor = std::function<base::Result<void>(std::span<const float> logits, std::int32_t next)>;

/// Cuts `tokens` into windows of `context` tokens that do not overlap; each begins with an empty cache and,
/// where `bos` is given, with BOS in place of its first token; the tokens of its second half are scored. What
/// is left over at the end is not used. `model` has one sequence of at least `context` tokens. Errors:
/// kInvalidArgument for a text shorter than two windows.
base::Result<Perplexity> measurePerplexity(DirectModel& model, std::span<const std::int32_t> tokens,
                                           std::int32_t context, std::optional<std::int32_t> bos,
                                           const PerplexityProgress& progress = {},
                                           const RowVisitor& visit = {});

/// Rows of logits that are scored in a window: those behind its second half's tokens but the last.
inline std::int32_t scoredRows(std::int32_t context) { return context - 1 - context / 2; }

/// Negative natural log of softmax(logits)[token], in double precision.
double negativeLogLikelihood(std::span<const float> logits, std::int32_t token);

}  // namespace quern::engine::evaluation
