#include "engine/sampling/sampler.h"

#include <algorithm>
#include <random>
#include <utility>

#include "engine/base/check.h"
#include "engine/sampling/candidates.h"
#include "engine/sampling/exact_math.h"
#include "engine/sampling/history.h"
#include "engine/sampling/random.h"

namespace quern::engine::sampling {
namespace {

/// Above one half, two tokens can never both reach the threshold.
constexpr float kXtcHighestThreshold = 0.5F;

/// Below this no token but the largest has a weight worth a draw, and dividing could overflow.
constexpr float kGreedyBelow = 1e-6F;

std::uint64_t chooseSeed(const Parameters& parameters) {
  if (!parameters.randomSeed) return parameters.seed;
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

}  // namespace

struct Sampler::State {
  State(const Parameters& wanted, std::int32_t vocabulary, std::vector<std::vector<std::int32_t>> breakers)
      : parameters(wanted),
        vocabularySize(vocabulary),
        seed(chooseSeed(wanted)),
        random(seed),
        history(wanted, vocabulary, std::move(breakers)),
        mu(2.0 * wanted.mirostatTau) {}

  /// Without the room for one call's work.
  State(const State& other)
      : parameters(other.parameters),
        vocabularySize(other.vocabularySize),
        seed(other.seed),
        random(other.random),
        history(other.history),
        mu(other.mu) {}
  State& operator=(const State&) = delete;

  void penalties();
  void dry();
  void truncate(Stage stage);
  bool isOn(Stage stage) const;
  /// The list of candidates, made of the logits when a stage first needs it.
  Candidates& list() {
    if (!listed) candidates.takeAll(logits);
    listed = true;
    return candidates;
  }
  std::int32_t draw();

  Parameters parameters;
  std::int32_t vocabularySize;
  std::uint64_t seed;
  Random random;
  History history;
  double mu;

  // One call's work.
  std::span<float> logits;
  Candidates candidates;
  bool listed = false;
};

bool Sampler::State::isOn(Stage stage) const {
  switch (stage) {
    case Stage::kPenalties:
      return history.hasPenalties();
    case Stage::kDry:
      return history.hasDry();
    case Stage::kTemperature:
      return parameters.temperature != 1.0F;
    case Stage::kTopK:
      return parameters.mirostat == 0 && parameters.topK > 0 && parameters.topK < vocabularySize;
    case Stage::kTypical:
      return parameters.mirostat == 0 && parameters.typicalP < 1.0F;
    case Stage::kTopP:
      return parameters.mirostat == 0 && parameters.topP < 1.0F;
    case Stage::kMinP:
      return parameters.mirostat == 0 && parameters.minP > 0.0F;
    case Stage::kXtc:
      return parameters.mirostat == 0 && parameters.xtcProbability > 0.0F &&
             parameters.xtcThreshold <= kXtcHighestThreshold;
  }
  return false;
}

void Sampler::State::penalties() {
  if (!listed) {
    for (const auto& [token, count] : history.seen()) {
      float& logit = logits[static_cast<std::size_t>(token)];
      logit = history.penalized(logit, count);
    }
    return;
  }
  for (Candidate& item : candidates.items()) {
    if (const std::int32_t count = history.countOf(item.id))
      item.logit = history.penalized(item.logit, count);
  }
  candidates.restoreOrder();
}

void Sampler::State::dry() {
  const auto& repeats = history.findRepeats();
  if (repeats.empty()) return;
  if (!listed) {
    for (const auto& [token, length] : repeats) {
      logits[static_cast<std::size_t>(token)] -= history.dryPenalty(length);
    }
    return;
  }
  for (Candidate& item : candidates.items()) {
    const auto at = std::find_if(repeats.begin(), repeats.end(),
                                 [&](const auto& repeat) { return repeat.token == item.id; });
    if (at != repeats.end()) item.logit -= history.dryPenalty(at->length);
  }
  candidates.restoreOrder();
}

void Sampler::State::truncate(Stage stage) {
  switch (stage) {
    case Stage::kTopK:
      if (listed) {
        candidates.topK(parameters.topK);
      } else {
        candidates.takeTop(logits, parameters.topK);
        listed = true;
      }
      break;
    case Stage::kTypical:
      list().typical(parameters.typicalP);
      break;
    case Stage::kTopP:
      list().topP(parameters.topP);
      break;
    case Stage::kMinP:
      list().minP(parameters.minP);
      break;
    case Stage::kXtc:
      // The coin is thrown for every token, so that what follows does not depend on the list.
      if (random.uniform() < parameters.xtcProbability) list().xtc(parameters.xtcThreshold);
      break;
    case Stage::kTemperature:
      list().temperature(parameters.temperature);
      break;
    case Stage::kPenalties:
    case Stage::kDry:
      break;
  }
}

std::int32_t Sampler::State::draw() {
  const double u = random.uniform();
  auto& items = list().items();
  if (items.empty()) return 0;
  const double sum = candidates.weigh();
  double rest = u * sum;
  // Rounding may leave a crumb of `rest` behind the last weight: the last token that has any weight gets it.
  const Candidate* chosen = nullptr;
  for (const Candidate& item : items) {
    if (item.weight <= 0) continue;
    chosen = &item;
    rest -= item.weight;
    if (rest < 0) break;
  }
  if (parameters.mirostat == 2) {
    const double surprise = -exactLog(std::max(chosen->weight / sum, 1e-300)) / kLn2;
    mu -= parameters.mirostatEta * (surprise - parameters.mirostatTau);
  }
  return chosen->id;
}

Sampler::Sampler(const Parameters& parameters, std::int32_t vocabularySize,
                 std::vector<std::vector<std::int32_t>> breakers)
    : state_(std::make_unique<State>(parameters, vocabularySize, std::move(breakers))) {}
Sampler::Sampler(std::unique_ptr<State> state) : state_(std::move(state)) {}
Sampler::~Sampler() = default;
Sampler::Sampler(Sampler&&) noexcept = default;
Sampler& Sampler::operator=(Sampler&&) noexcept = default;

Sampler Sampler::clone() const { return Sampler(std::make_unique<State>(*state_)); }

void Sampler::follow(const Sampler& original) {
  State& s = *state_;
  const State& o = *original.state_;
  QUERN_CHECK(s.seed == o.seed && s.vocabularySize == o.vocabularySize,
              "a sampler follows the one that it was cloned from");
  s.random = o.random;
  s.mu = o.mu;
  s.history.follow(o.history);
}

void Sampler::accept(std::int32_t token) { state_->history.accept(token); }

std::uint64_t Sampler::seed() const { return state_->seed; }

std::int32_t Sampler::sample(std::span<float> logits) {
  State& s = *state_;
  QUERN_CHECK(logits.size() == static_cast<std::size_t>(s.vocabularySize),
              "a row of logits is as long as the vocabulary");
  s.logits = logits;
  s.listed = false;
  for (const auto& [token, bias] : s.parameters.logitBias) logits[static_cast<std::size_t>(token)] += bias;

  const bool greedy = s.parameters.temperature < kGreedyBelow;
  if (!greedy) s.candidates.reserve(s.vocabularySize);
  for (const Stage stage : s.parameters.order) {
    if (!s.isOn(stage)) continue;
    if (stage == Stage::kPenalties) {
      s.penalties();
    } else if (stage == Stage::kDry) {
      s.dry();
    } else if (!greedy) {
      s.truncate(stage);
    }
  }
  if (greedy) return largestLogit(logits);
  if (s.parameters.mirostat == 2) s.list().mirostat(s.mu);
  return s.draw();
}

}  // namespace quern::engine::sampling
