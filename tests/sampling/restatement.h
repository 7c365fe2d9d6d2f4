// The chain said once more, in plain double arithmetic and without any speed: what the sampler is held
// against.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "engine/sampling/sampler.h"

namespace quern::engine::sampling::restated {

struct Token {
  int id;
  double logit;
  double p = 0;
};
using Tokens = std::vector<Token>;

inline void softmax(Tokens& tokens) {
  double most = -INFINITY;
  for (const Token& t : tokens) most = std::max(most, t.logit);
  double sum = 0;
  for (Token& t : tokens) sum += t.p = std::exp(t.logit - most);
  for (Token& t : tokens) t.p /= sum;
}

inline void sortByLogit(Tokens& tokens) {
  std::stable_sort(tokens.begin(), tokens.end(), [](const Token& a, const Token& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  });
}

inline Tokens topK(Tokens tokens, int k) {
  sortByLogit(tokens);
  if (static_cast<std::size_t>(k) < tokens.size()) tokens.resize(static_cast<std::size_t>(k));
  return tokens;
}

inline Tokens untilSum(const Tokens& ordered, double p) {
  Tokens kept;
  double sum = 0;
  for (const Token& t : ordered) {
    kept.push_back(t);
    sum += t.p;
    if (sum >= p) break;
  }
  return kept;
}

inline Tokens topP(Tokens tokens, double p) {
  sortByLogit(tokens);
  softmax(tokens);
  return untilSum(tokens, p);
}

inline Tokens minP(Tokens tokens, double p) {
  softmax(tokens);
  double most = 0;
  for (const Token& t : tokens) most = std::max(most, t.p);
  std::erase_if(tokens, [&](const Token& t) { return t.p < p * most; });
  return tokens;
}

inline Tokens typical(Tokens tokens, double p) {
  sortByLogit(tokens);
  softmax(tokens);
  double entropy = 0;
  for (const Token& t : tokens) {
    if (t.p > 0) entropy -= t.p * std::log(t.p);
  }
  std::stable_sort(tokens.begin(), tokens.end(), [&](const Token& a, const Token& b) {
    return std::abs(-std::log(a.p) - entropy) < std::abs(-std::log(b.p) - entropy);
  });
  return untilSum(tokens, p);
}

/// As it is when the coin says yes.
inline Tokens xtc(Tokens tokens, double threshold) {
  sortByLogit(tokens);
  softmax(tokens);
  std::size_t above = 0;
  while (above < tokens.size() && tokens[above].p >= threshold) ++above;
  if (above >= 2) tokens.erase(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(above - 1));
  return tokens;
}

inline Tokens temperature(Tokens tokens, double t) {
  for (Token& token : tokens) token.logit /= t;
  return tokens;
}

inline Tokens penalties(Tokens tokens, const std::vector<int>& history, const Parameters& p) {
  std::map<int, int> counts;
  const std::size_t window = p.penaltyWindow < 0
                                 ? history.size()
                                 : std::min(history.size(), static_cast<std::size_t>(p.penaltyWindow));
  for (std::size_t i = history.size() - window; i < history.size(); ++i) ++counts[history[i]];
  for (Token& t : tokens) {
    const auto at = counts.find(t.id);
    if (at == counts.end()) continue;
    t.logit = t.logit > 0 ? t.logit / p.repeatPenalty : t.logit * p.repeatPenalty;
    t.logit -= at->second * static_cast<double>(p.frequencyPenalty) + p.presencePenalty;
  }
  return tokens;
}

/// DRY by its definition: every earlier place is compared with the end, token by token.
inline std::map<int, int> repeats(std::vector<int> history, const Parameters& p,
                                  const std::vector<std::vector<int>>& breakers) {
  if (p.dryWindow >= 0 && history.size() > static_cast<std::size_t>(p.dryWindow)) {
    history.erase(history.begin(), history.end() - p.dryWindow);
  }
  const int size = static_cast<int>(history.size());
  // A breaker that ends right before place i: matches may not reach past i.
  int begin = 0;
  for (int i = 1; i <= size; ++i) {
    for (const auto& breaker : breakers) {
      const int length = static_cast<int>(breaker.size());
      if (length <= i && std::equal(breaker.begin(), breaker.end(), history.begin() + i - length)) begin = i;
    }
  }
  std::map<int, int> longest;
  for (int next = 1; next < size; ++next) {
    int n = 0;
    while (next - 1 - n >= 0 && size - 1 - n >= begin &&
           history[static_cast<std::size_t>(next - 1 - n)] ==
               history[static_cast<std::size_t>(size - 1 - n)]) {
      ++n;
    }
    const int token = history[static_cast<std::size_t>(next)];
    const bool isBreaker =
        std::find(breakers.begin(), breakers.end(), std::vector<int>{token}) != breakers.end();
    if (n >= p.dryAllowedLength && !isBreaker) longest[token] = std::max(longest[token], n);
  }
  return longest;
}

inline Tokens dry(Tokens tokens, const std::vector<int>& history, const Parameters& p,
                  const std::vector<std::vector<int>>& breakers) {
  const auto found = repeats(history, p, breakers);
  for (Token& t : tokens) {
    const auto at = found.find(t.id);
    if (at != found.end()) {
      t.logit -= p.dryMultiplier * std::pow(static_cast<double>(p.dryBase), at->second - p.dryAllowedLength);
    }
  }
  return tokens;
}

/// The probability of every token under the whole chain (mirostat off, temperature not 0).
inline std::map<int, double> chain(const std::vector<float>& logits, const std::vector<int>& history,
                                   const Parameters& p, const std::vector<std::vector<int>>& breakers = {}) {
  const auto walk = [&](bool coin) {
    Tokens tokens;
    for (std::size_t i = 0; i < logits.size(); ++i) tokens.push_back({static_cast<int>(i), logits[i]});
    for (const auto& [id, bias] : p.logitBias) tokens[static_cast<std::size_t>(id)].logit += bias;
    std::erase_if(tokens, [](const Token& t) { return t.logit == -INFINITY; });
    for (const Stage stage : p.order) {
      if (stage == Stage::kPenalties) tokens = penalties(tokens, history, p);
      if (stage == Stage::kDry && p.dryMultiplier > 0) tokens = dry(tokens, history, p, breakers);
      if (stage == Stage::kTopK && p.topK > 0) tokens = topK(tokens, p.topK);
      if (stage == Stage::kTypical && p.typicalP < 1) tokens = typical(tokens, p.typicalP);
      if (stage == Stage::kTopP && p.topP < 1) tokens = topP(tokens, p.topP);
      if (stage == Stage::kMinP && p.minP > 0) tokens = minP(tokens, p.minP);
      if (stage == Stage::kXtc && coin) tokens = xtc(tokens, p.xtcThreshold);
      if (stage == Stage::kTemperature) tokens = temperature(tokens, p.temperature);
    }
    softmax(tokens);
    std::map<int, double> result;
    for (const Token& t : tokens) result[t.id] = t.p;
    return result;
  };
  auto result = walk(false);
  if (p.xtcProbability == 0) return result;
  for (auto& [id, share] : result) share *= 1.0 - p.xtcProbability;
  for (const auto& [id, share] : walk(true)) result[id] += share * p.xtcProbability;
  return result;
}

}  // namespace quern::engine::sampling::restated
