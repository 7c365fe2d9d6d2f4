// What a step gives: blocks that are known now, tokens, events.

#include <algorithm>
#include <utility>

#include "engine/scheduler/scheduler.h"
#include "engine/scheduler/verification.h"

namespace quern::engine::scheduler {
namespace {

using runtime::kKvBlockTokens;

/// Conversations whose last answers are computed ahead as prompts; older ones are not worth the power.
constexpr std::size_t kMostRehearsals = 4;

}  // namespace

void Scheduler::handOut() {
  std::int32_t decodeRows = 0;
  std::int32_t prompt = 0;
  std::int32_t answersAgain = 0;
  std::uint64_t bytes = 0;
  for (const auto& sequence : batch_) {
    if (!sequence->isDecoding()) {
      (sequence->computesAnswerAgain() ? answersAgain : prompt) += sequence->planned;
      report_.recomputed += static_cast<std::uint64_t>(sequence->reachedOf(sequence->planned));
      continue;
    }
    decodeRows += sequence->planned;
    // The cache is read for each sequence; weights once a step, and which of them is known behind it.
    bytes += executable_.bytesPerToken(sequence->computed) - executable_.bytesPerToken(0);
  }
  const Clock::time_point began = now_();
  const auto ran = executable_.run({slices_});
  const Batch batch = batch_;
  if (!ran) {
    for (const auto& sequence : batch) finish(sequence, FinishReason::kFailed, ran.error());
    return;
  }
  const Clock::time_point before = std::exchange(time_, now_());
  const std::chrono::duration<double> took = time_ - before;
  budget_.measured(decodeRows + answersAgain, prompt, took);
  if (decodeRows > 0) bytes += executable_.bytesOfLastRun();
  // Of the step itself: what guessing costs is counted where it is done.
  if (prompt == 0 && answersAgain == 0) {
    draftLength_.measured(decodeRows, std::chrono::duration<double>(time_ - began).count());
  }
  report_.prompt += static_cast<std::uint64_t>(prompt + answersAgain);
  report_.bytes += bytes;
  std::int32_t row = 0;
  std::int32_t hidden = 0;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const SequencePtr& sequence = batch[i];
    const runtime::Slice slice = slices_[i];
    const bool isPrompt = !sequence->isDecoding();
    if (!isPrompt) sequence->countBytes(bytes);
    if (!sequence->guessed.empty()) {
      verifyDrafts(sequence, row);
      row += slice.logitRows;
      continue;
    }
    sequence->computed += sequence->planned;
    publish(*sequence);
    waiting_.served(sequence->request().client, sequence->planned);
    if (isPrompt) sequence->promptProgress();
    for (std::int32_t t = 0; t < slice.hiddenRows; ++t) {
      sequence->pool(executable_.hidden(hidden++), sequence->computed - slice.hiddenRows + t);
    }
    if (slice.hiddenRows > 0 && sequence->left() == 0) {
      if (sequence->request().pooling == Pooling::kRank) {
        sequence->emitRank(classify_);
      } else {
        sequence->emitEmbedding();
      }
      finish(sequence, FinishReason::kComplete);
    }
    if (slice.logitRows > 0) advance(sequence, row++);
  }
}

/// Makes full blocks known. The last token of an answer is never among them: it has not been computed.
void Scheduler::publish(Sequence& sequence) {
  if (executable_.readsWholeTexts()) return;
  for (; (sequence.published + 1) * kKvBlockTokens <= sequence.computed; ++sequence.published) {
    auto& block = sequence.blocks[static_cast<std::size_t>(sequence.published)];
    block = pool_.publish(block, sequence.place, sequence.tokensOf(sequence.published, kKvBlockTokens),
                          classOf(sequence, sequence.published));
  }
}

void Scheduler::advance(const SequencePtr& sequence, std::int32_t row) {
  const std::span<float> logits = executable_.logits(row);
  if (!sequence->request().choices.empty()) {
    sequence->emitScores(logits);
    finish(sequence, FinishReason::kComplete);
  } else if (sequence->reserved > 1) {
    fork(sequence, logits);
  } else {
    ++report_.generated;
    wentOn(sequence, sequence->next(logits, time_));
  }
}

