#include "engine/scheduler/sequence.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <exception>
#include <limits>

#include "engine/scheduler/adapter_cache.h"
#include "engine/scheduler/logprobs.h"

namespace quern::engine::scheduler {
namespace {

std::vector<std::vector<std::int32_t>> dryBreakers(const Request& request,
                                                   const tokenizer::Tokenizer& tokenizer) {
  std::vector<std::vector<std::int32_t>> breakers;
  if (request.sampling.dryMultiplier == 0.0F) return breakers;
  for (const std::string& text : request.sampling.dryBreakers) {
    breakers.push_back(tokenizer.encode(text, {.addSpecial = false, .parseSpecial = false}));
  }
  return breakers;
}

sampling::Parameters seeded(sampling::Parameters parameters, std::int32_t answer) {
  parameters.seed += static_cast<std::uint64_t>(answer);
  return parameters;
}

base::Error tooAmbiguous() {
  return {base::ErrorCode::kLimit,
          "The grammar can be read in too many ways at once here. Write its options so that the next few "
          "characters tell them apart."};
}

}  // namespace

Job::Job(RequestId number, Request what, std::shared_ptr<EventSink> to, Clock::time_point at)
    : id(number), request(std::move(what)), submitted(at), sink(std::move(to)) {
  for (const AdapterChoice& choice : request.adapters) {
    if (choice.scale == 0.0F) continue;
    QUERN_CHECK(choice.adapter != nullptr, "a request's adapters are loaded before it comes in");
    adapters.push_back({choice.adapter->compiled.get(), choice.scale});
    const ModelHash& hash = choice.adapter->hash;
    root = root.dependingOn(hash.high, hash.low, std::bit_cast<std::uint32_t>(choice.scale));
  }
}

void Job::emit(const Event& event) {
  if (!sink || sinkFailed) return;
  try {
    sink->onEvent(event);
  } catch (const std::exception& error) {
    spdlog::error("A request's event sink threw ({}); the request is cancelled.", error.what());
    sinkFailed = true;
  } catch (...) {
    spdlog::error("A request's event sink threw; the request is cancelled.");
    sinkFailed = true;
  }
}

Cut cutToFit(std::int32_t promptTokens, std::int32_t room, std::int32_t keep) {
  if (promptTokens <= room) return {};
  // Whatever is kept of the beginning, the end has the question: at least half of the room is its.
  const std::int32_t first = std::min(keep < 0 ? room / 4 : keep, room / 2);
  return {first, promptTokens - room};
}

Sequence::Sequence(std::shared_ptr<Job> job, std::int32_t answer,
                   std::shared_ptr<const tokenizer::Tokenizer> tokenizer)
    : tokens(job->request.prompt),
      promptEnd(static_cast<std::int32_t>(tokens.size())),
      job_(std::move(job)),
      answer_(answer),
      tokenizer_(tokenizer),
      detokenizer_(std::move(tokenizer), job_->request.emitSpecial),
      stops_(job_->request.stop),
      reasoning_(job_->request.reasoning) {
  usage_.promptTokens = promptEnd;
  place = BlockPool::Place::at(job_->root);
  if (answer == 0) reserved = request().answers;
  if (!job_->wantsAnswer()) return;
  sampler_ = std::make_unique<sampling::Sampler>(seeded(request().sampling, answer),
                                                 static_cast<std::int32_t>(tokenizer_->vocabularySize()),
                                                 dryBreakers(request(), *tokenizer_));
  for (const std::int32_t token : tokens) sampler_->accept(token);
  if (!request().constraint) return;
  matcher_.emplace(request().constraint);
  mask_.resize(grammar::maskWords(tokenizer_->vocabularySize()));
}

std::span<const std::int32_t> Sequence::tokensOf(std::int32_t index, std::int32_t blockTokens) const {
  const auto length = static_cast<std::size_t>(blockTokens);
  const std::size_t begin = static_cast<std::size_t>(index) * length;
  return std::span(tokens).subspan(begin, std::min(length, tokens.size() - begin));
}

std::int32_t Sequence::promptTokensOf(std::int32_t index, std::int32_t blockTokens) const {
  return std::clamp(promptEnd - index * blockTokens, 0, blockTokens);
}

Event Sequence::event(Event::Kind kind) const {
  Event event;
  event.kind = kind;
  event.request = job_->id;
  event.answer = answer_;
  event.promptDone = std::min(computed, usage_.promptTokens);
  event.promptTotal = usage_.promptTokens;
  event.usage = usage_;
  return event;
}

void Sequence::accepted() {
  if (std::exchange(job_->isAccepted, true)) return;
  job_->emit(event(Event::Kind::kAccepted));
  if (job_->droppedTokens == 0) return;
  Event dropped = event(Event::Kind::kDropped);
  dropped.droppedFirst = job_->droppedFirst;
  dropped.droppedTokens = job_->droppedTokens;
  job_->emit(dropped);
}

void Sequence::started(Clock::time_point now, std::int32_t cachedTokens, const ReuseReport& report) {
  if (started_ != Clock::time_point{}) return;
  started_ = admitted = now;
  reported_ = cachedTokens;
  usage_.cachedTokens = cachedTokens;
  usage_.reuse = report;
  job_->emit(event(Event::Kind::kPromptProgress));
}

void Sequence::promptProgress() {
  // What is computed again after a preemption was told once.
  if (usage_.completionTokens > 0 || answer_ > 0 || computed <= reported_) return;
  reported_ = computed;
  job_->emit(event(Event::Kind::kPromptProgress));
}

void Sequence::forked(const Sequence& trunk) {
  usage_ = trunk.usage_;
  started_ = trunk.started_;
  admitted = trunk.admitted;
}

void Sequence::preempted() {
  ++usage_.preemptions;
  pooled_.clear();
  beginAnew();
}

/// Nothing of it is in a cache any more.
void Sequence::beginAnew() {
  reached = std::max(reached, computed);
  computed = published = 0;
  place = BlockPool::Place::at(job_->root);
  if (proposer) proposer->restart();
}

void Sequence::countDrafts(std::int32_t offered, std::int32_t right) {
  usage_.draftedTokens += offered;
  usage_.acceptedTokens += right;
}

/// Only what may follow keeps its logit. False, with a failure: nothing may.
bool Sequence::constrain(std::span<float> logits) {
  matcher_->allowed(mask_);
  std::uint64_t any = 0;
  for (const std::uint64_t word : mask_) any |= word;
  if (any == 0) {
    failure_ = matcher_->isTooAmbiguous()
                   ? tooAmbiguous()
                   : base::Error(base::ErrorCode::kUnsupported,
                                 "The model's vocabulary has no token that goes on as the grammar demands.");
    return false;
  }
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  for (std::size_t w = 0; w < mask_.size(); ++w) {
    const std::size_t count = std::min<std::size_t>(64, logits.size() - w * 64);
    float* const values = logits.data() + w * 64;
    if (mask_[w] == 0) {
      std::fill_n(values, count, kNever);
      continue;
    }
    // Where some may follow, most may: within a text nearly everything does.
    std::uint64_t forbidden = ~mask_[w];
    if (count < 64) forbidden &= (std::uint64_t{1} << count) - 1;
    for (; forbidden != 0; forbidden &= forbidden - 1) values[std::countr_zero(forbidden)] = kNever;
  }
  return true;
}

std::optional<FinishReason> Sequence::next(std::span<float> logits, Clock::time_point now) {
  const bool wantsLogprobs = request().topLogprobs > 0;
  if (wantsLogprobs) plainLogits_.assign(logits.begin(), logits.end());
  if (matcher_ && !constrain(logits)) return FinishReason::kFailed;
  const auto isAllowed = [&](std::int32_t one) {
    return !matcher_ || ((mask_[static_cast<std::size_t>(one) / 64] >> (one % 64)) & 1) != 0;
  };
  const std::optional<std::int32_t> forced = reasoning_.forced();
  const std::int32_t token = forced && isAllowed(*forced) ? *forced : sampler_->sample(logits);
  if (!isAllowed(token)) {
    failure_ = base::Error(base::ErrorCode::kInvalidArgument,
                           "The logit bias bans every token that the grammar allows here.");
    return FinishReason::kFailed;
  }
  sampler_->accept(token);
  reasoning_.accept(token, tokenizer_->tokenBytes(token, true));
  if (usage_.completionTokens == 0) firstToken_ = now;
  lastToken_ = now;
  ++usage_.completionTokens;
  ++job_->generated;
  tokens.push_back(token);
  // A constrained answer that is complete has nothing to go on to.
  const bool minds = !request().ignoreEnd || matcher_.has_value();
  if (minds && tokenizer_->endsGeneration(token)) return FinishReason::kEndOfTurn;

  Event made = event(Event::Kind::kTokens);
  made.text = stops_.push(detokenizer_.push(token));
  made.tokens.push_back(token);
  if (wantsLogprobs) made.logprobs.push_back(likeliest(plainLogits_, token, request().topLogprobs));
  made.timings = timings(0, now);
  job_->emit(made);
  if (stops_.matched()) return FinishReason::kStopString;
  if (matcher_ && !matcher_->accept(token)) {
    failure_ = tooAmbiguous();
    return FinishReason::kFailed;
  }
  if (matcher_ && matcher_->isFinished()) return FinishReason::kEndOfTurn;
  if (request().maxTokens >= 0 && usage_.completionTokens >= request().maxTokens) {
    return FinishReason::kMaxTokens;
  }
  return std::nullopt;
}

void Sequence::roll(std::int32_t contextTokens) {
  const auto all = static_cast<std::int32_t>(tokens.size());
  const std::int32_t keep = request().keepTokens < 0 ? kAttentionSinks : request().keepTokens;
  // Half of the context at once: what is kept has to be computed anew each time.
  const Cut cut = cutToFit(all, std::max(1, contextTokens / 2), keep);
  const auto begin = tokens.begin() + cut.first;
  tokens.erase(begin, begin + cut.tokens);
  promptEnd = static_cast<std::int32_t>(tokens.size());
  beginAnew();
  reached = promptEnd;
  Event dropped = event(Event::Kind::kDropped);
  dropped.droppedFirst = cut.first;
  dropped.droppedTokens = cut.tokens;
  job_->emit(dropped);
}

void Sequence::pool(std::span<const float> hidden, std::int32_t position) {
  const Pooling pooling = request().pooling;
  if ((pooling == Pooling::kFirst || pooling == Pooling::kRank) && position > 0) return;
  if (pooling == Pooling::kLast && position + 1 < static_cast<std::int32_t>(tokens.size())) return;
  pooled_.resize(hidden.size(), 0);
  // In the order of the tokens, whatever slices they came in.
  for (std::size_t i = 0; i < hidden.size(); ++i) pooled_[i] += static_cast<double>(hidden[i]);
}

void Sequence::emitEmbedding() {
  double squares = 0;
  for (const double x : pooled_) squares += x * x;
  // The mean's divisor is gone with the length.
  const double scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
  Event made = event(Event::Kind::kEmbedding);
  for (const double x : pooled_) made.values.push_back(static_cast<float>(x * scale));
  job_->emit(made);
}

void Sequence::emitScores(std::span<const float> logits) {
  const double sum = logSumOfExp(logits);
  Event made = event(Event::Kind::kScores);
  for (const std::int32_t token : request().choices) {
    made.values.push_back(static_cast<float>(logits[static_cast<std::size_t>(token)] - sum));
  }
  job_->emit(made);
}

void Sequence::emitRank(const std::function<std::vector<float>(std::span<const float>)>& classify) {
  const std::vector<float> hidden(pooled_.begin(), pooled_.end());
  Event made = event(Event::Kind::kScores);
  made.values = classify(hidden);
  job_->emit(made);
}

Timings Sequence::timings(double bandwidth, Clock::time_point now) const {
  Timings t;
  const Clock::time_point none{};
  if (started_ == none) {
    t.queueMs = millisecondsBetween(job_->submitted, now);
    return t;
  }
  t.queueMs = millisecondsBetween(job_->submitted, started_);
  if (firstToken_ == none) return t;
  t.promptMs = millisecondsBetween(started_, firstToken_);
  t.firstTokenMs = millisecondsBetween(job_->submitted, firstToken_);
  t.decodeMs = millisecondsBetween(firstToken_, lastToken_);
  if (t.promptMs > 0) {
    t.promptTokensPerSecond = (usage_.promptTokens - usage_.cachedTokens) / t.promptMs * 1000.0;
  }
  if (t.decodeMs > 0) {
    t.tokensPerSecond = (usage_.completionTokens - 1) / t.decodeMs * 1000.0;
    if (bandwidth > 0) {
      t.bandwidthShare = static_cast<double>(decodedBytes_) / (t.decodeMs / 1000.0) / bandwidth;
    }
  }
  return t;
}

void Sequence::finish(FinishReason reason, std::optional<base::Error> error, double bandwidth,
                      Clock::time_point now) {
  if (reason != FinishReason::kStopString) {
    std::string rest = stops_.push(detokenizer_.finish());
    rest += stops_.finish();
    if (!rest.empty()) {
      Event made = event(Event::Kind::kTokens);
      made.text = std::move(rest);
      job_->emit(made);
    }
  }
  Event last = event(Event::Kind::kFinished);
  last.reason = reason;
  last.error = std::move(error);
  last.timings = timings(bandwidth, now);
  // One of several is only the last if it is the last; those that never began are not told of.
  if (request().answers > 1 && job_->isAccepted) {
    last.kind = Event::Kind::kAnswerFinished;
    job_->emit(last);
    last.kind = Event::Kind::kFinished;
  }
  job_->ended.draftedTokens += usage_.draftedTokens;
  job_->ended.acceptedTokens += usage_.acceptedTokens;
  job_->ended.preemptions += usage_.preemptions;
  if (--job_->open > 0) return;
  last.usage.completionTokens = job_->generated;
  last.usage.draftedTokens = job_->ended.draftedTokens;
  last.usage.acceptedTokens = job_->ended.acceptedTokens;
  last.usage.preemptions = job_->ended.preemptions;
  job_->emit(last);
  job_->sink.reset();
}

}  // namespace quern::engine::scheduler
