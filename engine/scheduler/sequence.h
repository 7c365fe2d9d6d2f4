// One request while it is with the engine: its tokens, its blocks, and everything between a token and its
// event.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <vector>

#include "engine/sampling/sampler.h"
#include "engine/scheduler/engine.h"
#include "engine/scheduler/stop_matcher.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::engine::scheduler {

using Clock = std::chrono::steady_clock;

inline double millisecondsBetween(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

/// Engine thread only, once it is admitted; before that it waits in the queue untouched.
class Sequence {
 public:
  Sequence(RequestId id, Request request, std::shared_ptr<EventSink> sink,
           std::shared_ptr<const tokenizer::Tokenizer> tokenizer);

  RequestId id() const { return id_; }
  const Request& request() const { return request_; }

  /// Everything so far: the prompt, then the answer.
  std::vector<std::int32_t> tokens;
  /// How many of them are in the KV cache.
  std::int32_t computed = 0;
  std::vector<std::uint32_t> blocks;
  /// Set by another thread; looked at before every step.
  std::atomic<bool> cancelled{false};

  /// More than the one token that the prompt gives: there is a decoding speed.
  bool hasDecoded() const { return usage_.completionTokens > 1; }
  bool isPrefilling() const { return computed < static_cast<std::int32_t>(request_.prompt.size()); }

  void accepted();
  void started(std::int32_t cachedTokens);
  /// `computed` has moved within the prompt.
  void promptProgress();
  /// Picks the next token from its logits, which are overwritten, and tells the sink. Returns the reason when
  /// that was the end.
  std::optional<FinishReason> next(std::span<float> logits, std::int32_t contextTokens);
  void countBytes(std::uint64_t bytes) { decodedBytes_ += bytes; }
  /// The last event. `bandwidth`: measured bytes/s, 0 when unknown.
  void finish(FinishReason reason, std::optional<base::Error> error, double bandwidth);
  bool sinkFailed() const { return sinkFailed_; }

 private:
  void emit(const Event& event);
  Event event(Event::Kind kind) const;
  Timings timings(double bandwidth) const;
  std::vector<TokenLogprob> likeliest(std::span<const float> logits) const;

  RequestId id_;
  Request request_;
  std::shared_ptr<EventSink> sink_;
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer_;
  std::unique_ptr<sampling::Sampler> sampler_;
  tokenizer::StreamDetokenizer detokenizer_;
  StopMatcher stops_;
  Usage usage_;
  Clock::time_point submitted_, started_, firstToken_, lastToken_;
  std::uint64_t decodedBytes_ = 0;
  std::vector<float> plainLogits_;  ///< a copy from before sampling, when logprobs are asked for
  bool sinkFailed_ = false;
};

}  // namespace quern::engine::scheduler
