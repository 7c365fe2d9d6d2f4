// Picking a token from logits: the stages users of local models know, in an order they may choose.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"

namespace quern::engine::sampling {

/// A stage of the chain. Names on the command line: penalties, dry, top_k, typical, top_p, min_p, xtc,
/// temperature.
enum class Stage : std::uint8_t { kPenalties, kDry, kTopK, kTypical, kTopP, kMinP, kXtc, kTemperature };

/// Penalties, then truncation, then temperature: the order of llama.cpp's default chain.
std::vector<Stage> defaultOrder();
/// "penalties;dry;top_k;…" Error kInvalidArgument names the unknown or repeated stage.
base::Result<std::vector<Stage>> parseOrder(std::string_view text);

/// One request's parameters. Neutral values switch a stage off.
struct Parameters {
  float temperature = 0.8F;  ///< 0: greedy, whatever else is set
  std::int32_t topK = 40;    ///< 0: off
  float topP = 0.95F;        ///< 1: off
  float minP = 0.05F;        ///< 0: off
  float typicalP = 1.0F;     ///< 1: off
  float xtcProbability = 0.0F;
  float xtcThreshold = 0.1F;

  float repeatPenalty = 1.0F;  ///< 1: off
  float frequencyPenalty = 0.0F;
  float presencePenalty = 0.0F;
  std::int32_t penaltyWindow = 64;  ///< tokens looked back at; -1: all

  float dryMultiplier = 0.0F;  ///< 0: off
  float dryBase = 1.75F;
  std::int32_t dryAllowedLength = 2;
  std::int32_t dryWindow = -1;                                    ///< -1: all
  std::vector<std::string> dryBreakers = {"\n", ":", "\"", "*"};  ///< sequences that end a repeat

  std::int32_t mirostat = 0;  ///< 0 or 2; 2 replaces the truncating stages
  float mirostatTau = 5.0F;
  float mirostatEta = 0.1F;

  std::vector<std::pair<std::int32_t, float>> logitBias;  ///< added first; -inf bans a token
  std::uint64_t seed = 0;
  bool randomSeed = true;  ///< draw a seed instead of using `seed`
  std::vector<Stage> order = defaultOrder();
};

/// Every number in range and not NaN? Error kInvalidArgument names the field and its range.
base::Result<void> validate(const Parameters& parameters, std::int32_t vocabularySize);

/// One request's sampler: parameters, random state and the tokens seen. Not shared by threads. Nothing is
/// allocated per token after the first.
class Sampler {
 public:
  /// `breakers`: the token sequences of Parameters::dryBreakers, already tokenized.
  Sampler(const Parameters& parameters, std::int32_t vocabularySize,
          std::vector<std::vector<std::int32_t>> breakers = {});
  ~Sampler();
  Sampler(Sampler&&) noexcept;
  Sampler& operator=(Sampler&&) noexcept;

  /// One that will pick from now on what this one will pick, if it is shown the same logits and tokens: same
  /// random numbers, same tokens seen. The two know nothing of each other afterwards.
  Sampler clone() const;
  /// For a clone that has gone its own way: stands again where `original`, whose clone it is, stands now.
  /// Copies much less than clone() does.
  void follow(const Sampler& original);

  /// Tells the penalties about a token of the prompt or the answer.
  void accept(std::int32_t token);
  /// Picks from `logits` [vocabularySize], which is overwritten.
  std::int32_t sample(std::span<float> logits);
  /// The seed in use (drawn when randomSeed was set).
  std::uint64_t seed() const;

 private:
  struct State;
  explicit Sampler(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace quern::engine::sampling
