#include "engine/evaluation/perplexity.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/base/text.h"

namespace quern::engine::evaluation {

double negativeLogLikelihood(std::span<const float> logits, std::int32_t token) {
  const float largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit - largest));
  return std::log(sum) - static_cast<double>(logits[static_cast<std::size_t>(token)] - largest);
}

base::Result<Perplexity> measurePerplexity(DirectModel& model, std::span<const std::int32_t> tokens,
                                           std::int32_t context, std::optional<std::int32_t> bos,
                                           const PerplexityProgress& progress, const RowVisitor& visit) {
  const auto window = static_cast<std::size_t>(context);
  if (context < 4 || tokens.size() < 2 * window) {
    return base::Error(base::ErrorCode::kInvalidArgument,
                       "The text has " + base::grouped(tokens.size()) + " tokens; at least two windows of " +
                           base::grouped(window) + " are needed. Give a longer text or a smaller --ctx.");
  }
  const auto vocabulary = model.executable().vocabularySize();
  for (const std::int32_t token : tokens) {
    QUERN_CHECK(token >= 0 && token < vocabulary, "a token outside of the vocabulary");
  }
  const auto windows = static_cast<std::int32_t>(tokens.size() / window);
  const std::int32_t first = context / 2;
  const std::int32_t rows = model.options().logitRows;
  double sum = 0;
  double squares = 0;
  Perplexity result;
  std::vector<std::int32_t> text(window);
  for (std::int32_t w = 0; w < windows; ++w) {
    std::copy_n(tokens.begin() + static_cast<std::ptrdiff_t>(w) * context, context, text.begin());
    if (bos) text[0] = *bos;
    const std::span<const std::int32_t> all(text);
    QUERN_TRY(model.advance(0, all.first(static_cast<std::size_t>(first)), 0, 0));
    // The last token of a window has nothing behind it to be held against.
    for (std::int32_t at = first; at < context - 1;) {
      const std::int32_t step = std::min({rows, context - 1 - at, model.options().batchTokens});
      QUERN_TRY(model.advance(0, all.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(step)),
                              at, step));
      for (std::int32_t i = 0; i < step; ++i) {
        const std::span<const float> logits = model.executable().logits(i);
        const std::int32_t next = text[static_cast<std::size_t>(at + i + 1)];
        const double nats = negativeLogLikelihood(logits, next);
        if (visit) QUERN_TRY(visit(logits, next));
        sum += nats;
        squares += nats * nats;
        ++result.scoredTokens;
      }
      at += step;
    }
    const auto count = static_cast<double>(result.scoredTokens);
    result.windows = w + 1;
    result.nats = sum / count;
    result.perplexity = std::exp(result.nats);
    const double variance = squares / count - result.nats * result.nats;
    result.standardError =
        count > 1 && variance > 0 ? std::sqrt(variance / (count - 1)) * result.perplexity : 0;
    if (progress && !progress(result, windows)) {
      return base::Error(base::ErrorCode::kCancelled, "The measurement was cancelled.");
    }
  }
  return result;
}

}  // namespace quern::engine::evaluation
