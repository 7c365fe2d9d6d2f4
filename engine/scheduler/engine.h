// One loaded model and its engine thread: requests go in from any thread, events come out on the engine
// thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/runtime/backend.h"
#include "engine/sampling/sampler.h"

namespace quern::engine::gguf {
class File;
}
namespace quern::engine::tokenizer {
class Tokenizer;
}
namespace quern::engine::chat {
class Template;
}

namespace quern::engine::scheduler {

using RequestId = std::uint64_t;

/// What to answer. The prompt is already rendered and tokenized (see Engine::tokenizer() and
/// Engine::chatTemplate()).
struct Request {
  std::vector<std::int32_t> prompt;
  std::int32_t maxTokens = -1;  ///< -1: until the model ends or the context is full
  sampling::Parameters sampling;
  std::vector<std::string> stop;  ///< texts that end the answer; never part of what is emitted
  bool ignoreEnd = false;         ///< go on past end-of-generation tokens (benchmarks)
  bool emitSpecial = false;       ///< give control tokens their written form in the text
  std::int32_t topLogprobs = 0;   ///< > 0: Tokens events carry this many alternatives (at most 20)
};

enum class FinishReason : std::uint8_t {
  kEndOfTurn,
  kStopString,
  kMaxTokens,
  kContextFull,
  kCancelled,
  kFailed
};
/// "end of turn", "stop text", "token limit", "context full", "cancelled", "failed".
std::string_view finishReasonName(FinishReason reason);

struct Usage {
  std::int32_t promptTokens = 0;
  std::int32_t cachedTokens = 0;  ///< of the prompt, found in the KV cache
  std::int32_t completionTokens = 0;
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
  enum class Kind : std::uint8_t { kAccepted, kPromptProgress, kTokens, kFinished };
  Kind kind = Kind::kAccepted;
  RequestId request = 0;

  std::int32_t promptDone = 0;   ///< kPromptProgress: prompt tokens in the cache …
  std::int32_t promptTotal = 0;  ///< … of so many

  std::string text;                  ///< kTokens: whole UTF-8 characters, free of stop texts; may be empty
  std::vector<std::int32_t> tokens;  ///< kTokens: the ids since the last event
  std::vector<std::vector<TokenLogprob>> logprobs;  ///< kTokens: per id, the chosen one first, if asked for

  FinishReason reason = FinishReason::kEndOfTurn;  ///< kFinished
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

struct LoadOptions {
  std::int32_t contextTokens = 0;  ///< tokens a request may hold; 0: the model's own, at most 8,192
  std::int32_t parallel = 1;       ///< requests decoded together
  std::int32_t threads = 0;        ///< 0: one per physical core
  std::int32_t batchTokens = 512;  ///< tokens computed in one step at most
  runtime::KvCacheType kvType = runtime::KvCacheType::kF16;
  std::int32_t queueLimit = 256;  ///< requests that may wait; one more is refused with kBusy
  std::string kernels;            ///< see runtime::CompileOptions
};

/// What a person wants to know of a model file.
struct ModelInfo {
  std::string name;          ///< general.name, or the file's stem
  std::string architecture;  ///< "llama"
  std::string quantization;  ///< "Q4_1": the type that most weight bytes have
  std::uint64_t parameters = 0;
  std::uint64_t fileBytes = 0;
  std::int32_t trainedContext = 0;
  std::int32_t layers = 0;
  std::int32_t vocabularySize = 0;
  bool hasChatTemplate = false;
};

/// A snapshot; cheap enough for a status line.
struct Stats {
  std::int32_t running = 0;
  std::int32_t waiting = 0;
  double decodeTokensPerSecond = 0;  ///< over the last second; 0 when idle
  double promptTokensPerSecond = 0;
  double readBytesPerSecond = 0;      ///< model bytes that decoding moved, over the last second
  double bandwidthLimit = 0;          ///< measured bytes/s; 0 until known
  std::uint64_t generatedTokens = 0;  ///< since load
  std::uint64_t promptTokens = 0;
  runtime::MemoryUse memory;
  std::int32_t kvBlocksUsed = 0;
  std::int32_t kvBlocks = 0;
};

class Engine {
 public:
  /// Opens, compiles and starts `path`. Blocks; call it from a worker thread. `progress` as in
  /// runtime::Backend.
  static base::Result<std::shared_ptr<Engine>> load(const std::filesystem::path& path,
                                                    const LoadOptions& options,
                                                    const runtime::Progress& progress = {});
  virtual ~Engine() = default;  ///< cancels what runs, waits for the engine thread

  /// Queues a request. `sink` is kept until its kFinished event. Errors: kInvalidArgument, kLimit (prompt
  /// longer than the context; both numbers in the sentence), kBusy.
  virtual base::Result<RequestId> submit(Request request, std::shared_ptr<EventSink> sink) = 0;
  /// Takes effect within one step; unknown ids are ignored.
  virtual void cancel(RequestId request) = 0;
  virtual Stats stats() const = 0;

  virtual const ModelInfo& info() const = 0;
  virtual const LoadOptions& options() const = 0;  ///< with the defaults filled in
  virtual std::string device() const = 0;          ///< "CPU AVX-512"
  virtual std::shared_ptr<const tokenizer::Tokenizer> tokenizer() const = 0;
  /// The model's own chat template; null where it has none.
  virtual std::shared_ptr<const chat::Template> chatTemplate() const = 0;
};

/// Facts about a file without loading it.
base::Result<ModelInfo> inspect(const gguf::File& file);

struct ChatMessage {
  std::string role;  ///< "system", "user", "assistant", "tool"
  std::string content;
};

/// A conversation as prompt tokens: the model's template (or a plain fallback where it has none) rendered,
/// then tokenized. Without `addGenerationPrompt` the last message is left open, so that the model goes on
/// with it.
base::Result<std::vector<std::int32_t>> renderChat(const Engine& engine,
                                                   const std::vector<ChatMessage>& messages,
                                                   bool addGenerationPrompt = true);

}  // namespace quern::engine::scheduler
