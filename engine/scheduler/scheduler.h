// What runs in each step: who comes in, who is given which blocks of the KV cache, which tokens go into the
// batch, who has to make room. It has no thread, no lock and no clock of its own, so that tests drive it step
// by step; loop.h puts it on the engine thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_set>
#include <vector>

#include "engine/runtime/backend.h"
#include "engine/scheduler/block_pool.h"
#include "engine/scheduler/draft_length.h"
#include "engine/scheduler/draft_model.h"
#include "engine/scheduler/engine.h"
#include "engine/scheduler/prefix_store.h"
#include "engine/scheduler/sequence.h"
#include "engine/scheduler/step_budget.h"
#include "engine/scheduler/waiting_queue.h"

namespace quern::engine::scheduler {

/// Engine thread only.
class Scheduler {
 public:
  using Now = std::function<Clock::time_point()>;

  /// `options` with the defaults filled in. `executable` outlives this.
  Scheduler(runtime::Executable& executable, std::shared_ptr<const tokenizer::Tokenizer> tokenizer,
            const LoadOptions& options, Now now = Clock::now);

  /// A small model that guesses for this one; without, guesses are looked up in the text itself.
  void setDraftModel(std::unique_ptr<DraftModel> model) { draftModel_ = std::move(model); }

  /// Makes scores of a hidden state, for Pooling::kRank.
  using Classify = std::function<std::vector<float>(std::span<const float>)>;
  void setClassifier(Classify classify) { classify_ = std::move(classify); }

  /// What names the contents of this cache on disk; asked for when a state is saved or restored, once.
  void setIdentity(std::function<CacheIdentity()> identity) { makeIdentity_ = std::move(identity); }
  /// Where known beginnings go that the cache gives up, and where they are looked for.
  void setPrefixStore(std::unique_ptr<PrefixStore> store);
  /// Writes all known beginnings there. Waits for the disk.
  void spillAll();
  /// Writes what is known of the beginning of `tokens` to a file, as far as it was computed as a prompt's;
  /// returns how many tokens that is. Errors: kIo.
  base::Result<std::int32_t> saveState(std::span<const std::int32_t> tokens,
                                       const std::filesystem::path& path);
  /// Makes it known again; returns the tokens. Errors: kNotFound, kIo; a file of another model has none.
  base::Result<std::int32_t> restoreState(const std::filesystem::path& path);

  void add(std::shared_ptr<Job> job);
  /// Somebody runs or waits.
  bool hasWork() const { return !running_.empty() || !waiting_.empty(); }
  /// Ends what is cancelled or too late, takes in who may come, and computes one batch.
  void step();
  /// Every sink gets its last event.
  void cancelAll();

  /// An answer that was made for a person is a part of their next prompt, where its tokens are computed as a
  /// prompt's. rehearse() computes the next slice of such a prompt ahead of its being asked for; only when
  /// nobody runs or waits.
  bool canRehearse() const { return rehearsal_ != nullptr || !rehearsals_.empty(); }
  void rehearse();

  /// How things stand.
  struct Report {
    std::uint64_t generated = 0;  ///< tokens of answers; since the beginning, as all that follow
    std::uint64_t prompt = 0;     ///< tokens that were computed in slices: of prompts, and again after losses
    std::uint64_t recomputed = 0;  ///< of these, those that had been computed before
    std::uint64_t bytes = 0;       ///< read for the answers
    std::uint64_t cached = 0;      ///< tokens of prompts that never had to be computed
    std::uint64_t drafted = 0, accepted = 0, preemptions = 0, refused = 0;
    std::int32_t running = 0;
    std::int32_t waiting = 0;
    std::int32_t blocksUsed = 0, blocksKnown = 0;
    /// About how long one more request would wait: 0 while there are places.
    std::chrono::duration<double> wait{0};
  };
  const Report& report() const { return report_; }
  /// Called after every change, and before the event that tells somebody of it.
  std::function<void(const Report&)> changed;

