// Which parameters make sense, and the names of the stages.

#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>

#include "engine/base/text.h"
#include "engine/sampling/sampler.h"

namespace quern::engine::sampling {
namespace {

constexpr std::array<std::pair<Stage, std::string_view>, 8> kStages = {{
    {Stage::kPenalties, "penalties"},
    {Stage::kDry, "dry"},
    {Stage::kTopK, "top_k"},
    {Stage::kTypical, "typical"},
    {Stage::kTopP, "top_p"},
    {Stage::kMinP, "min_p"},
    {Stage::kXtc, "xtc"},
    {Stage::kTemperature, "temperature"},
}};

/// Limits on what a request may bring along, far above any use.
constexpr std::size_t kMostBreakers = 64;
constexpr std::size_t kLongestBreaker = 256;
constexpr std::size_t kMostBiases = 65536;

base::Error invalid(std::string sentence) { return {base::ErrorCode::kInvalidArgument, std::move(sentence)}; }

std::string plain(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

/// NaN lies in no range.
base::Result<void> inRange(std::string_view field, double value, double low, double high) {
  if (value >= low && value <= high) return base::ok();
  return invalid(std::string(field) + " must be between " + plain(low) + " and " + plain(high) + ", not " +
                 plain(value) + ".");
}

base::Result<void> atLeast(std::string_view field, std::int32_t value, std::int32_t low) {
  if (value >= low) return base::ok();
  return invalid(std::string(field) + " must be " + std::to_string(low) + " or more, not " +
                 std::to_string(value) + ".");
}

std::string_view nameOf(Stage stage) {
  for (const auto& [known, name] : kStages) {
    if (known == stage) return name;
  }
  return {};
}

base::Result<void> checkOrder(const std::vector<Stage>& order) {
  for (auto at = order.begin(); at != order.end(); ++at) {
    if (nameOf(*at).empty()) return invalid("order holds a stage that does not exist.");
    if (std::find(order.begin(), at, *at) != at) {
      return invalid("order names the stage \"" + std::string(nameOf(*at)) + "\" twice.");
    }
  }
  return base::ok();
}

base::Result<void> checkLists(const Parameters& p, std::int32_t vocabularySize) {
  if (p.dryBreakers.size() > kMostBreakers) {
    return invalid("dry_breakers holds " + std::to_string(p.dryBreakers.size()) + " texts; at most " +
                   std::to_string(kMostBreakers) + " are possible.");
  }
  for (const std::string& breaker : p.dryBreakers) {
    if (breaker.empty() || breaker.size() > kLongestBreaker) {
      return invalid("dry_breakers must be texts of 1 to " + std::to_string(kLongestBreaker) + " bytes.");
    }
  }
  if (p.logitBias.size() > kMostBiases) {
    return invalid("logit_bias holds " + std::to_string(p.logitBias.size()) + " tokens; at most " +
                   std::to_string(kMostBiases) + " are possible.");
  }
  for (const auto& [token, bias] : p.logitBias) {
    if (token < 0 || token >= vocabularySize) {
      return invalid("logit_bias names token " + std::to_string(token) + "; the vocabulary has " +
                     std::to_string(vocabularySize) + " tokens.");
    }
    if (!(bias < HUGE_VALF)) {
      return invalid("logit_bias of token " + std::to_string(token) +
                     " must be a number or -inf (never this token), not " + plain(bias) + ".");
    }
  }
  return checkOrder(p.order);
}

}  // namespace

std::vector<Stage> defaultOrder() {
  std::vector<Stage> order;
  for (const auto& stage : kStages) order.push_back(stage.first);
  return order;
}

base::Result<std::vector<Stage>> parseOrder(std::string_view text) {
  std::vector<Stage> order;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(';'), text.size());
    const std::string_view name = text.substr(0, end);
    const auto* const at =
        std::find_if(kStages.begin(), kStages.end(), [&](const auto& stage) { return stage.second == name; });
    if (at == kStages.end()) {
      std::string known;
      for (const auto& stage : kStages) known += (known.empty() ? "" : ", ") + std::string(stage.second);
      return invalid("\"" + base::printable(name) + "\" is no sampling stage. The stages are " + known +
                     ", separated by semicolons.");
    }
    order.push_back(at->first);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  QUERN_TRY(checkOrder(order));
  return order;
}

base::Result<void> validate(const Parameters& p, std::int32_t vocabularySize) {
  QUERN_TRY(inRange("temperature", p.temperature, 0, 100));
  QUERN_TRY(atLeast("top_k", p.topK, 0));
  QUERN_TRY(inRange("top_p", p.topP, 0, 1));
  QUERN_TRY(inRange("min_p", p.minP, 0, 1));
  QUERN_TRY(inRange("typical_p", p.typicalP, 0, 1));
  QUERN_TRY(inRange("xtc_probability", p.xtcProbability, 0, 1));
  QUERN_TRY(inRange("xtc_threshold", p.xtcThreshold, 0, 1));
  QUERN_TRY(inRange("repeat_penalty", p.repeatPenalty, 0.01, 100));
  QUERN_TRY(inRange("frequency_penalty", p.frequencyPenalty, -100, 100));
  QUERN_TRY(inRange("presence_penalty", p.presencePenalty, -100, 100));
  QUERN_TRY(atLeast("penalty_window", p.penaltyWindow, -1));
  QUERN_TRY(inRange("dry_multiplier", p.dryMultiplier, 0, 100));
  QUERN_TRY(inRange("dry_base", p.dryBase, 1, 100));
  QUERN_TRY(atLeast("dry_allowed_length", p.dryAllowedLength, 1));
  QUERN_TRY(atLeast("dry_window", p.dryWindow, -1));
  if (p.mirostat != 0 && p.mirostat != 2) {
    return invalid("mirostat must be 0 (off) or 2, not " + std::to_string(p.mirostat) + ".");
  }
  QUERN_TRY(inRange("mirostat_tau", p.mirostatTau, 0, 100));
  QUERN_TRY(inRange("mirostat_eta", p.mirostatEta, 0, 1));
  return checkLists(p, vocabularySize);
}

}  // namespace quern::engine::sampling
