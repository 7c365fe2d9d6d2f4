// Runs a Plan: one dispatch to the pool a step, a phase for every operation that depends on the one before.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "engine/gguf/file.h"
#include "engine/model/program.h"
#include "engine/runtime/backend.h"
#include "engine/runtime/cpu/activation_space.h"
#include "engine/runtime/cpu/cpu_adapter.h"
#include "engine/runtime/cpu/kv_cache.h"
#include "engine/runtime/cpu/phases.h"
#include "engine/runtime/cpu/plan.h"
#include "engine/runtime/cpu/thread_pool.h"

namespace quern::engine::runtime {

/// Shares of a phase for each thread at most: with more of them a worker that was put aside costs less, with
/// fewer the counters do.
inline constexpr std::int64_t kSharesAThread = 4;
/// Phases of a mixture of experts: choose, put in order, then prepare and multiply twice.
inline constexpr std::size_t kExpertPhases = 6;
/// Up to this many tokens every worker prepares the whole input for itself: norming and rounding a row twice
/// costs less than a barrier.
inline constexpr std::int64_t kPrivateTokens = 4;
/// Tiles of 16 rows in a share at least: about a microsecond of reading.
inline constexpr std::int64_t kTilesAShare = 6;
/// Bytes of activations that go through a worker's tiles together: half of a second-level cache of 1 MiB, so
/// that they are still there for the next tile.
inline constexpr std::int64_t kActivationBytes = 512 << 10;
/// To be raised with every change to kernels, plan or cache layout after which a token's key or value may
/// differ in a bit: contents of the cache that were kept on disk are then not used again.
inline constexpr int kCpuArithmetic = 2;

/// Tokens of one head that are multiplied together in latent attention: their rows and the head's matrix stay
/// in a second-level cache.
inline constexpr std::int64_t kLatentTokens = 32;
/// Floats of the widest input of a head's matrix; 0 without latent attention.
inline std::int64_t widestLatent(const model::Program& program) {
  return std::max(program.latent.rank, program.latent.plain);
}

class CpuExecutable : public Executable {
 public:
  static base::Result<std::unique_ptr<CpuExecutable>> make(std::shared_ptr<const gguf::File> file,
                                                           const model::Program& program,
                                                           const kernels::cpu::Kernels& kernels,
                                                           const CompileOptions& options,
                                                           std::int32_t threads, const Progress& progress);
  /// Bytes that make() will allocate beside weights and cache.
  static std::uint64_t workBytesFor(const model::Program& program, const kernels::cpu::Kernels& kernels,
                                    const CompileOptions& options, std::int32_t threads);

  base::Result<void> run(const Batch& batch) override;
  std::span<float> logits(std::int32_t index) override;
  std::span<const float> hidden(std::int32_t index) const override;
  bool readsWholeTexts() const override { return !program_.isCausal; }
  std::int32_t vocabularySize() const override { return program_.vocabulary; }
  std::int32_t hiddenWidth() const override { return program_.width; }
  bool promptsAreDecodes() const override;
  std::string numerics() const override;
  base::Result<std::shared_ptr<const Adapter>> compileAdapter(const gguf::File& file) const override;
  base::Result<void> makeRoomFor(const Adapter& adapter) override;
  std::int32_t kvBlocks() const override { return cache_.blocks(); }
  void copyBlock(std::uint32_t from, std::uint32_t to) override;
  std::size_t blockBytes() const override { return cache_.blockBytes(); }
  void readBlock(std::uint32_t block, std::span<std::byte> to) const override;
  void writeBlock(std::uint32_t block, std::span<const std::byte> from) override;
  MemoryUse memory() const override;
  std::uint64_t bytesPerToken(std::int32_t position) const override;
  std::uint64_t bytesOfLastRun() const override;
  double readBandwidth() override;
  bool settle() override;
  std::int32_t threads() const override { return pool_->threads(); }
  std::string description() const override;
  void setActive(bool active) override { pool_->setActive(active); }

