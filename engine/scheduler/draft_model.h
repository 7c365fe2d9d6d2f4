// A small model that guesses for a large one with the same vocabulary.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/result.h"
#include "engine/runtime/backend.h"
#include "engine/sampling/sampler.h"
#include "engine/scheduler/block_pool.h"
#include "engine/scheduler/hit_rates.h"
#include "engine/scheduler/proposer.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::engine::scheduler {

/// Whether a token number means the same to both. A surplus of up to 512 tokens on either side is padding
/// that makers put there for their devices and is allowed. Error kUnsupported names the first token that
/// differs.
base::Result<void> checkSameVocabulary(const tokenizer::Tokenizer& model, const tokenizer::Tokenizer& draft);

/// Engine thread only. It has its own executable and cache, and one Follower for each sequence, which it
/// brings up to the sequence's end and then decodes on from there. Its guesses are drawn by a clone of the
/// request's sampler with the same random numbers: where the two models' distributions are near each other,
/// so are the two draws, and about sum(min(p, q)) of the drafts are right.
///
/// Its workers sleep outside of its calls; whoever calls lets the large model's sleep meanwhile
/// (Executable::setActive), or they take the cores from each other.
///
/// Where it cannot help (no blocks left, a context longer than its own, a token that it does not know, a
/// device that failed), it proposes nothing; that is never an error of the request.
class DraftModel {
 public:
  struct Limits {
    std::int32_t vocabulary = 0;     ///< of the large model
    std::int32_t contextTokens = 0;  ///< of the executable, as the next two
    std::int32_t batchTokens = 0;
    std::int32_t logitRows = 0;
  };
  /// `endsAnswer`: nothing is guessed behind such a token.
  DraftModel(std::unique_ptr<runtime::Executable> executable, const Limits& limits,
             std::function<bool(std::int32_t token)> endsAnswer = {});
  ~DraftModel();

  class Follower;
  /// For one sequence; must not outlive the model.
  std::unique_ptr<Follower> follow();

  struct Ask {
    Follower* follower;
    std::span<const std::int32_t> tokens;
    std::int32_t most;
    const sampling::Sampler* sampler;
    Proposal* proposal;
  };
  /// Proposer::propose() for several sequences, whose tokens are computed together. One call computes at most
  /// one batch of what followers are behind by: a long prompt takes several calls, and until then there are
  /// no drafts for it.
  void proposeAll(std::span<const Ask> asks);

  bool hasFailed() const { return hasFailed_; }
  std::int32_t blocksUsed() const { return pool_.used(); }
  const runtime::Executable& executable() const { return *executable_; }

 private:
  struct Turn;

  bool prepare(const Ask& ask);
  bool grow(Follower& follower, std::size_t tokens);
  bool run();
  void catchUp();
  void addSlice(Turn& turn, std::size_t tokens, bool isPrompt);
  void draft(std::span<Turn*> turns);
  bool guess(Turn& turn, std::span<float> logits);

  std::unique_ptr<runtime::Executable> executable_;
  Limits limits_;
  std::function<bool(std::int32_t)> endsAnswer_;
  BlockPool pool_;
  bool hasFailed_ = false;
  HitRates rates_;    ///< by how clearly the draft model preferred its token
  HitRates overall_;  ///< one kind: any draft
  double secondsPerDraft_ = 0;

  // Of one call.
  std::vector<Turn> turns_;
  std::vector<Turn*> active_;
  std::vector<runtime::Slice> slices_;
  std::vector<float> row_;  ///< the draft's logits as the large model's sampler reads them
};

class DraftModel::Follower : public Proposer {
 public:
  explicit Follower(DraftModel& model) : model_(model) {}
  ~Follower() override { restart(); }
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  void propose(std::span<const std::int32_t> tokens, std::int32_t most, const sampling::Sampler& sampler,
               Proposal& proposal) override;
  void restart() override;
  double expected() const override { return model_.overall_.rate(0); }
  double secondsPerDraft() const override { return model_.secondsPerDraft_; }

 private:
  friend class DraftModel;
  struct Guess {
    std::int32_t token;
    std::size_t kind;
  };
  void learn(std::span<const std::int32_t> tokens);
  void align(std::span<const std::int32_t> tokens);

  DraftModel& model_;
  std::vector<std::int32_t> cached_;  ///< tokens whose keys and values are in the cache
  std::size_t agreed_ = 0;            ///< of them, known to be the sequence's
  std::vector<BlockPool::Block> blocks_;
  std::optional<sampling::Sampler> sampler_;
  std::vector<Guess> guesses_;  ///< the last ones …
  std::size_t guessedAt_ = 0;   ///< … made when the sequence had so many tokens
};

}  // namespace quern::engine::scheduler
