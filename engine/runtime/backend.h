// The seam between what is computed and on what: a Backend compiles a model's Program once for its device;
// the Executable that comes out runs batches. Nothing is allocated or decided in the token loop.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace quern::engine::gguf {
class File;
}
namespace quern::engine::model {
struct Program;
}

namespace quern::engine::runtime {

/// How keys and values are kept; kv_type.h has the names.
enum class KvCacheType : std::uint8_t { kF32, kF16, kQ8_0, kQ4_0 };

/// Tokens in one block of the KV cache.
inline constexpr std::int32_t kKvBlockTokens = 32;

struct CompileOptions {
  std::int32_t kvTokens = 4096;  ///< tokens that the KV cache holds over all sequences; rounded up to blocks
  /// Greater than 0: where memory is short, the cache may hold fewer, but not less than these; it then takes
  /// half of what is free beside weights and work.
  std::int32_t leastKvTokens = 0;
  std::int32_t contextTokens = 0;  ///< the longest sequence (it chooses LongRoPE's factors); 0: kvTokens
  std::int32_t batchTokens = 512;  ///< the most tokens in one Batch
  std::int32_t logitRows = 64;     ///< the most rows of logits in one Batch
  /// The most hidden states in one Batch: batchTokens for embeddings, 0 (and no memory) for models that only
  /// answer.
  std::int32_t hiddenRows = 0;
  std::int32_t threads = 0;  ///< 0: one per physical core
  KvCacheType kvType = KvCacheType::kF16;
  std::string kernels;  ///< empty: the best; otherwise a table's name, for tests and comparisons
};

/// Called with 0…1 while loading, from the loading thread. Returning false cancels (Error kCancelled).
using Progress = std::function<bool(double fraction)>;

/// A LoRA adapter, compiled by an Executable for itself alone. Immutable; what computes with it must not
/// outlive it.
class Adapter {
 public:
  virtual ~Adapter() = default;
  virtual std::uint64_t sizeBytes() const = 0;  ///< in memory
};

/// One of the adapters that a slice is computed with: its changes are multiplied by `scale` and added.
struct AdapterUse {
  const Adapter* adapter = nullptr;
  float scale = 1.0F;
};
/// Adapters that a slice may have at most.
inline constexpr std::size_t kMostAdapters = 8;

/// A run of tokens of one sequence. Positions are consecutive; blockTable[p / kKvBlockTokens] is the cache
/// block of position p, for all positions from 0 to the slice's last.
struct Slice {
  std::span<const std::int32_t> tokens;
  std::int32_t firstPosition = 0;
  std::span<const std::uint32_t> blockTable;
  /// Rows of logits wanted: the last `logitRows` tokens of this slice (0: none, as for the middle of a
  /// prompt).
  std::int32_t logitRows = 0;
  /// Tokens of a prompt, which a device may compute with other roundings than those it decodes one by one.
  /// What a token gives depends on this and never on how many tokens a slice or a batch has.
  bool isPrompt = false;
  /// Hidden states wanted: those of the last `hiddenRows` tokens of this slice, whatever logitRows is.
  std::int32_t hiddenRows = 0;
  /// What is added to the model's matrices for these tokens, in this order, which the roundings hang on. All
  /// slices of a sequence have the same: keys and values in the cache were computed with them. Each has been
  /// given to makeRoomFor() before.
  std::span<const AdapterUse> adapters = {};
};

struct Batch {
  std::span<const Slice> slices;
};

struct MemoryUse {
  std::uint64_t weightBytes = 0;
  std::uint64_t kvBytes = 0;
  std::uint64_t workBytes = 0;
};

/// A compiled model. run() is called by one thread at a time (the engine thread).
class Executable {
 public:
  virtual ~Executable() = default;

  /// Runs one step. On success logits() holds the wanted rows in the order of the slices. Errors:
  /// kInvalidArgument (limits of CompileOptions exceeded), kDevice.
  virtual base::Result<void> run(const Batch& batch) = 0;
  /// Row `index` of the last run: [vocabularySize]. Valid and writable until the next run().
  virtual std::span<float> logits(std::int32_t index) = 0;
  /// What the last run left in the residual stream, after the final norm: [hiddenWidth]. `index` counts the
  /// hidden states that were asked for, in the order of the slices. Valid until the next run().
  virtual std::span<const float> hidden(std::int32_t index) const = 0;

