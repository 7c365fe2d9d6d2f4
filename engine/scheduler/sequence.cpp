#include "engine/scheduler/sequence.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <exception>

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

}  // namespace

Sequence::Sequence(RequestId id, Request request, std::shared_ptr<EventSink> sink,
                   std::shared_ptr<const tokenizer::Tokenizer> tokenizer)
    : tokens(request.prompt),
      id_(id),
      request_(std::move(request)),
      sink_(std::move(sink)),
      tokenizer_(tokenizer),
      detokenizer_(std::move(tokenizer), request_.emitSpecial),
      stops_(request_.stop),
      submitted_(Clock::now()) {
  sampler_ = std::make_unique<sampling::Sampler>(request_.sampling,
                                                 static_cast<std::int32_t>(tokenizer_->vocabularySize()),
                                                 dryBreakers(request_, *tokenizer_));
  for (const std::int32_t token : request_.prompt) sampler_->accept(token);
  usage_.promptTokens = static_cast<std::int32_t>(request_.prompt.size());
}

Event Sequence::event(Event::Kind kind) const {
  Event event;
  event.kind = kind;
  event.request = id_;
  event.promptDone = std::min(computed, usage_.promptTokens);
  event.promptTotal = usage_.promptTokens;
  event.usage = usage_;
  return event;
}

void Sequence::emit(const Event& event) {
  if (!sink_ || sinkFailed_) return;
  try {
    sink_->onEvent(event);
  } catch (const std::exception& error) {
    spdlog::error("A request's event sink threw ({}); the request is cancelled.", error.what());
    sinkFailed_ = true;
  } catch (...) {
    spdlog::error("A request's event sink threw; the request is cancelled.");
    sinkFailed_ = true;
  }
}

void Sequence::accepted() { emit(event(Event::Kind::kAccepted)); }

void Sequence::started(std::int32_t cachedTokens) {
  started_ = Clock::now();
  usage_.cachedTokens = cachedTokens;
  emit(event(Event::Kind::kPromptProgress));
}

void Sequence::promptProgress() { emit(event(Event::Kind::kPromptProgress)); }

std::vector<TokenLogprob> Sequence::likeliest(std::span<const float> logits) const {
  const float largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x - largest));
  const double logSum = std::log(sum) + largest;
  const auto count = std::min<std::size_t>(static_cast<std::size_t>(request_.topLogprobs), logits.size());
  std::vector<std::int32_t> order(logits.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int32_t>(i);
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                    [&](std::int32_t a, std::int32_t b) {
                      const float left = logits[static_cast<std::size_t>(a)];
                      const float right = logits[static_cast<std::size_t>(b)];
                      return left != right ? left > right : a < b;
                    });
  std::vector<TokenLogprob> top;
  for (std::size_t i = 0; i < count; ++i) {
    top.push_back({order[i], static_cast<float>(logits[static_cast<std::size_t>(order[i])] - logSum)});
  }
  // A place at the front for the chosen one, whose logprob is worked out with the same sum.
  top.insert(top.begin(), {-1, static_cast<float>(-logSum)});
  return top;
}

std::optional<FinishReason> Sequence::next(std::span<float> logits, std::int32_t contextTokens) {
  std::vector<TokenLogprob> alternatives;
  if (request_.topLogprobs > 0) {
    plainLogits_.assign(logits.begin(), logits.end());
    alternatives = likeliest(plainLogits_);
  }
  const std::int32_t token = sampler_->sample(logits);
  sampler_->accept(token);
  const Clock::time_point now = Clock::now();
  if (usage_.completionTokens == 0) firstToken_ = now;
  lastToken_ = now;
  ++usage_.completionTokens;
  tokens.push_back(token);
  if (!request_.ignoreEnd && tokenizer_->endsGeneration(token)) return FinishReason::kEndOfTurn;

  Event made = event(Event::Kind::kTokens);
  made.text = stops_.push(detokenizer_.push(token));
  made.tokens.push_back(token);
  if (!alternatives.empty()) {
    alternatives.front().token = token;
    alternatives.front().logprob += plainLogits_[static_cast<std::size_t>(token)];
    made.logprobs.push_back(std::move(alternatives));
  }
  made.timings = timings(0);
  emit(made);
  if (stops_.matched()) return FinishReason::kStopString;
  if (request_.maxTokens >= 0 && usage_.completionTokens >= request_.maxTokens)
    return FinishReason::kMaxTokens;
  if (static_cast<std::int32_t>(tokens.size()) >= contextTokens) return FinishReason::kContextFull;
  return std::nullopt;
}

Timings Sequence::timings(double bandwidth) const {
  Timings t;
  const Clock::time_point none{};
  if (started_ == none) {
    t.queueMs = millisecondsBetween(submitted_, Clock::now());
    return t;
  }
  t.queueMs = millisecondsBetween(submitted_, started_);
  if (firstToken_ == none) return t;
  t.promptMs = millisecondsBetween(started_, firstToken_);
  t.firstTokenMs = millisecondsBetween(submitted_, firstToken_);
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

void Sequence::finish(FinishReason reason, std::optional<base::Error> error, double bandwidth) {
  Event last = event(Event::Kind::kFinished);
  if (reason != FinishReason::kStopString) {
    std::string rest = stops_.push(detokenizer_.finish());
    rest += stops_.finish();
    if (!rest.empty()) {
      Event made = event(Event::Kind::kTokens);
      made.text = std::move(rest);
      emit(made);
    }
  }
  last.reason = reason;
  last.error = std::move(error);
  last.timings = timings(bandwidth);
  emit(last);
  sink_.reset();
}

}  // namespace quern::engine::scheduler
