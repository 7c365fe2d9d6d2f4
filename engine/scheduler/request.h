// What one asks of an engine, and what comes back.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/sampling/sampler.h"

namespace quern::engine::grammar {
class Constraint;
}

namespace quern::engine::scheduler {

using RequestId = std::uint64_t;

/// Who goes first when not all can. A request that waits rises by one class every few seconds (kAgeing in
/// waiting_queue.h), so that nobody waits for ever.
enum class Priority : std::uint8_t { kInteractive, kNormal, kBatch };
inline constexpr int kPriorities = 3;

/// What happens where the context ends. Nothing is ever dropped without a kDropped event.
enum class Overflow : std::uint8_t {
  kStop,            ///< a prompt that is too long is refused; an answer ends with kContextFull
  kTruncateMiddle,  ///< a prompt that is too long loses its middle; an answer ends with kContextFull
  /// Prompt or answer: the first tokens stay (they draw attention whatever they say: "attention sinks"), the
  /// oldest behind them go, and the answer goes on as if the rest had been the prompt.
  kRolling
};

/// How the hidden states of a text's tokens become its embedding, which then gets length 1. kRank: the first
/// one goes through the model's classifier, whose scores come as they are (rerankPrompt() makes the text).
enum class Pooling : std::uint8_t { kNone, kMean, kFirst, kLast, kRank };
/// "none", "mean", "cls", "last", "rank": as they are called where embeddings are asked for.
std::string_view poolingName(Pooling pooling);

/// The longest deadline or wait that can be asked for: sums with it stay within their types.
inline constexpr std::chrono::hours kLongestTime{24 * 31};

/// How much an answer may reason before it is made to end it and answer.
struct ReasoningLimit {
  std::int32_t tokens = -1;  ///< -1: as long as it likes
  std::string begin, end;    ///< the markers, control tokens in their written form
  bool isOpen = false;       ///< the prompt has written `begin`
  /// What is written when the tokens are used up: `end`, and what goes with it. They count as tokens of the
  /// answer, and are chosen against what the model says.
  std::vector<std::int32_t> closing;
};

struct LoadedAdapter;

/// One of the LoRA adapters that a request is computed with.
struct AdapterChoice {
  std::filesystem::path path;  ///< of a GGUF adapter; submit() loads it where `adapter` is null
  /// As Engine::loadAdapter() of the same engine gave it.
  std::shared_ptr<const LoadedAdapter> adapter;
  float scale = 1.0F;  ///< multiplies what it changes; 0: nothing
};

/// What to answer. The prompt is already rendered and tokenized (see Engine::tokenizer() and
/// Engine::chatTemplate()).
struct Request {
  std::vector<std::int32_t> prompt;
  std::int32_t maxTokens = -1;  ///< -1: until the model ends or the context is full
  sampling::Parameters sampling;
  std::vector<std::string> stop;  ///< texts that end the answer; never part of what is emitted
  bool ignoreEnd = false;         ///< go on past end-of-generation tokens (benchmarks)
  bool emitSpecial = false;       ///< give control tokens their written form in the text
  ReasoningLimit reasoning;
  std::int32_t topLogprobs = 0;  ///< > 0: Tokens events carry this many alternatives (at most 20)

