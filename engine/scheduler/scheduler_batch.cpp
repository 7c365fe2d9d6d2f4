// Which tokens a step computes.

#include <algorithm>
#include <cmath>

#include "engine/scheduler/forced_tokens.h"
#include "engine/scheduler/lookup_proposer.h"
#include "engine/scheduler/scheduler.h"

namespace quern::engine::scheduler {
namespace {

using runtime::kKvBlockTokens;

}  // namespace

/// Answers first, each with its next token; then slices of prompts, the most urgent first, as the budget
/// allows.
void Scheduler::fill() {
  slices_.clear();
  batch_.clear();
  claims_.clear();
  order_ = running_;
  std::sort(order_.begin(), order_.end(), [&](const auto& a, const auto& b) { return isBefore(*a, *b); });
  addDecodes();
  addPrompts();
  addDrafts();
  lay();
}

void Scheduler::addDecodes() {
  std::int32_t room = options_.batchTokens;
  for (const auto& sequence : order_) {
    if (!sequence->isDecoding() || room == 0 || !isRunning(sequence)) continue;
    sequence->planned = 1;
    if (grow(sequence, 1)) {
      batch_.push_back(sequence);
      --room;
    }
  }
}

void Scheduler::addPrompts() {
  const auto decoding = static_cast<std::int32_t>(batch_.size());
  const auto prefilling = static_cast<std::int32_t>(
      std::count_if(running_.begin(), running_.end(), [](const auto& s) { return !s->isDecoding(); }));
  if (prefilling == 0) return;
  // An encoder's text is one slice; no answers wait beside it.
  const bool wholeTexts = executable_.readsWholeTexts();
  std::int32_t budget = wholeTexts ? options_.batchTokens : budget_.promptTokens(decoding, prefilling);
  for (const auto& sequence : order_) {
    if (budget == 0) break;
    if (sequence->isDecoding() || !isRunning(sequence)) continue;
    // What another has computed since is taken over; what another computes in this step is waited for.
    const std::int32_t found = takeForFree(*sequence);
    if (found > 0) sequence->found(found);
    if (sequence->awaitsDisk || isClaimed(*sequence)) continue;
    // One slice has one class.
    const auto all = static_cast<std::int32_t>(sequence->tokens.size());
    const std::int32_t end = sequence->computed < sequence->promptEnd ? sequence->promptEnd : all;
    const double cost = sequence->computesAnswerAgain() ? budget_.answerTokenCost() : 1.0;
    const auto affordable = std::max(1, static_cast<std::int32_t>(budget / cost));
    const std::int32_t tokens = std::min(end - sequence->computed, affordable);
    if (wholeTexts && tokens < end) break;  // the next step begins with it
    if (!grow(sequence, tokens)) continue;
    claim(*sequence);
    sequence->planned = tokens;
    batch_.push_back(sequence);
    budget = std::max(0, budget - static_cast<std::int32_t>(std::ceil(tokens * cost)));
  }
}

/// Guesses how answers go on, as far as checking them pays: rows that are added to the batch.
void Scheduler::addDrafts() {
  if (options_.speculation == Speculation::kOff) return;
  DraftLength::Step step;
  step.sequences = 0;
  std::int32_t rows = 0;
  std::int32_t tokens = 0;
  std::int32_t prompts = 0;
  for (const auto& sequence : batch_) {
    sequence->guessed.clear();
    tokens += sequence->planned;
    rows += sequence->left() == sequence->planned ? 1 : 0;
    (sequence->isDecoding() ? step.sequences : prompts) += sequence->planned;
  }
  if (step.sequences == 0) return;
  // Time that is there for more tokens goes to those who wait for their first.
  if (prompts == 0) {
    step.mostDrafts = std::min(options_.batchTokens - tokens, options_.parallel + kDraftRows - rows);
  }
  propose(step);
  draftLength_.choose(proposals_, step);
  for (const auto& sequence : batch_) {
    const auto& drafts = sequence->proposal.tokens;
    if (!sequence->isDecoding() || !sequence->proposer || drafts.empty()) continue;
    // Nobody makes room for guesses.
    (void)takeBlocks(*sequence, static_cast<std::int32_t>(drafts.size()) + 1);
    const auto room = static_cast<std::int32_t>(sequence->blocks.size()) * kKvBlockTokens;
    sequence->proposal.cut(static_cast<std::size_t>(room - sequence->computed - 1));
    if (drafts.empty()) continue;
    sequence->guessed.assign(1, sequence->tokens.back());
    sequence->guessed.insert(sequence->guessed.end(), drafts.begin(), drafts.end());
    sequence->planned = static_cast<std::int32_t>(sequence->guessed.size());
  }
}

void Scheduler::propose(const DraftLength::Step& step) {
  proposals_.clear();
  asks_.clear();
  for (const auto& sequence : batch_) {
    sequence->proposal.clear();
    if (!sequence->isDecoding() || !sequence->request().speculate) continue;
    if (!sequence->proposer) {
      if (draftModel_) {
        sequence->proposer = draftModel_->follow();
      } else {
        sequence->proposer = std::make_unique<LookupProposer>(
            [this](std::int32_t token) { return tokenizer_->endsGeneration(token); });
      }
    }
    const auto all = static_cast<std::int32_t>(sequence->tokens.size());
    std::int32_t room = std::min(step.mostDrafts, options_.contextTokens - all - 1);
    if (const std::int32_t limit = sequence->request().maxTokens; limit >= 0) {
      room = std::min(room, limit - sequence->generated() - 1);
    }
    room = std::max(room, 0);
    proposals_.push_back(&sequence->proposal);
    const auto forced = forcedTokens(*sequence, *tokenizer_, room);
    std::int32_t most = room;
    if (!forced.empty()) most = 0;
    if (most > 0) most = std::min(most, draftLength_.wanted(*sequence->proposer, step));
    if (draftModel_ && !draftModel_->hasFailed() && most > 0) {
      asks_.push_back({static_cast<DraftModel::Follower*>(sequence->proposer.get()), sequence->tokens, most,
                       &sequence->sampler(), &sequence->proposal});
    } else {
      sequence->proposer->propose(sequence->tokens, most, sequence->sampler(), sequence->proposal);
    }
    for (const std::int32_t token : forced) sequence->proposal.add(token, kForcedProbability);
  }
  if (!asks_.empty()) {
    // Two pools of workers would take the cores from each other.
    executable_.setActive(false);
    draftModel_->proposeAll(asks_);
    executable_.setActive(true);
  }
  for (const auto& sequence : batch_) cutForbidden(*sequence);
}

/// Does a sequence that is in this batch already compute the block that this one needs next?
bool Scheduler::isClaimed(const Sequence& sequence) const {
  const std::int32_t index = sequence.published;
  // Whoever has begun a block goes on, and whoever needs the logits of its last token as well.
  if (!mayReuse(sequence) || index * kKvBlockTokens != sequence.computed ||
      (index + 1) * kKvBlockTokens >= static_cast<std::int32_t>(sequence.tokens.size())) {
    return false;
  }
  const auto own = sequence.tokensOf(index, kKvBlockTokens);
  return claims_.contains(sequence.place.key.next(own, classOf(sequence, index)));
}

/// Says which block the sequence works on: the others with the same beginning wait until it is known.
void Scheduler::claim(const Sequence& sequence) {
  const auto own = sequence.tokensOf(sequence.published, kKvBlockTokens);
  if (!mayReuse(sequence) || own.size() < static_cast<std::size_t>(kKvBlockTokens)) return;
  claims_.insert(sequence.place.key.next(own, classOf(sequence, sequence.published)));
}

/// Takes blocks for the sequence's next `tokens` tokens; false: there are not so many.
bool Scheduler::takeBlocks(Sequence& sequence, std::int32_t tokens) {
  while (static_cast<std::int32_t>(sequence.blocks.size()) * kKvBlockTokens < sequence.computed + tokens) {
    const auto block = pool_.take();
    if (!block) return false;
    sequence.blocks.push_back(*block);
  }
  return true;
}

/// The same, but others who are less urgent make room for it, and it may have to make room itself: then
/// false.
bool Scheduler::grow(const SequencePtr& sequence, std::int32_t tokens) {
  while (!takeBlocks(*sequence, tokens)) {
    const SequencePtr other = victim();
    preempt(other);
    if (other == sequence) return false;
  }
  return true;
}

bool Scheduler::isRunning(const SequencePtr& sequence) const {
  return std::find(running_.begin(), running_.end(), sequence) != running_.end();
}

/// The batch as slices. Later than choosing: whoever was chosen may have had to make room after all.
void Scheduler::lay() {
  for (const auto& sequence : batch_) {
    const auto begin = static_cast<std::size_t>(sequence->computed);
    runtime::Slice slice;
    slice.tokens = std::span(sequence->tokens).subspan(begin);
    if (!sequence->guessed.empty()) slice.tokens = sequence->guessed;
    slice.tokens = slice.tokens.first(static_cast<std::size_t>(sequence->planned));
    slice.firstPosition = sequence->computed;
    slice.blockTable = sequence->blocks;
    slice.isPrompt = sequence->computed < sequence->promptEnd;
    slice.adapters = sequence->job().adapters;
    const bool isLast = begin + slice.tokens.size() == sequence->tokens.size();
    const bool isEmbedded = sequence->request().pooling != Pooling::kNone;
    slice.logitRows = isLast && !isEmbedded ? 1 : 0;
    if (!sequence->guessed.empty()) slice.logitRows = sequence->planned;
    if (isEmbedded) {
      const bool onlyLast = sequence->request().pooling == Pooling::kLast;
      slice.hiddenRows = onlyLast ? (isLast ? 1 : 0) : sequence->planned;
    }
    slices_.push_back(slice);
  }
}

void Scheduler::rehearse() {
  time_ = now_();
  if (!rehearsal_) {
    if (rehearsals_.empty()) return;
    Request request = std::move(rehearsals_.front());
    rehearsals_.pop_front();
    rehearsal_ = std::make_shared<Sequence>(
        std::make_shared<Job>(RequestId{0}, std::move(request), nullptr, time_), 0, tokenizer_);
  }
  Sequence& sequence = *rehearsal_;
  fetched_ = 0;
  takeKnown(sequence);
  if (sequence.awaitsDisk) return look();
  // Whole blocks only: nothing else is of use to anybody.
  const auto whole = static_cast<std::int32_t>(sequence.tokens.size()) / kKvBlockTokens * kKvBlockTokens;
  const std::int32_t slice = std::max(kKvBlockTokens, budget_.promptTokens(0, 1) / 4);
  const std::int32_t tokens = std::min({whole - sequence.computed, slice, options_.batchTokens});
  bool goesOn = tokens > 0 && takeBlocks(sequence, tokens);
  if (goesOn) {
    sequence.planned = tokens;
    sequence.guessed.clear();
    slices_.clear();
    batch_.assign(1, rehearsal_);
    lay();
    slices_.front().logitRows = 0;
    goesOn = static_cast<bool>(executable_.run({slices_}));
    batch_.clear();
  }
  if (goesOn) {
    sequence.computed += tokens;
    publish(sequence);
  } else {
    freeBlocks(sequence, false);
    rehearsal_.reset();
  }
  look();
}

}  // namespace quern::engine::scheduler