  /// Bytes/s to hold a decoding speed against; with `measure` set there is one, and it may be measured.
  std::function<double(bool measure)> bandwidth;

 private:
  using SequencePtr = std::shared_ptr<Sequence>;
  using Batch = std::vector<SequencePtr>;

  base::Result<void> makeRoom(std::span<const runtime::AdapterUse> adapters);
  void removeGone();
  void admit();
  bool fits(const Sequence& sequence) const;
  bool isClearlyBefore(const Job& a, const Job& b) const;
  bool couldFit(const Sequence& sequence) const;
  void start(const SequencePtr& sequence);
  std::int32_t takeKnown(Sequence& sequence);
  std::int32_t takeForFree(Sequence& sequence);
  const CacheIdentity& identity();
  std::optional<BlockPool::Block> fetch(Sequence& sequence);
  bool spill(BlockPool::Block block, const BlockKey& parent, std::span<const std::int32_t> tokens);
  std::int32_t knownBlocks(const Sequence& sequence) const;
  std::int32_t classOf(const Sequence& sequence, std::int32_t index) const;
  bool mayReuse(const Sequence& sequence) const;
  std::int32_t places() const;

  void fill();
  void addDecodes();
  void addPrompts();
  void addDrafts();
  void propose(const DraftLength::Step& step);
  bool isClaimed(const Sequence& sequence) const;
  void claim(const Sequence& sequence);
  void lay();
  bool takeBlocks(Sequence& sequence, std::int32_t tokens);
  bool grow(const SequencePtr& sequence, std::int32_t tokens);
  bool isRunning(const SequencePtr& sequence) const;
  SequencePtr victim() const;
  void preempt(const SequencePtr& sequence);
  void freeBlocks(Sequence& sequence, bool keepsAnswers);
  bool isBefore(const Sequence& a, const Sequence& b) const;

  void handOut();
  void publish(Sequence& sequence);
  void fork(const SequencePtr& trunk, std::span<const float> logits);
  SequencePtr branch(const Sequence& trunk, std::int32_t answer);
  void advance(const SequencePtr& sequence, std::int32_t row);
  void verifyDrafts(const SequencePtr& sequence, std::int32_t row);
  void wentOn(const SequencePtr& sequence, std::optional<FinishReason> ended);
  void finish(const SequencePtr& sequence, FinishReason reason, std::optional<base::Error> error = {});
  void noteRehearsal(const Sequence& sequence);
  void look();

  runtime::Executable& executable_;
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer_;
  const LoadOptions options_;
  const Now now_;
  const bool classesAreOne_;  ///< prompts and answers are computed alike: any block serves both
  Clock::time_point time_{};  ///< of the step
  BlockPool pool_;
  std::unique_ptr<DraftModel> draftModel_;  ///< outlives all sequences, which may follow it
  Classify classify_;
  WaitingQueue waiting_;
  StepBudget budget_;
  DraftLength draftLength_;
  std::function<CacheIdentity()> makeIdentity_;
  std::optional<CacheIdentity> identity_;
  std::unique_ptr<PrefixStore> store_;
  std::size_t fetched_ = 0;          ///< blocks read from there in this step
  std::vector<std::byte> contents_;  ///< of a block on its way
  Batch running_;                    ///< in the order in which they came in
  double serviceSeconds_ = 0;        ///< a request's mean time from its start to its end
  Report report_;

  // Of the step; kept so that nothing is allocated in it.
  std::vector<runtime::Slice> slices_;
  Batch batch_;
  Batch order_;
  std::unordered_set<BlockKey> claims_;  ///< blocks that somebody computes in this step
  std::vector<float> forkLogits_;
  std::vector<Proposal*> proposals_;
  std::vector<DraftModel::Ask> asks_;

  std::deque<Request> rehearsals_;
  SequencePtr rehearsal_;
};

}  // namespace quern::engine::scheduler
