#include "engine/scheduler/loop.h"

#include <algorithm>
#include <utility>

#include "engine/base/text.h"

namespace quern::engine::scheduler {
namespace {

using runtime::kKvBlockTokens;

constexpr auto kStatsWindow = std::chrono::seconds(1);
constexpr std::int32_t kMostLogprobs = 20;
/// A model that has been loaded for a question gets it within this time.
constexpr auto kIdleBeforeMeasuring = std::chrono::milliseconds(300);

base::Error invalid(std::string sentence) { return {base::ErrorCode::kInvalidArgument, std::move(sentence)}; }

std::string number(std::size_t value) { return base::grouped(value); }

}  // namespace

Loop::Loop(std::unique_ptr<runtime::Executable> executable,
           std::shared_ptr<const tokenizer::Tokenizer> tokenizer, const LoadOptions& options)
    : executable_(std::move(executable)),
      tokenizer_(std::move(tokenizer)),
      options_(options),
      pool_(executable_->kvBlocks(), kKvBlockTokens) {
  totals_.memory = executable_->memory();
  totals_.kvBlocks = executable_->kvBlocks();
  slices_.reserve(static_cast<std::size_t>(options_.parallel));
  batch_.reserve(static_cast<std::size_t>(options_.parallel));
  thread_ = std::thread([this] { run(); });
}

Loop::~Loop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

base::Result<RequestId> Loop::submit(Request request, std::shared_ptr<EventSink> sink) {
  const auto vocabulary = executable_->vocabularySize();
  if (request.prompt.empty()) return invalid("The prompt is empty.");
  for (const std::int32_t token : request.prompt) {
    if (token < 0 || token >= vocabulary) {
      return invalid("The prompt holds token " + std::to_string(token) + "; the vocabulary ends at " +
                     number(static_cast<std::size_t>(vocabulary) - 1) + ".");
    }
  }
  if (request.maxTokens < -1) return invalid("The token limit must be -1 (none) or more.");
  if (request.topLogprobs < 0 || request.topLogprobs > kMostLogprobs) {
    return invalid("Alternatives per token must be between 0 and " + std::to_string(kMostLogprobs) + ".");
  }
  QUERN_TRY(sampling::validate(request.sampling, vocabulary));
  if (request.prompt.size() >= static_cast<std::size_t>(options_.contextTokens)) {
    return base::Error(
        base::ErrorCode::kLimit,
        "The prompt has " + number(request.prompt.size()) + " tokens; the context holds " +
            number(static_cast<std::size_t>(options_.contextTokens)) +
            " with the answer. Shorten the conversation or load the model with a longer context.");
  }
  const RequestId id = nextId_.fetch_add(1);
  auto sequence = std::make_shared<Sequence>(id, std::move(request), std::move(sink), tokenizer_);
  const std::lock_guard lock(mutex_);
  if (stopping_) return base::Error(base::ErrorCode::kCancelled, "The model is being unloaded.");
  if (waiting_.size() >= static_cast<std::size_t>(options_.queueLimit)) {
    return base::Error(base::ErrorCode::kBusy,
                       number(waiting_.size()) + " requests are waiting already. Try again in a moment.");
  }
  std::erase_if(live_, [](const auto& known) { return known.expired(); });
  live_.push_back(sequence);
  waiting_.push_back(std::move(sequence));
  wake_.notify_all();
  return id;
}

void Loop::cancel(RequestId request) {
  const std::lock_guard lock(mutex_);
  for (const auto& known : live_) {
    if (const auto sequence = known.lock(); sequence && sequence->id() == request)
      sequence->cancelled.store(true);
  }
  wake_.notify_all();
}

Stats Loop::stats() const {
  const std::lock_guard lock(mutex_);
  Stats stats = totals_;
  stats.waiting = static_cast<std::int32_t>(waiting_.size());
  const Clock::time_point now = Clock::now();
  const auto first = std::find_if(samples_.begin(), samples_.end(),
                                  [&](const Sample& sample) { return now - sample.at <= kStatsWindow; });
  if (first == samples_.end() || first + 1 == samples_.end()) return stats;
  const Sample& begin = first == samples_.begin() ? *first : *(first - 1);
  const double seconds = std::chrono::duration<double>(samples_.back().at - begin.at).count();
  if (seconds <= 0) return stats;
  stats.decodeTokensPerSecond = static_cast<double>(samples_.back().generated - begin.generated) / seconds;
  stats.promptTokensPerSecond = static_cast<double>(samples_.back().prompt - begin.prompt) / seconds;
  stats.readBytesPerSecond = static_cast<double>(samples_.back().bytes - begin.bytes) / seconds;
  return stats;
}

void Loop::run() {
  bool active = false;
  const auto setActive = [&](bool wanted) {
    if (wanted != active) executable_->setActive(wanted);
    active = wanted;
  };
  while (true) {
    {
      std::unique_lock lock(mutex_);
      if (running_.empty() && waiting_.empty() && !stopping_) {
        setActive(false);
        // The next step's rate must not count the pause.
        samples_.clear();
        const auto called = [&] { return stopping_ || !waiting_.empty(); };
        if (!measured_ && !wake_.wait_for(lock, kIdleBeforeMeasuring, called)) {
          lock.unlock();
          setActive(true);
          measureBandwidth();
          setActive(false);
          lock.lock();
        }
        wake_.wait(lock, called);
      }
      if (stopping_) break;
    }
    setActive(true);
    removeCancelled();
    admit();
    if (!running_.empty()) step();
  }
  setActive(false);
  for (const auto& sequence : Running(running_)) finish(sequence, FinishReason::kCancelled);
  std::deque<std::shared_ptr<Sequence>> rest;
  {
    const std::lock_guard lock(mutex_);
    rest.swap(waiting_);
  }
  for (const auto& sequence : rest) sequence->finish(FinishReason::kCancelled, {}, bandwidth_);
}

void Loop::removeCancelled() {
  for (std::size_t i = running_.size(); i-- > 0;) {
    const auto sequence = running_[i];
    if (sequence->cancelled.load() || sequence->sinkFailed()) finish(sequence, FinishReason::kCancelled);
  }
  std::vector<std::shared_ptr<Sequence>> gone;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(waiting_, [&](const auto& sequence) {
      if (!sequence->cancelled.load()) return false;
      gone.push_back(sequence);
      return true;
    });
  }
  for (const auto& sequence : gone) sequence->finish(FinishReason::kCancelled, {}, bandwidth_);
}

