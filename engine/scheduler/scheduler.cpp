// Who comes in, who goes, who makes room. What a step computes is in scheduler_batch.cpp, what it gives in
// scheduler_results.cpp.

#include "engine/scheduler/scheduler.h"

#include <algorithm>
#include <utility>

#include "engine/base/check.h"

namespace quern::engine::scheduler {
namespace {

using runtime::kKvBlockTokens;

constexpr double kNews = 0.2;  ///< the weight of one more request in the mean service time

base::Error busy(std::chrono::milliseconds wait) {
  return {base::ErrorCode::kBusy, "The engine was busy: the request waited for " +
                                      std::to_string(wait.count()) + " ms, as long as it was allowed to."};
}

}  // namespace

Scheduler::Scheduler(runtime::Executable& executable, std::shared_ptr<const tokenizer::Tokenizer> tokenizer,
                     const LoadOptions& options, Now now)
    : executable_(executable),
      tokenizer_(std::move(tokenizer)),
      options_(options),
      now_(std::move(now)),
      classesAreOne_(executable.promptsAreDecodes()),
      pool_(executable.kvBlocks(), kKvBlockTokens),
      budget_(options.interTokenTarget, options.batchTokens) {
  slices_.reserve(static_cast<std::size_t>(options_.parallel));
  batch_.reserve(static_cast<std::size_t>(options_.parallel));
}

void Scheduler::add(std::shared_ptr<Job> job) {
  const std::int32_t context = options_.contextTokens;
  Request& request = job->request;
  const auto length = static_cast<std::int32_t>(request.prompt.size());
  const bool isAnswer = job->wantsAnswer();
  if (length > context - (isAnswer ? 1 : 0) && request.overflow != Overflow::kStop) {
    // Room for what is wanted of an answer, but half of the context is the prompt's.
    std::int32_t answer = request.maxTokens < 0 ? context / 4 : std::max(1, request.maxTokens);
    if (!isAnswer) answer = 0;
    const std::int32_t room = context - std::min(answer, context / 2);
    // kRolling keeps the sinks, kTruncateMiddle a good part of the beginning.
    const bool rolls = request.overflow == Overflow::kRolling && request.keepTokens < 0;
    const Cut cut = cutToFit(length, room, rolls ? kAttentionSinks : request.keepTokens);
    request.prompt.erase(request.prompt.begin() + cut.first, request.prompt.begin() + cut.first + cut.tokens);
    job->droppedFirst = cut.first;
    job->droppedTokens = cut.tokens;
  }
  job->open = request.answers;
  const auto room = makeRoom(job->adapters);
  const auto sequence = std::make_shared<Sequence>(std::move(job), 0, tokenizer_);
  if (!room) return finish(sequence, FinishReason::kFailed, room.error());
  waiting_.add(sequence);
  look();
}

base::Result<void> Scheduler::makeRoom(std::span<const runtime::AdapterUse> adapters) {
  for (const auto& use : adapters) QUERN_TRY(executable_.makeRoomFor(*use.adapter));
  return base::ok();
}

void Scheduler::step() {
  time_ = now_();
  fetched_ = 0;
  // Nobody waits for it; what it has computed is known and stays.
  if (rehearsal_) freeBlocks(*std::exchange(rehearsal_, nullptr), false);
  removeGone();
  admit();
  look();
  if (!running_.empty()) {
    fill();
    if (!batch_.empty()) handOut();
  }
  // Whoever is finished is not kept.
  slices_.clear();
  batch_.clear();
  order_.clear();
  look();
}

/// What others may want to know, after everything that changes it.
void Scheduler::look() {
  report_.running = static_cast<std::int32_t>(running_.size());
  report_.waiting = static_cast<std::int32_t>(waiting_.size());
  report_.blocksUsed = pool_.used();
  report_.blocksKnown = pool_.known();
  const std::int32_t ahead = report_.waiting + 1 - std::max(0, options_.parallel - places());
  report_.wait = std::chrono::duration<double>(std::max(0, ahead) * serviceSeconds_ /
                                               static_cast<double>(options_.parallel));
  if (changed) changed(report_);
}

void Scheduler::removeGone() {
  const auto isLate = [&](const Job& job) {
    return job.request.deadline.count() > 0 && time_ - job.submitted >= job.request.deadline;
  };
  const auto isGone = [](const Job& job) { return job.cancelled.load() || job.sinkFailed; };
  for (const auto& sequence : Batch(running_)) {
    if (isGone(sequence->job())) {
      finish(sequence, FinishReason::kCancelled);
    } else if (isLate(sequence->job())) {
      finish(sequence, FinishReason::kDeadline);
    }
  }
  const auto waitsTooLong = [&](const Sequence& sequence) {
    std::chrono::milliseconds longest = sequence.request().longestWait;
    if (longest.count() == 0) longest = options_.longestWait;
    return longest.count() > 0 && sequence.admitted == Clock::time_point{} &&
           time_ - sequence.job().submitted >= longest;
  };
  const auto gone = waiting_.removeIf([&](const Sequence& sequence) {
    return isGone(sequence.job()) || isLate(sequence.job()) || waitsTooLong(sequence);
  });
  for (const auto& sequence : gone) {
    const Job& job = sequence->job();
    if (isGone(job)) {
      finish(sequence, FinishReason::kCancelled);
    } else if (isLate(job)) {
      finish(sequence, FinishReason::kDeadline);
    } else {
      ++report_.refused;
      finish(sequence, FinishReason::kFailed,
             busy(std::chrono::duration_cast<std::chrono::milliseconds>(time_ - job.submitted)));
    }
  }
}

/// Answers that are being made or for which a running prompt holds a place.
std::int32_t Scheduler::places() const {
  std::int32_t places = 0;
  for (const auto& sequence : running_) places += sequence->reserved;
  return places;
}

/// Is there a place, and a cache for what the sequence must compute first? Whoever comes in only to be sent
/// away again wastes everybody's time.
bool Scheduler::fits(const Sequence& sequence) const {
  if (places() + sequence.reserved > options_.parallel) return false;
  if (running_.empty()) return true;
  const auto tokens = static_cast<std::int32_t>(sequence.tokens.size());
  std::int32_t needed = tokens / kKvBlockTokens + 1;
  // Those who run will want more, too; and what they still have to compute counts against the idle blocks.
  for (const auto& other : running_) {
    const std::int32_t held = static_cast<std::int32_t>(other->blocks.size());
    needed += std::max(1, static_cast<std::int32_t>(other->tokens.size()) / kKvBlockTokens + 1 - held);
  }
  return needed <= pool_.idle() + knownBlocks(sequence);
}

/// Someone less urgent by two classes makes room, never one who is nearly as urgent.
bool Scheduler::isClearlyBefore(const Job& a, const Job& b) const {
  return urgency(b, time_) > urgency(a, time_) + 1;
}

/// Would it fit if all who can be made to did make room? Nobody is sent away in vain.
bool Scheduler::couldFit(const Sequence& sequence) const {
  std::int32_t places = sequence.reserved;
  std::int32_t blocks = static_cast<std::int32_t>(sequence.tokens.size()) / kKvBlockTokens + 1;
  for (const auto& other : running_) {
    if (isClearlyBefore(sequence.job(), other->job())) continue;
    places += other->reserved;
    blocks += std::max(static_cast<std::int32_t>(other->blocks.size()) + 1,
                       static_cast<std::int32_t>(other->tokens.size()) / kKvBlockTokens + 1);
  }
  return places <= options_.parallel && blocks <= pool_.size() + knownBlocks(sequence);
}

/// How many blocks the sequence would find held by others: they cost nothing.
std::int32_t Scheduler::knownBlocks(const Sequence& sequence) const {
  if (!mayReuse(sequence)) return 0;
  std::int32_t held = 0;
  BlockPool::Place at = BlockPool::Place::at(sequence.job().root);
  for (std::int32_t index = 0;
       (index + 1) * kKvBlockTokens < static_cast<std::int32_t>(sequence.tokens.size()); ++index) {
    const auto block = pool_.find(at, sequence.tokensOf(index, kKvBlockTokens), classOf(sequence, index));
    if (!block) break;
    held += pool_.isHeld(*block) ? 1 : 0;
  }
  return held;
}

void Scheduler::admit() {
  while (const SequencePtr sequence = waiting_.next(time_)) {
    Job& job = sequence->job();
    if (job.wantsAnswer() && job.request.maxTokens == 0) {
      waiting_.remove(sequence);
      sequence->accepted();
      sequence->started(time_, 0, {});
      finish(sequence, FinishReason::kMaxTokens);
      continue;
    }
    if (!fits(*sequence)) {
      if (!couldFit(*sequence)) return;
      const SequencePtr other = victim();
      if (!other || !isClearlyBefore(job, other->job())) return;
      preempt(other);
      continue;
    }
    waiting_.remove(sequence);
    start(sequence);
  }
}

bool Scheduler::mayReuse(const Sequence& sequence) const {
  // What an encoder leaves of a beginning hangs on the whole text.
  if (executable_.readsWholeTexts()) return false;
  const Pooling pooling = sequence.request().pooling;
  return sequence.request().reuse && (pooling == Pooling::kNone || pooling == Pooling::kLast);
}

/// Of a block's tokens, those of a prompt; where prompts and answers are computed alike, all.
std::int32_t Scheduler::classOf(const Sequence& sequence, std::int32_t index) const {
  return classesAreOne_ ? kKvBlockTokens : sequence.promptTokensOf(index, kKvBlockTokens);
}

/// Takes over the blocks that are known to follow what the sequence has; returns the tokens it is spared. At
/// least one token is left: its logits give the next.
std::int32_t Scheduler::takeKnown(Sequence& sequence) {
  sequence.awaitsDisk = false;
  if (!mayReuse(sequence)) return 0;
  const std::int32_t before = sequence.computed;
  while ((sequence.published + 1) * kKvBlockTokens < static_cast<std::int32_t>(sequence.tokens.size())) {
    const std::int32_t index = sequence.published;
    auto block =
        pool_.follow(sequence.place, sequence.tokensOf(index, kKvBlockTokens), classOf(sequence, index));
    if (!block) block = fetch(sequence);
    if (!block) break;
    if (static_cast<std::int32_t>(sequence.blocks.size()) > index) {
      // Taken to compute what somebody else was quicker with.
      pool_.release(std::exchange(sequence.blocks[static_cast<std::size_t>(index)], *block));
    } else {
      sequence.blocks.push_back(*block);
    }
    ++sequence.published;
    sequence.computed = std::max(sequence.computed, sequence.published * kKvBlockTokens);
  }
  return sequence.computed - before;
}

/// The same, counted. Returns what never had to be computed: what was lost and is found again is no gain.
std::int32_t Scheduler::takeForFree(Sequence& sequence) {
  const std::int32_t before = std::max(sequence.computed, sequence.reached);
  takeKnown(sequence);
  const std::int32_t gained = std::max(0, sequence.computed - before);
  report_.cached += static_cast<std::uint64_t>(gained);
  return gained;
}

void Scheduler::start(const SequencePtr& sequence) {
  sequence->accepted();
  const std::int32_t cached = takeForFree(*sequence);
  ReuseReport report;
  const std::int32_t next = sequence->computed;
  if (!sequence->request().reuse) {
    report.why = ReuseReport::Why::kNotAsked;
  } else if (sequence->awaitsDisk ||
             next + kKvBlockTokens >= static_cast<std::int32_t>(sequence->tokens.size())) {
    report.why = ReuseReport::Why::kWhole;
  } else if (mayReuse(*sequence)) {
    const std::int32_t index = next / kKvBlockTokens;
    report = pool_.explain(sequence->place, sequence->tokensOf(index, kKvBlockTokens),
                           classOf(*sequence, index), next);
  }
  sequence->started(time_, cached, report);
  running_.push_back(sequence);
}

/// Does `a` go before `b`, and is it spared where `b` must make room?
bool Scheduler::isBefore(const Sequence& a, const Sequence& b) const {
  const int left = urgency(a.job(), time_);
  const int right = urgency(b.job(), time_);
  if (left != right) return left < right;
  return a.job().id != b.job().id ? a.job().id < b.job().id : a.answer() < b.answer();
}

/// Of those who run, the one to make room: the least urgent, the youngest of these.
Scheduler::SequencePtr Scheduler::victim() const {
  const auto last = std::max_element(running_.begin(), running_.end(),
                                     [&](const auto& a, const auto& b) { return isBefore(*a, *b); });
  return last == running_.end() ? nullptr : *last;
}

void Scheduler::freeBlocks(Sequence& sequence, bool keepsAnswers) {
  // Last blocks first: of a beginning that others may share, the end is given up before the start.
  for (auto block = sequence.blocks.rbegin(); block != sequence.blocks.rend(); ++block) {
    pool_.release(*block, keepsAnswers);
  }
  sequence.blocks.clear();
}

/// Takes a sequence's blocks; it waits to be computed again, each token as it was. Nothing is lost but time.
void Scheduler::preempt(const SequencePtr& sequence) {
  freeBlocks(*sequence, true);
  sequence->preempted();
  std::erase(running_, sequence);
  std::erase(batch_, sequence);
  ++report_.preemptions;
  waiting_.add(sequence);
}

void Scheduler::finish(const SequencePtr& sequence, FinishReason reason, std::optional<base::Error> error) {
  freeBlocks(*sequence, false);
  const bool ran = std::erase(running_, sequence) > 0;
  Job& job = sequence->job();
  if (ran && reason != FinishReason::kCancelled && reason != FinishReason::kFailed) {
    const double seconds = std::chrono::duration<double>(now_() - sequence->admitted).count();
    serviceSeconds_ = serviceSeconds_ == 0 ? seconds : serviceSeconds_ + kNews * (seconds - serviceSeconds_);
    noteRehearsal(*sequence);
  }
  // Answers that had not begun when their prompt ended.
  const std::int32_t unborn = sequence->reserved - 1;
  sequence->reserved = 1;
  double limit = 0;
  if (bandwidth) limit = bandwidth(sequence->hasDecoded() && reason != FinishReason::kCancelled);
  look();
  for (std::int32_t i = 0; i < unborn; ++i) {
    Sequence other(sequence->sharedJob(), job.request.answers - 1 - i, tokenizer_);
    other.finish(reason, error, limit, now_());
  }
  sequence->finish(reason, std::move(error), limit, now_());
}

void Scheduler::cancelAll() {
  for (const auto& sequence : Batch(running_)) finish(sequence, FinishReason::kCancelled);
  for (const auto& sequence : waiting_.removeIf([](const Sequence&) { return true; })) {
    finish(sequence, FinishReason::kCancelled);
  }
  if (rehearsal_) freeBlocks(*std::exchange(rehearsal_, nullptr), false);
}

}  // namespace quern::engine::scheduler