 private:
  /// What each token of the running batch is.
  struct Token {
    std::int32_t id;
    std::int32_t position;
    std::int32_t slice;
    std::int32_t panel;  ///< its number among those that go through Kernels::panelMatmul; -1: it does not
  };
  /// Tokens beside each other that are computed in the same way.
  struct Run {
    std::int32_t first;
    std::int32_t tokens;
    std::int32_t panel;  ///< number of the first as above, or -1
  };
  /// One share of attention: some query tokens of a slice, the query heads of one key/value head, and all
  /// chunks of the sequence or some of them.
  struct AttentionUnit {
    std::int32_t slice = 0;
    std::int32_t head = 0;        ///< key/value head
    std::int32_t firstToken = 0;  ///< in the batch
    std::int32_t tokens = 0;
    std::int32_t firstChunk = 0;
    std::int32_t endChunk = 0;
    std::int32_t split = kNotSplit;  ///< in splits_, when other units have the other chunks
  };
  static constexpr std::int32_t kNotSplit = -1;
  /// Where the vectors of a head lie: from float `offset` of each of its `stride` in a row of the buffer.
  struct HeadPart {
    model::Buffer buffer;
    std::int64_t stride;
    std::int64_t offset;
  };
  /// What the units that share a sequence along its length have in common.
  struct AttentionSplit {
    std::atomic<std::int32_t> done{0};  ///< units, over all layers of a run
    std::int32_t units = 0;
    std::size_t partials = 0;  ///< floats from the beginning of partials_
  };
  /// What a worker has for itself, so that small batches need no phase between preparing and multiplying.
  struct Worker {
    ActivationSpace input;
    ActivationSpace latent;                      ///< kLatentTokens rows of one head
    AlignedBuffer products;                      ///< as CpuExecutable::products_, kPrivateTokens rows
    AlignedBuffer attention;                     ///< floats of scratch
    std::vector<const std::byte*> keys, values;  ///< block pointers of the unit at hand
  };

  /// Rows beside each other, of the batch or of those whose logits are wanted, that have the same adapters.
  struct Adapted {
    std::int32_t first = 0;
    std::int32_t tokens = 0;
    std::span<const AdapterUse> uses;
  };

  explicit CpuExecutable(model::Program program, const kernels::cpu::Kernels& kernels)
      : program_(std::move(program)), kernels_(kernels) {}

  base::Result<void> check(const Batch& batch) const;
  void lay(const Batch& batch);
  void layAttention(const Batch& batch);
  void work(std::int32_t worker);

  void embed(const EmbedStep& step, std::int64_t token);
  void norm(const NormWeights& norm, const float* x, std::int64_t width, float* out) const;
  void normAdd(const NormAddStep& step, std::int64_t token);
  void keepHidden(std::size_t& phase);
  void project(const ProjectStep& step, std::int32_t worker, std::size_t& phase, bool head);
  /// Inputs as a projection reads them: prepared, and their products with adapters.
  struct Prepared {
    ActivationSpace& space;
    float* products;
  };
  void multiply(const ProjectStep& step, std::int64_t firstTile, std::int64_t lastTile,
                const Prepared& inputs, const Run& run, bool head);
  void prepare(const ProjectStep& step, std::int64_t token, std::int32_t worker, const Prepared& inputs,
               bool head);
  const float* scaled(const ProjectStep& step, const float* prepared, std::int64_t token, float* values);
  // Adapters, in cpu_executable_adapters.cpp.
  base::Result<void> checkAdapters(const Slice& slice) const;
  void layAdapters(const Batch& batch);
  /// Floats from one token's products to the next one's: kMostAdapters times those of one.
  std::int64_t productStride() const { return static_cast<std::int64_t>(kMostAdapters) * productFloats_; }
  void prepareChanges(const ProjectStep& step, std::span<const AdapterUse> uses, const float* input,
                      float* products) const;
  void addChanges(const ProjectStep& step, std::size_t output, std::int64_t rowBegin, std::int64_t rowEnd,
                  const float* products, const Run& run, bool head);
  void attend(const AttendStep& step, std::int32_t worker, std::size_t& phase);
  void experts(const ExpertsStep& step, std::int32_t worker, std::size_t& phase);
  void absorbKeys(const AbsorbKeysStep& step, std::int32_t worker, std::size_t& phase);
  void expandValues(const ExpandValuesStep& step, std::int32_t worker, std::size_t& phase);
  void projectHead(const PackedStack& weights, std::int32_t head, const HeadPart& in, const HeadPart& out,
                   ActivationSpace& space);
  void chooseFor(const ExpertsStep& step, std::int64_t token, Routing& routing, std::vector<float>& scratch);
  void groupPairs(const ExpertsStep& step, Routing& routing);
  void prepareInput(const ExpertsStep& step, std::int64_t token, const Routing& routing,
                    ActivationSpace& space, std::vector<float>& row);
  void prepareHidden(const ExpertsStep& step, std::int64_t pair, const Routing& routing,
                     ActivationSpace& space, std::vector<float>& row);
  void multiplyExpert(const PackedStack& weights, std::int64_t firstTile, std::int64_t lastTile,
                      const ExpertGroup& group, ActivationSpace& space, float* out, std::int64_t stride);
  void addUpExperts(const ExpertsStep& step, const Routing& routing, std::int64_t firstTile,
                    std::int64_t lastTile);
  /// A phase of work(token), a few tokens a share.
  template <class Work>
  void overTokens(std::size_t& phase, std::int64_t tokens, Work&& work) {
    const std::int64_t shares = std::min<std::int64_t>(tokens, kSharesAThread * pool_->threads());
    phases_->run(phase++, static_cast<std::int32_t>(shares), [&](std::int32_t share) {
      for (std::int64_t t = tokens * share / shares; t < tokens * (share + 1) / shares; ++t) work(t);
    });
  }
  /// What attention needs beside the cache: scratch of each worker, sequences that can be split at once, and
  /// the partial sums of all of their parts.
  struct AttentionRoom {
    std::size_t scratchFloats = 0;
    std::size_t splits = 0;
    std::size_t partialFloats = 0;
  };
  static AttentionRoom attentionRoom(const model::Program& program, const kernels::cpu::Kernels& kernels,
                                     std::int32_t blocks, std::int32_t threads);
  base::Result<void> makeAttention();
  void addUnit(AttentionUnit unit, std::int32_t parts, std::int32_t& splits, std::size_t& partials);
  std::int32_t seenEndOf(const AttentionUnit& unit) const;
  void storeToken(const AttendStep& step, std::int64_t token, std::int32_t firstHead, std::int32_t heads);
  void attendUnit(const AttendStep& step, const AttentionUnit& unit, Worker& space);
  kernels::cpu::HeadTurn turnOf(const AttendStep& step, std::int64_t token) const;
  kernels::cpu::HeadTurn turnOfQuery(const AttendStep& step, std::int64_t token,
                                     std::int32_t firstHead) const;
  kernels::cpu::HeadTurn turnOfKey(const AttendStep& step, std::int64_t token, std::int32_t head) const;