/// As many tokens as were guessed right, and one more.
void Scheduler::verifyDrafts(const SequencePtr& sequence, std::int32_t row) {
  std::optional<FinishReason> ended;
  const Verification found = verify(
      sequence->proposal.tokens, [&](std::int32_t i) { return executable_.logits(row + i); },
      [&](std::span<float> logits) {
        ended = sequence->next(logits, time_);
        return Picked{sequence->tokens.back(), ended.has_value()};
      });
  const auto offered = static_cast<std::int32_t>(sequence->proposal.tokens.size());
  draftLength_.verified(sequence->proposal, found.accepted);
  sequence->countDrafts(offered, found.accepted);
  report_.drafted += static_cast<std::uint64_t>(offered);
  report_.accepted += static_cast<std::uint64_t>(found.accepted);
  report_.generated += static_cast<std::uint64_t>(found.picked);
  // What wrong guesses left in the cache is written over.
  sequence->computed += found.picked;
  publish(*sequence);
  waiting_.served(sequence->request().client, found.picked);
  wentOn(sequence, ended);
}

/// A token later: does the answer go on?
void Scheduler::wentOn(const SequencePtr& sequence, std::optional<FinishReason> ended) {
  if (!ended && sequence->isFull(options_.contextTokens)) {
    if (sequence->request().overflow != Overflow::kRolling) {
      ended = FinishReason::kContextFull;
    } else {
      freeBlocks(*sequence, false);
      sequence->roll(options_.contextTokens);
    }
  }
  if (ended) finish(sequence, *ended, sequence->failure());
}

/// The prompt is there: every answer goes on by itself from it.
void Scheduler::fork(const SequencePtr& trunk, std::span<const float> logits) {
  Batch all = {trunk};
  for (std::int32_t answer = 1; answer < trunk->reserved; ++answer) all.push_back(branch(*trunk, answer));
  trunk->reserved = 1;
  running_.insert(running_.end(), all.begin() + 1, all.end());
  for (const auto& sequence : all) {
    forkLogits_.assign(logits.begin(), logits.end());
    ++report_.generated;
    wentOn(sequence, sequence->next(forkLogits_, time_));
    if (std::exchange(sequence->isOrphan, false) && isRunning(sequence)) preempt(sequence);
  }
}

/// Another answer from where `trunk` stands: it shares the full blocks and has a copy of what is begun of
/// the last one, or, where there is no block left for it, is computed again when there is.
Scheduler::SequencePtr Scheduler::branch(const Sequence& trunk, std::int32_t answer) {
  auto made = std::make_shared<Sequence>(trunk.sharedJob(), answer, tokenizer_);
  made->forked(trunk);
  made->computed = trunk.computed;
  made->published = trunk.published;
  made->place = trunk.place;
  made->blocks.assign(trunk.blocks.begin(), trunk.blocks.begin() + trunk.published);
  for (const auto block : made->blocks) pool_.share(block);
  if (trunk.computed % kKvBlockTokens == 0) return made;
  const auto own = pool_.take();
  made->isOrphan = !own;
  if (own) {
    executable_.copyBlock(trunk.blocks[static_cast<std::size_t>(trunk.published)], *own);
    made->blocks.push_back(*own);
  }
  return made;
}

void Scheduler::noteRehearsal(const Sequence& sequence) {
  const Request& request = sequence.request();
  if (classesAreOne_ || !options_.rehearse || !request.reuse || !sequence.job().wantsAnswer() ||
      request.priority != Priority::kInteractive || request.answers > 1 || sequence.job().cancelled.load()) {
    return;
  }
  // Only if a whole block of it is new.
  const auto all = static_cast<std::int32_t>(sequence.tokens.size());
  if (all / kKvBlockTokens == sequence.promptEnd / kKvBlockTokens) return;
  if (rehearsals_.size() >= kMostRehearsals) rehearsals_.pop_front();
  Request& next = rehearsals_.emplace_back();
  next.prompt = sequence.tokens;
  next.adapters = request.adapters;
  next.sampling.temperature = 0;
}

}  // namespace quern::engine::scheduler