  /// Answers to the same prompt, which is computed once; at most LoadOptions::parallel. Answer i is the one
  /// that a request with the seed + i gives.
  std::int32_t answers = 1;
  Priority priority = Priority::kInteractive;
  std::string client;  ///< whom the request is for: clients of one priority get equal shares
  /// Both count from submit(); zero: none. A request that has not begun in `longestWait` is refused (kFailed
  /// with kBusy), one that is not finished at `deadline` ends (kDeadline) with what it has.
  std::chrono::milliseconds longestWait{0};
  std::chrono::milliseconds deadline{0};
  Overflow overflow = Overflow::kStop;
  /// First tokens of the prompt that an overflow leaves alone; -1: 4 for kRolling, a quarter of what fits for
  /// kTruncateMiddle.
  std::int32_t keepTokens = -1;
  /// What the answer must match; made for this engine's tokenizer (grammar::ConstraintCache). It ends
  /// (kEndOfTurn) where nothing more may follow; ended otherwise, it is the beginning of one that matches. An
  /// answer that no token of the vocabulary can go on with fails.
  std::shared_ptr<const grammar::Constraint> constraint;
  /// At most runtime::kMostAdapters; what they change is added up in this order. Known beginnings serve only
  /// requests with the same adapters and scales in the same order.
  std::vector<AdapterChoice> adapters;
  bool reuse = true;      ///< take known beginnings from the cache; the answer is the same either way
  bool speculate = true;  ///< where it pays; the answer is the same either way
  /// Not kNone: no answer is made but a kEmbedding event, or with kRank a kScores event. The engine must be
  /// loaded with LoadOptions::embeddings.
  Pooling pooling = Pooling::kNone;
  /// Not empty: no answer is made but a kScores event, with the log-probability of each of these tokens as
  /// the first of an answer. What rerankers ask ("yes" or "no").
  std::vector<std::int32_t> choices;
};

enum class FinishReason : std::uint8_t {
  kEndOfTurn,
  kStopString,
  kMaxTokens,
  kContextFull,
  kCancelled,
  kFailed,
  kDeadline,
  kComplete  ///< an embedding or scores were wanted, and given
};
/// "end of turn", "stop text", "token limit", "context full", "cancelled", "failed", "deadline", "complete".
std::string_view finishReasonName(FinishReason reason);

/// Why no more of a prompt was found in the cache.
struct ReuseReport {
  enum class Why : std::uint8_t {
    kWhole,     ///< all that can be: the last token is always computed
    kUnknown,   ///< nothing that begins like this has been computed
    kDiffers,   ///< what is known goes on with another token at `position`
    kEvicted,   ///< the next block was known and has been given up for others
    kNotAsked,  ///< Request::reuse was false
  };
  Why why = Why::kUnknown;
  std::int32_t position = 0;  ///< kDiffers: of the first token that differs …
  std::int32_t wanted = -1;   ///< … the prompt's token there, and
  std::int32_t known = -1;    ///< the one that is known there
};
std::string_view reuseReasonName(ReuseReport::Why why);

struct Usage {
  std::int32_t promptTokens = 0;
  std::int32_t cachedTokens = 0;  ///< of the prompt, found in the KV cache
  std::int32_t completionTokens = 0;
  ReuseReport reuse;
  std::int32_t draftedTokens = 0;   ///< proposed by speculation …
  std::int32_t acceptedTokens = 0;  ///< … and found right
  std::int32_t preemptions = 0;     ///< times that it made room for others and was computed again
};

struct Timings {
  double queueMs = 0;
  double promptMs = 0;         ///< computing the prompt
  double firstTokenMs = 0;     ///< submit to first token (TTFT)
  double decodeMs = 0;         ///< first token to last
  double tokensPerSecond = 0;  ///< decode: (completionTokens - 1) / decodeMs
  double promptTokensPerSecond = 0;
  /// Bytes that decoding had to read / time, against measuredReadBandwidth() of as many bytes as the weights
  /// have. About 0…1; noise in either measurement can carry it past 1.
  double bandwidthShare = 0;
};

struct TokenLogprob {
  std::int32_t token = 0;
  float logprob = 0;
};

struct Event {
  enum class Kind : std::uint8_t {
    kAccepted,
    kPromptProgress,
    kTokens,
    kDropped,         ///< an overflow has cost tokens
    kAnswerFinished,  ///< with several answers: one of them is complete
    kEmbedding,
    kScores,
    kFinished
  };
  Kind kind = Kind::kAccepted;
  RequestId request = 0;
  std::int32_t answer = 0;  ///< which of several

  std::int32_t promptDone = 0;   ///< kPromptProgress: prompt tokens in the cache …
  std::int32_t promptTotal = 0;  ///< … of so many

  std::string text;                  ///< kTokens: whole UTF-8 characters, free of stop texts; may be empty
  std::vector<std::int32_t> tokens;  ///< kTokens: the ids since the last event
  std::vector<std::vector<TokenLogprob>> logprobs;  ///< kTokens: per id, the chosen one first, if asked for

  std::int32_t droppedFirst = 0;   ///< kDropped: position of the first dropped token, …
  std::int32_t droppedTokens = 0;  ///< … and how many went

  std::vector<float> values;  ///< kEmbedding: [width]; kScores: [choices], with kRank [labels]

  FinishReason reason = FinishReason::kEndOfTurn;  ///< kFinished, kAnswerFinished
  std::optional<base::Error> error;                ///< kFinished with kFailed
  Usage usage;                                     ///< kFinished (and so far, with kTokens)
  Timings timings;                                 ///< kFinished (and so far, with kTokens)
};

/// Receives a request's events, in order, on the engine thread. Must not block. kFinished is the last event
/// and always comes, unless submit() failed.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void onEvent(const Event& event) = 0;
};

}  // namespace quern::engine::scheduler