  /// An encoder: a text must come in one slice, and gives hidden states but no logits.
  virtual bool readsWholeTexts() const { return false; }
  virtual std::int32_t vocabularySize() const = 0;
  virtual std::int32_t hiddenWidth() const = 0;
  /// Whether a token gives the same to the last bit with Slice::isPrompt as without. Then what was computed
  /// as a prompt and what was decoded may stand for each other in the cache.
  virtual bool promptsAreDecodes() const = 0;
  /// A name for everything beside the weights and the cache's type that the bits in the cache hang on:
  /// device, kernels, the release of their arithmetic, choices made for the length of the context. Contents
  /// of blocks may outlive an executable, but serve only one with the same name.
  virtual std::string numerics() const = 0;

  /// Compiles a LoRA adapter for slices of this executable. From any thread, beside run() too; the file may
  /// go afterwards. Errors: as model::readAdapter(), kMalformed for numbers that are not finite,
  /// kOutOfMemory.
  virtual base::Result<std::shared_ptr<const Adapter>> compileAdapter(const gguf::File& file) const {
    (void)file;
    return base::Error(base::ErrorCode::kUnsupported, "This device cannot run adapters.");
  }
  /// Takes the memory that run() needs for slices with this adapter, once for all of no higher rank. On the
  /// thread that calls run(). Errors: kOutOfMemory, kInvalidArgument (an adapter of another executable).
  virtual base::Result<void> makeRoomFor(const Adapter& adapter) {
    (void)adapter;
    return base::ok();
  }

  // The cache's blocks. As run(), these belong to one thread, and a number beyond kvBlocks() is a mistake.
  virtual std::int32_t kvBlocks() const = 0;  ///< blocks in the cache
  /// Copies the contents of one cache block over another (copy on write).
  virtual void copyBlock(std::uint32_t from, std::uint32_t to) = 0;
  /// Bytes of a block: keys and values of all layers.
  virtual std::size_t blockBytes() const = 0;
  /// All that a block holds, [blockBytes()], and back, exactly.
  virtual void readBlock(std::uint32_t block, std::span<std::byte> to) const = 0;
  virtual void writeBlock(std::uint32_t block, std::span<const std::byte> from) = 0;

  virtual MemoryUse memory() const = 0;
  /// Bytes that one decode step of one sequence at this position must read: weights (of a mixture of experts
  /// as many as a token uses) plus cache. What tokens/s are held against.
  virtual std::uint64_t bytesPerToken(std::int32_t position) const = 0;
  /// Bytes that the last run had to read beside the keys and values of earlier tokens: weights, of a mixture
  /// of experts only those that its tokens chose. For others, bytesPerToken(0).
  virtual std::uint64_t bytesOfLastRun() const { return bytesPerToken(0); }
  /// Bytes/s with which this executable's threads read its weights again and again: what decoding is held
  /// against. Measured by the first call (under 0.2 s), on the thread that calls run(); 0: unknown.
  virtual double readBandwidth() { return 0; }
  virtual std::int32_t threads() const = 0;
  virtual std::string description() const = 0;  ///< "CPU AVX-512 VNNI, 2 threads"

  /// Does a piece of what was put off to be ready sooner, for some milliseconds; true while there is more. On
  /// the thread that calls run(), when nobody waits for it.
  virtual bool settle() { return false; }

  /// Hint that tokens are (not) being made: workers spin while active, sleep otherwise.
  virtual void setActive(bool active) = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;  ///< "cpu"
  /// `program` names tensors of `file`. Errors: kOutOfMemory (need and free in the sentence), kUnsupported (a
  /// tensor type no kernel reads), kCancelled.
  virtual base::Result<std::unique_ptr<Executable>> compile(std::shared_ptr<const gguf::File> file,
                                                            const model::Program& program,
                                                            const CompileOptions& options,
                                                            const Progress& progress) = 0;
};

std::unique_ptr<Backend> makeCpuBackend();

/// The bandwidth, in bytes/s, with which `threads` threads of this machine read the same `workingSetBytes`
/// again and again: the memory's for large models, the last-level cache's for models that fit into it. 0
/// bytes: far more than any cache. Measured once a size (≈ 0.3 s) and remembered for the life of the process.
double measuredReadBandwidth(std::int32_t threads, std::uint64_t workingSetBytes = 0);

}  // namespace quern::engine::runtime
