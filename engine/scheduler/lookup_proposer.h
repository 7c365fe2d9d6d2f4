// Drafts without a second model: an answer that repeats its prompt or itself goes on as it did there.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/scheduler/copy_cursor.h"
#include "engine/scheduler/hit_rates.h"
#include "engine/scheduler/ngram_index.h"
#include "engine/scheduler/proposer.h"

namespace quern::engine::scheduler {

/// Prompt lookup (A. Saxena, 2023) with three differences: it goes on behind a change of what is copied
/// (copy_cursor.h); every token that comes is held against what would have been guessed, asked for or not, so
/// that a probability is known for each draft, from the length of the match and from how such guesses have
/// fared in this very answer; and all of it is incremental: a token costs some 0.2 µs at any length.
class LookupProposer : public Proposer {
 public:
  /// `endsAnswer`: nothing is guessed behind such a token.
  explicit LookupProposer(std::function<bool(std::int32_t token)> endsAnswer = {});

  void propose(std::span<const std::int32_t> tokens, std::int32_t most, const sampling::Sampler& sampler,
               Proposal& proposal) override;
  void restart() override;

 private:
  void read(std::span<const std::int32_t> tokens);
  void follow(std::span<const std::int32_t> text);
  void learn(std::span<const std::int32_t> text);
  void search(std::span<const std::int32_t> text);

  std::function<bool(std::int32_t)> endsAnswer_;
  NgramIndex index_;
  HitRates rates_;
  CopyCursor cursor_;
  std::vector<Edit> edits_;
  std::size_t read_ = 0;  ///< tokens of the sequence that are known
};

}  // namespace quern::engine::scheduler