/// Takes waiting requests in while there is room for them. The cache holds `parallel` whole contexts, so
/// whoever is admitted can always go on to the end.
void Loop::admit() {
  while (running_.size() < static_cast<std::size_t>(options_.parallel)) {
    std::shared_ptr<Sequence> sequence;
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.empty()) break;
      sequence = std::move(waiting_.front());
      waiting_.pop_front();
      totals_.running = static_cast<std::int32_t>(running_.size()) + 1;
    }
    sequence->accepted();
    if (sequence->request().maxTokens == 0) {
      sequence->started(0);
      sequence->finish(FinishReason::kMaxTokens, {}, bandwidth_);
      continue;
    }
    // At least one token must be computed: its logits give the first token of the answer.
    const std::span prompt(sequence->tokens);
    sequence->blocks = pool_.reuse(prompt.first(prompt.size() - 1));
    sequence->computed = static_cast<std::int32_t>(sequence->blocks.size()) * kKvBlockTokens;
    sequence->started(sequence->computed);
    running_.push_back(std::move(sequence));
  }
  const std::lock_guard lock(mutex_);
  totals_.running = static_cast<std::int32_t>(running_.size());
}

/// Sees to it that the sequence has blocks for its next `tokens` tokens.
bool Loop::grow(Sequence& sequence, std::int32_t tokens) {
  const std::int32_t needed = (sequence.computed + tokens + kKvBlockTokens - 1) / kKvBlockTokens;
  while (static_cast<std::int32_t>(sequence.blocks.size()) < needed) {
    const auto block = pool_.take();
    if (!block) return false;
    sequence.blocks.push_back(*block);
  }
  return true;
}

void Loop::addSlice(Sequence& sequence, std::int32_t tokens) {
  runtime::Slice slice;
  slice.tokens = std::span(sequence.tokens)
                     .subspan(static_cast<std::size_t>(sequence.computed), static_cast<std::size_t>(tokens));
  slice.firstPosition = sequence.computed;
  slice.blockTable = sequence.blocks;
  slice.logitRows = static_cast<std::size_t>(sequence.computed + tokens) == sequence.tokens.size() ? 1 : 0;
  slice.isPrompt = sequence.isPrefilling();
  slices_.push_back(slice);
}

