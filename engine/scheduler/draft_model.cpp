#include "engine/scheduler/draft_model.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <string>
#include <utility>

#include "engine/base/text.h"

namespace quern::engine::scheduler {
namespace {

using runtime::kKvBlockTokens;

constexpr std::size_t kMostPadding = 512;
/// Behind by more than this, tokens are computed as a prompt's.
constexpr std::size_t kFewTokens = 16;
/// A draft that is reached less often than this is not worth a step of the draft model.
constexpr double kLeastReached = 0.25;
/// The weight of a new measurement of time.
constexpr double kNews = 0.1;

/// By how much the picked token's logit is above the next best one's: not the largest at all, then up to 0.5,
/// 1, 2, 3, 5, and more.
constexpr std::array<float, 5> kLeads = {0.5F, 1, 2, 3, 5};
constexpr std::array<double, kLeads.size() + 2> kPriors = {0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 0.95};
constexpr std::array<double, 1> kOverallPrior = {0.6};

struct Leader {
  std::int32_t token = 0;
  float lead = 0;
};

Leader leaderOf(std::span<const float> logits) {
  const auto best = std::max_element(logits.begin(), logits.end());
  float second = -std::numeric_limits<float>::infinity();
  for (auto at = logits.begin(); at != best; ++at) second = std::max(second, *at);
  for (auto at = best + 1; at < logits.end(); ++at) second = std::max(second, *at);
  return {static_cast<std::int32_t>(best - logits.begin()), *best - second};
}

std::size_t kindOf(const Leader& leader, std::int32_t picked) {
  if (picked != leader.token) return 0;
  const auto bound = std::find_if(kLeads.begin(), kLeads.end(), [&](float x) { return leader.lead <= x; });
  return 1 + static_cast<std::size_t>(bound - kLeads.begin());
}

}  // namespace

base::Result<void> checkSameVocabulary(const tokenizer::Tokenizer& model, const tokenizer::Tokenizer& draft) {
  const std::size_t sizes[] = {model.vocabularySize(), draft.vocabularySize()};
  const std::size_t common = std::min(sizes[0], sizes[1]);
  const std::string advice =
      " A draft model must come from the same family as the model: choose another one.";
  if (std::max(sizes[0], sizes[1]) - common > kMostPadding) {
    return base::Error(base::ErrorCode::kUnsupported, "The draft model's vocabulary has " +
                                                          base::grouped(sizes[1]) + " tokens, the model's " +
                                                          base::grouped(sizes[0]) + "." + advice);
  }
  for (std::size_t i = 0; i < common; ++i) {
    const auto token = static_cast<tokenizer::TokenId>(i);
    if (model.tokenText(token) == draft.tokenText(token) &&
        model.tokenBytes(token, true) == draft.tokenBytes(token, true)) {
      continue;
    }
    const auto written = [&](const tokenizer::Tokenizer& whose) {
      const std::string text(whose.tokenText(token));
      return "\"" + base::printable(text.empty() ? whose.tokenBytes(token, true) : text, 40) + "\"";
    };
    return base::Error(base::ErrorCode::kUnsupported,
                       "Token " + base::grouped(i) + " of the draft model's vocabulary is " + written(draft) +
                           ", of the model's " + written(model) + "." + advice);
  }
  return base::ok();
}

/// One follower's share of a call.
struct DraftModel::Turn {
  Ask ask;
  std::size_t most;
  double reached = 1;