  float* row(model::Buffer buffer, std::int64_t token) {
    return buffers_[static_cast<std::size_t>(buffer)].as<float>() + token * program_.widthOf(buffer);
  }
  std::shared_ptr<const gguf::File> file_;
  model::Program program_;
  const kernels::cpu::Kernels& kernels_;
  CompileOptions options_;
  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<Phases> phases_;
  Plan plan_;
  KvCache cache_;
  std::array<AlignedBuffer, model::kBuffers> buffers_;
  ActivationSpace shared_;
  std::vector<Worker> workers_;
  ExpertRoom experts_;
  std::atomic<std::uint64_t> expertBytesRead_{0};  ///< by the last run
  std::vector<AlignedBuffer> cosSin_;              ///< one a rope: [batchTokens, rotary]
  std::vector<bool> longRope_;
  std::uint64_t workBytes_ = 0;
  /// Products of inputs with the adapters' first factors, [batchTokens, kMostAdapters, productFloats_];
  /// taken by makeRoomFor().
  AlignedBuffer products_;
  std::int64_t productFloats_ = 0;
  std::int32_t decodeWorkers_ = 1;  ///< of the pool: enough for steps of few tokens
  double readBandwidth_ = 0;        ///< 0: not measured yet

  // The running batch.
  const Batch* batch_ = nullptr;
  std::vector<Token> tokens_;
  std::vector<Run> runs_;
  std::vector<std::int32_t> wanted_;  ///< batch rows whose logits are asked for
  std::vector<std::int32_t> wantedHidden_;
  std::vector<Adapted> adapted_;          ///< rows of the batch; empty: nobody has an adapter
  std::vector<Adapted> adaptedHead_;      ///< rows of wanted_
  std::vector<const Adapter*> adapters_;  ///< those of the batch, each once, while it runs
  std::uint64_t adapterBytesRead_ = 0;    ///< by the last run
  std::vector<AttentionUnit> units_;
  std::int32_t unitsAShare_ = 1;
  bool fusesAttention_ = false;               ///< who attends for a head has also stored its key and value
  std::unique_ptr<AttentionSplit[]> splits_;  ///< kMostSplits
  AlignedBuffer hidden_;                      ///< floats [hiddenRows, width]
  AlignedBuffer partials_;                    ///< floats
  std::size_t partialFloats_ = 0;
};

}  // namespace quern::engine::runtime