void Loop::step() {
  slices_.clear();
  batch_.clear();
  std::int32_t budget = options_.batchTokens;
  std::int32_t prefilled = 0;
  std::uint64_t bytes = 0;
  for (const bool prefill : {false, true}) {
    for (std::size_t i = running_.size(); i-- > 0;) {
      const auto sequence = running_[running_.size() - 1 - i];  // oldest first; finish() may remove this one
      if (sequence->isPrefilling() != prefill || budget == 0) continue;
      const auto left = static_cast<std::int32_t>(sequence->tokens.size()) - sequence->computed;
      const std::int32_t tokens = std::min(left, budget);
      if (!grow(*sequence, tokens)) {
        finish(sequence, FinishReason::kFailed,
               base::Error(base::ErrorCode::kInternal, "The KV cache has no block left for this answer."));
        continue;
      }
      addSlice(*sequence, tokens);
      batch_.push_back(sequence);
      budget -= tokens;
      if (prefill) {
        prefilled += tokens;
        continue;
      }
      // Weights are read once a step, whatever the number of sequences; the cache for each.
      const std::uint64_t all = executable_->bytesPerToken(sequence->computed);
      bytes += bytes == 0 ? all : all - executable_->bytesPerToken(0);
    }
  }
  if (batch_.empty()) return;
  if (auto ran = executable_->run({slices_}); !ran) {
    for (const auto& sequence : std::vector<std::shared_ptr<Sequence>>(batch_)) {
      finish(sequence, FinishReason::kFailed, ran.error());
    }
    return;
  }
  for (const auto& sequence : batch_) {
    if (!sequence->isPrefilling()) sequence->countBytes(bytes);
  }
  afterRun(prefilled, bytes);
}

void Loop::afterRun(std::int32_t prefilled, std::uint64_t bytes) {
  std::int32_t row = 0;
  const auto rows =
      std::count_if(slices_.begin(), slices_.end(), [](const auto& slice) { return slice.logitRows > 0; });
  count(static_cast<std::int32_t>(rows), prefilled, bytes);
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    const auto sequence = batch_[i];
    const runtime::Slice slice = slices_[i];
    const bool wasPrefilling = sequence->isPrefilling();
    const std::int32_t before = sequence->computed;
    sequence->computed += static_cast<std::int32_t>(slice.tokens.size());
    for (std::int32_t block = before / kKvBlockTokens; (block + 1) * kKvBlockTokens <= sequence->computed;
         ++block) {
      pool_.publish(
          sequence->blocks[static_cast<std::size_t>(block)],
          std::span(sequence->tokens).first(static_cast<std::size_t>((block + 1) * kKvBlockTokens)));
    }
    if (wasPrefilling) sequence->promptProgress();
    if (slice.logitRows == 0) continue;
    const auto ended = sequence->next(executable_->logits(row++), options_.contextTokens);
    if (ended) finish(sequence, *ended);
  }
}

void Loop::finish(const std::shared_ptr<Sequence>& sequence, FinishReason reason,
                  std::optional<base::Error> error) {
  // Last blocks first: of a beginning that others may share, the end is given up before the start.
  for (auto block = sequence->blocks.rbegin(); block != sequence->blocks.rend(); ++block)
    pool_.release(*block);
  sequence->blocks.clear();
  std::erase(running_, sequence);
  {
    const std::lock_guard lock(mutex_);
    totals_.running = static_cast<std::int32_t>(running_.size());
    totals_.kvBlocksUsed = pool_.used();
  }
  if (sequence->hasDecoded() && reason != FinishReason::kCancelled) measureBandwidth();
  sequence->finish(reason, std::move(error), bandwidth_);
}

void Loop::measureBandwidth() {
  if (std::exchange(measured_, true)) return;
  bandwidth_ = executable_->readBandwidth();
  const std::lock_guard lock(mutex_);
  totals_.bandwidthLimit = bandwidth_;
}

void Loop::count(std::int32_t generated, std::int32_t prefilled, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  totals_.generatedTokens += static_cast<std::uint64_t>(generated);
  totals_.promptTokens += static_cast<std::uint64_t>(prefilled);
  totals_.kvBlocksUsed = pool_.used();
  const std::uint64_t readBytes = samples_.empty() ? bytes : samples_.back().bytes + bytes;
  const Clock::time_point now = Clock::now();
  samples_.push_back({now, totals_.generatedTokens, totals_.promptTokens, readBytes});
  while (samples_.size() > 2 && now - samples_[1].at > kStatsWindow) samples_.pop_front();
}

}  // namespace quern::engine::scheduler