  Follower& follower() const { return *ask.follower; }
  /// Tokens up to the last draft.
  std::size_t size() const { return ask.tokens.size() + ask.proposal->tokens.size(); }
  /// How many of the sequence's tokens stand between the cache and its last one.
  std::size_t behind() const { return ask.tokens.size() - 1 - follower().cached_.size(); }
};

DraftModel::DraftModel(std::unique_ptr<runtime::Executable> executable, const Limits& limits,
                       std::function<bool(std::int32_t)> endsAnswer)
    : executable_(std::move(executable)),
      limits_(limits),
      endsAnswer_(std::move(endsAnswer)),
      pool_(executable_->kvBlocks(), kKvBlockTokens),
      rates_(kPriors),
      overall_(kOverallPrior) {
  QUERN_CHECK(limits.vocabulary > 0 && limits.batchTokens > 0 && limits.logitRows > 0,
              "a draft model has room for a token");
}

DraftModel::~DraftModel() = default;

std::unique_ptr<DraftModel::Follower> DraftModel::follow() { return std::make_unique<Follower>(*this); }

void DraftModel::Follower::propose(std::span<const std::int32_t> tokens, std::int32_t most,
                                   const sampling::Sampler& sampler, Proposal& proposal) {
  const Ask ask{this, tokens, most, &sampler, &proposal};
  model_.proposeAll({&ask, 1});
}

void DraftModel::Follower::restart() {
  for (auto block = blocks_.rbegin(); block != blocks_.rend(); ++block) model_.pool_.release(*block);
  blocks_.clear();
  cached_.clear();
  agreed_ = 0;
  sampler_.reset();
  guesses_.clear();
}

/// What came where the last drafts were?
void DraftModel::Follower::learn(std::span<const std::int32_t> tokens) {
  for (std::size_t i = 0; i < guesses_.size() && guessedAt_ + i < tokens.size(); ++i) {
    const bool isHit = tokens[guessedAt_ + i] == guesses_[i].token;
    model_.rates_.count(guesses_[i].kind, isHit);
    model_.overall_.count(0, isHit);
    if (!isHit) break;
  }
  guesses_.clear();
}

/// Forgets what is in the cache and not in the sequence: wrong drafts.
void DraftModel::Follower::align(std::span<const std::int32_t> tokens) {
  // The last token is always computed: its logits are wanted.
  const std::size_t most = std::min(cached_.size(), tokens.size() - 1);
  agreed_ = std::min(agreed_, most);
  while (agreed_ < most && cached_[agreed_] == tokens[agreed_]) ++agreed_;
  cached_.resize(agreed_);
}

bool DraftModel::grow(Follower& follower, std::size_t tokens) {
  const std::size_t needed = (tokens + kKvBlockTokens - 1) / kKvBlockTokens;
  const auto idle = static_cast<std::size_t>(pool_.size() - pool_.used());
  // All or none: half of what it needs would only keep it from others.
  if (needed > follower.blocks_.size() + idle) return false;
  while (follower.blocks_.size() < needed) follower.blocks_.push_back(*pool_.take());
  return true;
}

/// Makes a turn of it, if there can be drafts.
bool DraftModel::prepare(const Ask& ask) {
  Follower& follower = *ask.follower;
  const auto context = static_cast<std::size_t>(std::max(0, limits_.contextTokens));
  const std::size_t size = ask.tokens.size();
  if (size == 0 || size >= context || ask.most <= 0 || hasFailed_) return false;
  const std::size_t most = std::min(static_cast<std::size_t>(ask.most), context - size);
  follower.align(ask.tokens);
  const auto isUnknown = [&](std::int32_t token) {
    return token < 0 || token >= executable_->vocabularySize();
  };
  if (std::any_of(ask.tokens.begin() + static_cast<std::ptrdiff_t>(follower.cached_.size()), ask.tokens.end(),
                  isUnknown)) {
    return false;
  }
  // The last draft is not computed.
  if (!grow(follower, size + most - 1)) return false;
  turns_.push_back({ask, most});
  return true;
}

void DraftModel::addSlice(Turn& turn, std::size_t tokens, bool isPrompt) {
  Follower& follower = turn.follower();
  runtime::Slice slice;
  const std::size_t first = follower.cached_.size();
  const auto& drafts = turn.ask.proposal->tokens;
  const std::size_t size = turn.ask.tokens.size();
  // Either of the sequence, or the newest draft alone.
  slice.tokens = first < size ? turn.ask.tokens.subspan(first, tokens)
                              : std::span<const std::int32_t>(drafts).subspan(first - size, tokens);
  slice.firstPosition = static_cast<std::int32_t>(first);
  slice.blockTable = follower.blocks_;
  slice.isPrompt = isPrompt;
  slice.logitRows = isPrompt ? 0 : 1;
  slices_.push_back(slice);
}

bool DraftModel::run() {
  const auto ran = executable_->run({slices_});
  if (ran) return true;
  spdlog::error("The draft model failed and is not asked again: {}", ran.error().describe());
  hasFailed_ = true;
  return false;
}

/// One batch of prompts that are not computed yet, oldest asks first.
void DraftModel::catchUp() {
  slices_.clear();
  active_.clear();
  auto budget = static_cast<std::size_t>(limits_.batchTokens);
  for (Turn& turn : turns_) {
    if (turn.behind() < kFewTokens || budget == 0) continue;
    const std::size_t tokens = std::min(turn.behind(), budget);
    addSlice(turn, tokens, true);
    active_.push_back(&turn);
    budget -= tokens;
  }
  if (slices_.empty() || !run()) return;
  for (std::size_t i = 0; i < active_.size(); ++i) {
    auto& cached = active_[i]->follower().cached_;
    cached.insert(cached.end(), slices_[i].tokens.begin(), slices_[i].tokens.end());
  }
}

/// The next draft from a row of logits. False: that was the last one.
bool DraftModel::guess(Turn& turn, std::span<float> logits) {
  Follower& follower = turn.follower();
  const auto vocabulary = static_cast<std::size_t>(limits_.vocabulary);
  const Leader leader = leaderOf(logits.first(std::min(vocabulary, logits.size())));
  if (logits.size() < vocabulary) {
    row_.assign(vocabulary, -std::numeric_limits<float>::infinity());
    std::copy(logits.begin(), logits.end(), row_.begin());
    logits = row_;
  }
  const std::int32_t token = follower.sampler_->sample(logits.first(vocabulary));
  follower.sampler_->accept(token);
  const std::size_t kind = kindOf(leader, token);
  const double probability = rates_.rate(kind);
  turn.ask.proposal->add(token, probability);
  follower.guesses_.push_back({token, kind});
  turn.reached *= probability;
  return turn.ask.proposal->tokens.size() < turn.most && turn.reached >= kLeastReached &&
         token < executable_->vocabularySize() && !(endsAnswer_ && endsAnswer_(token));
}

/// All turns a draft further, until none goes on.
void DraftModel::draft(std::span<Turn*> turns) {
  active_.assign(turns.begin(), turns.end());
  while (!active_.empty()) {
    slices_.clear();
    bool isSingle = true;
    for (Turn* turn : active_) {
      const std::size_t tokens = turn->size() - turn->follower().cached_.size();
      isSingle = isSingle && tokens == 1;
      addSlice(*turn, tokens, false);
    }
    const auto before = std::chrono::steady_clock::now();
    if (!run()) return;
    std::size_t row = 0;
    std::size_t kept = 0;
    const auto count = static_cast<double>(active_.size());
    for (Turn* turn : active_) {
      auto& cached = turn->follower().cached_;
      const auto computed = slices_[row].tokens;
      cached.insert(cached.end(), computed.begin(), computed.end());
      if (guess(*turn, executable_->logits(static_cast<std::int32_t>(row++)))) active_[kept++] = turn;
    }
    active_.resize(kept);
    if (!isSingle && secondsPerDraft_ > 0) continue;
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count() / count;
    secondsPerDraft_ =
        secondsPerDraft_ == 0 ? seconds : secondsPerDraft_ + kNews * (seconds - secondsPerDraft_);
  }
}

void DraftModel::proposeAll(std::span<const Ask> asks) {
  turns_.clear();
  for (const Ask& ask : asks) {
    ask.proposal->clear();
    ask.follower->learn(ask.tokens);
    prepare(ask);
  }
  if (turns_.empty()) return;
  // The two models' workers share the cores: these must not spin while the large model computes.
  struct Awake {
    runtime::Executable& executable;
    explicit Awake(runtime::Executable& whose) : executable(whose) { executable.setActive(true); }
    ~Awake() { executable.setActive(false); }
  } awake(*executable_);
  catchUp();
  if (hasFailed_) return;
  std::vector<Turn*> group;
  std::size_t tokens = 0;
  const auto flush = [&] {
    if (!group.empty()) draft(group);
    group.clear();
    tokens = 0;
  };
  for (Turn& turn : turns_) {
    const std::size_t own = turn.behind() + 1;
    if (own > kFewTokens || own > static_cast<std::size_t>(limits_.batchTokens)) continue;  // the next time
    if (group.size() == static_cast<std::size_t>(limits_.logitRows) ||
        tokens + own > static_cast<std::size_t>(limits_.batchTokens)) {
      flush();
      if (hasFailed_) return;
    }
    Follower& follower = turn.follower();
    if (follower.sampler_) {
      follower.sampler_->follow(*turn.ask.sampler);
    } else {
      follower.sampler_.emplace(turn.ask.sampler->clone());
    }
    follower.guessedAt_ = turn.ask.tokens.size();
    group.push_back(&turn);
    tokens += own;
  }
  flush();
}

}  // namespace quern::engine::scheduler
