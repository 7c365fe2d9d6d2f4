// One request while it is with the engine, and each of its answers: tokens, blocks, and everything between a
// token and its event.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/grammar/constraint.h"
#include "engine/runtime/backend.h"
#include "engine/sampling/sampler.h"
#include "engine/scheduler/block_pool.h"
#include "engine/scheduler/proposer.h"
#include "engine/scheduler/reasoning_budget.h"
#include "engine/scheduler/request.h"
#include "engine/scheduler/stop_matcher.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::engine::scheduler {

using Clock = std::chrono::steady_clock;

inline double millisecondsBetween(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

/// A request: what its answers have in common. Engine thread only but for `cancelled`.
struct Job {
  Job(RequestId number, Request what, std::shared_ptr<EventSink> to, Clock::time_point at);

  const RequestId id;
  Request request;
  const Clock::time_point submitted;
  std::atomic<bool> cancelled{false};  ///< set by any thread; looked at before every step
  std::shared_ptr<EventSink> sink;     ///< until the last event
  bool sinkFailed = false;
  bool isAccepted = false;
  std::int32_t open = 1;                             ///< answers that are not finished
  std::int32_t generated = 0;                        ///< tokens of all answers
  std::int32_t droppedFirst = 0, droppedTokens = 0;  ///< of the prompt, by its overflow

  std::vector<runtime::AdapterUse> adapters;  ///< the request's, without those that change nothing
  BlockKey root;                              ///< that its blocks begin from; the adapters' name

  Usage ended;  ///< what the finished answers had, summed up

  bool wantsAnswer() const { return request.pooling == Pooling::kNone && request.choices.empty(); }
  void emit(const Event& event);
};

/// One answer of a request.
class Sequence {
 public:
  Sequence(std::shared_ptr<Job> job, std::int32_t answer,
           std::shared_ptr<const tokenizer::Tokenizer> tokenizer);

  Job& job() const { return *job_; }
  const std::shared_ptr<Job>& sharedJob() const { return job_; }
  const Request& request() const { return job_->request; }
  std::int32_t answer() const { return answer_; }

  /// Everything so far: the prompt, then the answer.
  std::vector<std::int32_t> tokens;
  /// How many of them, the first ones, are computed as tokens of a prompt.
  std::int32_t promptEnd = 0;
  /// How many are in the KV cache.
  std::int32_t computed = 0;
  std::vector<BlockPool::Block> blocks;
  std::int32_t reached = 0;    ///< how many of them were before their blocks were lost
  std::int32_t published = 0;  ///< blocks that were made known or taken over
  BlockPool::Place place;      ///< of the last of them
  Clock::time_point admitted{};
  std::int32_t planned = 0;   ///< tokens that the step computes of it
  std::int32_t reserved = 1;  ///< places for answers: of all of the request, until its prompt is computed
  bool awaitsDisk = false;    ///< more of its beginning is there, and will be read in the next step
  bool isOrphan = false;      ///< shares a prompt whose end it has no block for
  std::unique_ptr<Proposer> proposer;  ///< guesses how it goes on; null: nobody does
  Proposal proposal;                   ///< of the step
  std::vector<std::int32_t> guessed;   ///< the last token and the proposal's; empty without one

  std::int32_t left() const { return static_cast<std::int32_t>(tokens.size()) - computed; }
  /// One token's logits give the next. Otherwise a prompt is being computed, or an answer anew.
  bool isDecoding() const { return computed >= promptEnd && left() == 1; }
  /// Of the tokens of block `index`, those that count as a prompt's.
  std::int32_t promptTokensOf(std::int32_t index, std::int32_t blockTokens) const;
  std::span<const std::int32_t> tokensOf(std::int32_t index, std::int32_t blockTokens) const;

  /// Of the `next` tokens, those that had been computed before.
  std::int32_t reachedOf(std::int32_t next) const { return std::clamp(reached - computed, 0, next); }
  /// Its next tokens were an answer's, which is computed again by an answer's kernels.
  bool computesAnswerAgain() const { return computed >= promptEnd && !isDecoding(); }
  /// More than the one token that the prompt gives: there is a decoding speed.
  bool hasDecoded() const { return usage_.completionTokens > 1; }
  std::int32_t generated() const { return usage_.completionTokens; }

  void accepted();
  /// For the first time, or again after a preemption.
  void started(Clock::time_point now, std::int32_t cachedTokens, const ReuseReport& report);
  /// Another's computation has been taken over on the way.
  void found(std::int32_t cachedTokens) { usage_.cachedTokens += cachedTokens; }
  /// Goes on from the prompt that `trunk`, another answer of the same request, has computed.
  void forked(const Sequence& trunk);
  void promptProgress();
  /// Its blocks are gone; it will be computed again.
  void preempted();
  /// Picks the next token from its logits, which are overwritten, and tells the sink. Returns the reason when
  /// that was the end. `contextTokens`: where the context ends; an overflow is the caller's.
  std::optional<FinishReason> next(std::span<float> logits, Clock::time_point now);
  bool isFull(std::int32_t contextTokens) const {
    return static_cast<std::int32_t>(tokens.size()) >= contextTokens;
  }
  /// The oldest tokens behind the first ones go; what is left is computed anew as a prompt.
  void roll(std::int32_t contextTokens);
  void countBytes(std::uint64_t bytes) { decodedBytes_ += bytes; }
  void countDrafts(std::int32_t offered, std::int32_t right);

  /// The hidden states of the tokens that were computed last go into the embedding.
  void pool(std::span<const float> hidden, std::int32_t position);
  void emitEmbedding();
  void emitScores(std::span<const float> logits);
  /// What the classifier makes of the pooled hidden state.
  void emitRank(const std::function<std::vector<float>(std::span<const float>)>& classify);

  /// The last event. `bandwidth`: measured bytes/s, 0 when unknown.
  void finish(FinishReason reason, std::optional<base::Error> error, double bandwidth, Clock::time_point now);

  const sampling::Sampler& sampler() const { return *sampler_; }
  /// Where the answer stands in what it must match; null: it is free.
  const grammar::Matcher* matcher() const { return matcher_ ? &*matcher_ : nullptr; }
  /// Why next() has said kFailed.
  const std::optional<base::Error>& failure() const { return failure_; }

 private:
  void beginAnew();
  bool constrain(std::span<float> logits);
  Event event(Event::Kind kind) const;
  Timings timings(double bandwidth, Clock::time_point now) const;

  std::shared_ptr<Job> job_;
  std::int32_t answer_;
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer_;
  std::unique_ptr<sampling::Sampler> sampler_;
  std::optional<grammar::Matcher> matcher_;
  std::vector<std::uint64_t> mask_;  ///< of the next token
  std::optional<base::Error> failure_;
  tokenizer::StreamDetokenizer detokenizer_;
  StopMatcher stops_;
  ReasoningBudget reasoning_;
  Usage usage_;
  std::int32_t reported_ = 0;  ///< of the prompt, by the last progress
  Clock::time_point started_{}, firstToken_{}, lastToken_{};
  std::uint64_t decodedBytes_ = 0;
  std::vector<float> plainLogits_;  ///< a copy from before sampling, when logprobs are asked for
  std::vector<double> pooled_;
};

/// First tokens that kRolling keeps. G. Xiao et al., "Efficient Streaming Language Models with Attention
/// Sinks", 2023.
inline constexpr std::int32_t kAttentionSinks = 4;

/// The tokens of a prompt that are left when it must fit `room` tokens, and what that costs; the first
/// `keep` stay (-1: a quarter), and as many of the last as fit.
struct Cut {
  std::int32_t first = 0, tokens = 0;  ///< dropped
};
Cut cutToFit(std::int32_t promptTokens, std::int32_t room, std::int32_t keep);

}  // namespace quern::engine::scheduler
