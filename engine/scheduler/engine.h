// One loaded model and its engine thread: requests go in from any thread, events come out on the engine
// thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/runtime/backend.h"
#include "engine/scheduler/request.h"

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

/// Who guesses several tokens of an answer ahead, to be checked in one step where that pays. Answers are the
/// same either way.
enum class Speculation : std::uint8_t {
  kOff,
  kLookup,     ///< the text itself: what repeats is copied
  kDraftModel  ///< a small model with the same vocabulary: LoadOptions::draftModel
};
/// Drafts that a step checks at most.
inline constexpr std::int32_t kDraftRows = 16;

struct LoadOptions {
  std::int32_t contextTokens = 0;  ///< tokens a request may hold; 0: the model's own, at most 8,192
  std::int32_t parallel = 1;       ///< requests decoded together
  std::int32_t threads = 0;        ///< 0: one per physical core
  std::int32_t batchTokens = 512;  ///< tokens computed in one step at most
  runtime::KvCacheType kvType = runtime::KvCacheType::kF16;
  /// Tokens that the KV cache holds for all requests together; 0: `parallel` whole contexts, or what half of
  /// the free memory holds if that is less. At least one context. Where it is too small for those who run,
  /// the youngest of the least urgent waits and is computed again.
  std::int64_t kvTokens = 0;
  std::int32_t queueLimit = 256;  ///< requests that may wait; one more is refused with kBusy
  /// A request that would wait longer, as far as one can tell, or has waited so long is refused with kBusy;
  /// 0: none is. A request may ask for less.
  std::chrono::milliseconds longestWait{0};
  /// Between two tokens of an answer, while prompts of others are computed beside it.
  std::chrono::milliseconds interTokenTarget{100};
  /// Compute answers again as the prompts that they will be a part of, when there is nothing else to do.
  bool rehearse = true;
  /// A folder where known beginnings go that the cache gives up, and all of them when the engine ends; empty:
  /// they are lost. Prompts are private: it is made for its owner alone.
  std::filesystem::path prefixFolder;
  std::uint64_t prefixBytes = 1ULL << 30;  ///< that all models' beginnings may take there
  /// Memory that loaded LoRA adapters may take; those that nobody uses go, longest unused first.
  std::uint64_t adapterBytes = 1ULL << 30;
  Speculation speculation = Speculation::kLookup;
  std::filesystem::path draftModel;
  bool embeddings = false;  ///< requests may ask for embeddings, which takes memory
  std::string kernels;      ///< see runtime::CompileOptions
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
  bool isEncoder = false;            ///< makes embeddings and no answers
  std::int32_t labels = 0;           ///< scores that its classifier gives, once it is loaded; 0: it has none
  Pooling pooling = Pooling::kNone;  ///< how the file says that embeddings are made of hidden states
};

/// A snapshot; cheap enough for a status line.
struct Stats {
  std::int32_t running = 0;
  std::int32_t waiting = 0;
  double decodeTokensPerSecond = 0;  ///< over the last second; 0 when idle
  double promptTokensPerSecond = 0;
  double readBytesPerSecond = 0;       ///< model bytes that decoding moved, over the last second
  double bandwidthLimit = 0;           ///< measured bytes/s; 0 until known
  std::uint64_t generatedTokens = 0;   ///< since load
  std::uint64_t promptTokens = 0;      ///< computed in slices, recomputedTokens among them
  std::uint64_t recomputedTokens = 0;  ///< computed again: after preemptions, and what kRolling keeps
  runtime::MemoryUse memory;
  std::uint64_t adapterBytes = 0;  ///< of loaded LoRA adapters, beside that
  std::int32_t kvBlocksUsed = 0;   ///< held by those who run
  std::int32_t kvBlocksKnown = 0;  ///< that a later request with the same beginning can take over
  std::int32_t kvBlocks = 0;
  std::uint64_t cachedTokens = 0;  ///< of prompts, found in the cache; since load, as all that follow
  std::uint64_t draftedTokens = 0, acceptedTokens = 0;
  std::uint64_t preemptions = 0;
  std::uint64_t refused = 0;  ///< requests that found the queue full or too slow
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
  /// longer than the context; both numbers in the sentence), kBusy (as many wait as may, or longer than
  /// they may), and those of loadAdapter() where the request names adapters by their paths: it then waits for
  /// the disk.
  virtual base::Result<RequestId> submit(Request request, std::shared_ptr<EventSink> sink) = 0;
  /// Takes effect within one step; unknown ids are ignored.
  virtual void cancel(RequestId request) = 0;
  virtual Stats stats() const = 0;

  /// Loads a LoRA adapter, a GGUF file that was made for this model, or gives the one that was loaded from
  /// this file before and has not changed since. It stays loaded while somebody holds it, and afterwards as
  /// long as LoadOptions::adapterBytes allow. From any thread; waits for the disk. Errors: kNotFound, kIo,
  /// kMalformed, kUnsupported (each sentence says what does not fit), kLimit (no room beside those in use).
  virtual base::Result<std::shared_ptr<const LoadedAdapter>> loadAdapter(const std::filesystem::path& path) {
    (void)path;
    return base::Error(base::ErrorCode::kUnsupported, "This engine runs no adapters.");
  }

  /// Writes what the cache knows of the beginning of `tokens` (a conversation's prompt) to a file, and makes
  /// it known again, in this process or a later one. Both return the number of tokens, in whole blocks, and
  /// wait for the engine thread and the disk: not for a window's thread, and never from a sink. What was
  /// computed with adapters is not among it. Errors: kIo, kNotFound.
  virtual base::Result<std::int32_t> saveState(std::vector<std::int32_t> tokens,
                                               const std::filesystem::path& path) = 0;
  virtual base::Result<std::int32_t> restoreState(const std::filesystem::path& path) = 0;

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

/// A question and a text for Pooling::kRank, as one: [BOS] question [end] text [end], with EOS and separator
/// between them where the vocabulary has both, as RoBERTa was trained.
std::vector<std::int32_t> rerankPrompt(const tokenizer::Tokenizer& tokenizer, std::string_view question,
                                       std::string_view text);

/// A conversation as prompt tokens: the model's template (or a plain fallback where it has none) rendered,
/// then tokenized. Without `addGenerationPrompt` the last message is left open, so that the model goes on
/// with it.
base::Result<std::vector<std::int32_t>> renderChat(const Engine& engine,
                                                   const std::vector<ChatMessage>& messages,
                                                   bool addGenerationPrompt = true);

struct ChatPrompt {
  std::string text;
  std::vector<std::int32_t> tokens;
};
/// The same for a conversation that is more than roles and texts: `variables` are the template's own,
/// "messages", "tools" and others (see answer/chat_template.h); the tokens' names and the wish for an answer
/// are added. `variables["messages"]` must be a list of objects.
base::Result<ChatPrompt> renderTemplate(const Engine& engine, nlohmann::ordered_json variables);

}  // namespace quern::engine::scheduler
