#include "engine/scheduler/loop.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/base/text.h"
#include "engine/grammar/constraint.h"

namespace quern::engine::scheduler {
namespace {

constexpr auto kStatsWindow = std::chrono::seconds(1);
constexpr std::int32_t kMostLogprobs = 20;
constexpr std::size_t kMostChoices = 256;
/// All stop texts are looked for after every token.
constexpr std::size_t kMostStops = 64;
constexpr std::size_t kLongestStop = 1024;
constexpr std::size_t kLongestName = 256;
/// Adapters are made for scales around 1; products with this one stay far within float32.
constexpr int kLargestScale = 1000;
/// A model that has been loaded for a question gets it within this time.
constexpr auto kIdleBeforeMeasuring = std::chrono::milliseconds(300);

base::Error invalid(std::string sentence) { return {base::ErrorCode::kInvalidArgument, std::move(sentence)}; }

std::string number(std::size_t value) { return base::grouped(value); }

}  // namespace

Loop::Loop(std::unique_ptr<runtime::Executable> executable,
           std::shared_ptr<const tokenizer::Tokenizer> tokenizer, const LoadOptions& options, Extras extras)
    : executable_(std::move(executable)),
      tokenizer_(tokenizer),
      options_(options),
      scheduler_(*executable_, std::move(tokenizer), options) {
  totals_.memory = executable_->memory();
  scheduler_.setIdentity(std::move(extras.identity));
  ranks_ = static_cast<bool>(extras.classify);
  scheduler_.setClassifier(std::move(extras.classify));
  if (extras.prefixStore) scheduler_.setPrefixStore(std::move(extras.prefixStore));
  if (extras.draftModel) {
    const runtime::MemoryUse more = extras.draftModel->executable().memory();
    totals_.memory.weightBytes += more.weightBytes;
    totals_.memory.kvBytes += more.kvBytes;
    totals_.memory.workBytes += more.workBytes;
    scheduler_.setDraftModel(std::move(extras.draftModel));
  }
  totals_.kvBlocks = executable_->kvBlocks();
  scheduler_.bandwidth = [this](bool measure) { return bandwidth(measure); };
  scheduler_.changed = [this](const Scheduler::Report& report) { note(report); };
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

bool Loop::hasVocabularyOf(const grammar::Constraint& constraint) const {
  const grammar::VocabularyIndex& index = constraint.vocabulary();
  if (index.size() != static_cast<std::size_t>(executable_->vocabularySize())) return false;
  if (index.tokenizer() == tokenizer_.get()) return true;
  // A model that was loaded again has another tokenizer, but the same vocabulary.
  std::call_once(identified_, [this] { identity_ = grammar::VocabularyIndex::identityOf(*tokenizer_); });
  return index.identity() == identity_;
}

base::Result<void> Loop::check(const Request& request) const {
  const auto vocabulary = executable_->vocabularySize();
  if (request.prompt.empty()) return invalid("The prompt is empty.");
  for (const std::vector<std::int32_t>* tokens :
       {&request.prompt, &request.choices, &request.reasoning.closing}) {
    for (const std::int32_t token : *tokens) {
      if (token >= 0 && token < vocabulary) continue;
      return invalid("The request holds token " + std::to_string(token) + "; the vocabulary ends at " +
                     number(static_cast<std::size_t>(vocabulary) - 1) + ".");
    }
  }
  if (request.maxTokens < -1) return invalid("The token limit must be -1 (none) or more.");
  if (request.topLogprobs < 0 || request.topLogprobs > kMostLogprobs) {
    return invalid("Alternatives per token must be between 0 and " + std::to_string(kMostLogprobs) + ".");
  }
  if (request.choices.size() > kMostChoices) {
    return invalid("At most " + number(kMostChoices) + " tokens can be scored at once.");
  }
  if (request.answers < 1 || request.answers > options_.parallel) {
    return invalid("The number of answers must be between 1 and " + std::to_string(options_.parallel) +
                   ", as many as this model was loaded to make at once.");
  }
  const bool isEmbedding = request.pooling != Pooling::kNone;
  if (isEmbedding && !options_.embeddings) {
    return invalid("This model was not loaded for embeddings.");
  }
  if (request.pooling == Pooling::kRank && !ranks_) {
    return invalid("This model has no classifier: it makes embeddings, but ranks nothing.");
  }
  if (!isEmbedding && executable_->readsWholeTexts()) {
    return invalid("This model is an encoder: it makes embeddings of texts, and no answers.");
  }
  if ((isEmbedding || !request.choices.empty()) && request.answers != 1) {
    return invalid("Several answers make sense only where an answer is made.");
  }
  if (isEmbedding && !request.choices.empty()) {
    return invalid("A request asks for an embedding or for scores, not for both.");
  }
  if (request.stop.size() > kMostStops) {
    return invalid("At most " + number(kMostStops) + " stop texts can be looked for.");
  }
  for (const std::string& stop : request.stop) {
    if (stop.size() > kLongestStop) {
      return invalid("A stop text can have at most " + number(kLongestStop) + " bytes.");
    }
  }
  if (request.client.size() > kLongestName) {
    return invalid("A client's name can have at most " + number(kLongestName) + " bytes.");
  }
  if (request.keepTokens < -1) return invalid("The tokens to keep must be -1 (the default) or more.");
  for (const auto time : {request.longestWait, request.deadline}) {
    if (time.count() >= 0 && time <= kLongestTime) continue;
    return invalid("A deadline or a longest wait must be between 0 (none) and a month.");
  }
  if (request.constraint) {
    if (!hasVocabularyOf(*request.constraint)) {
      return invalid("The constraint was compiled for another model's vocabulary.");
    }
    if (isEmbedding || !request.choices.empty()) {
      return invalid("A constraint makes sense only where an answer is made.");
    }
  }
  if (request.adapters.size() > runtime::kMostAdapters) {
    return invalid("At most " + number(runtime::kMostAdapters) + " adapters can be used at once.");
  }
  for (const AdapterChoice& choice : request.adapters) {
    if (!choice.adapter) return invalid("The request names an adapter that was not loaded.");
    if (!(std::abs(choice.scale) <= static_cast<float>(kLargestScale))) {
      return invalid("An adapter's scale must be a number between " + number(kLargestScale) + " and -" +
                     number(kLargestScale) + ".");
    }
  }
  QUERN_TRY(sampling::validate(request.sampling, vocabulary));
  // Where an answer is made, its first token needs a place.
  const bool isAnswer = !isEmbedding && request.choices.empty();
  const auto most = static_cast<std::size_t>(options_.contextTokens) - (isAnswer ? 1 : 0);
  if (request.overflow == Overflow::kStop && request.prompt.size() > most) {
    return base::Error(
        base::ErrorCode::kLimit,
        "The prompt has " + number(request.prompt.size()) + " tokens; the context holds " +
            number(static_cast<std::size_t>(options_.contextTokens)) +
            " with the answer. Shorten the conversation or load the model with a longer context.");
  }
  return base::ok();
}

base::Result<RequestId> Loop::submit(Request request, std::shared_ptr<EventSink> sink) {
  QUERN_TRY(check(request));
  const RequestId id = nextId_.fetch_add(1);
  std::chrono::milliseconds longest = request.longestWait;
  if (longest.count() == 0) longest = options_.longestWait;
  auto job = std::make_shared<Job>(id, std::move(request), std::move(sink), Clock::now());
  const std::lock_guard lock(mutex_);
  if (stopping_) return base::Error(base::ErrorCode::kCancelled, "The engine is shutting down.");
  const std::size_t waiting = inbox_.size() + static_cast<std::size_t>(report_.waiting);
  const auto refused = [&](std::string sentence) {
    ++totals_.refused;
    return base::Error(base::ErrorCode::kBusy, std::move(sentence));
  };
  if (waiting >= static_cast<std::size_t>(options_.queueLimit)) {
    return refused(number(waiting) + " requests wait already, as many as may. Try again in a moment.");
  }
  if (longest.count() > 0 && report_.wait > longest) {
    return refused("The request would wait for about " +
                   number(static_cast<std::size_t>(std::ceil(report_.wait.count()))) +
                   " s, longer than it may. Try again later.");
  }
  std::erase_if(live_, [](const auto& known) { return known.expired(); });
  live_.push_back(job);
  inbox_.push_back(std::move(job));
  wake_.notify_all();
  return id;
}

void Loop::cancel(RequestId request) {
  const std::lock_guard lock(mutex_);
  for (const auto& known : live_) {
    if (const auto job = known.lock(); job && job->id == request) job->cancelled.store(true);
  }
  wake_.notify_all();
}

base::Result<std::int32_t> Loop::onEngineThread(Task task) {
  auto result = task.get_future();
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return base::Error(base::ErrorCode::kCancelled, "The engine is shutting down.");
    tasks_.push_back(std::move(task));
  }
  wake_.notify_all();
  return result.get();
}

base::Result<std::int32_t> Loop::saveState(std::vector<std::int32_t> tokens,
                                           const std::filesystem::path& path) {
  return onEngineThread(Task([&] { return scheduler_.saveState(tokens, path); }));
}

base::Result<std::int32_t> Loop::restoreState(const std::filesystem::path& path) {
  return onEngineThread(Task([&] { return scheduler_.restoreState(path); }));
}

Stats Loop::stats() const {
  const std::lock_guard lock(mutex_);
  Stats stats = totals_;
  stats.generatedTokens = report_.generated;
  stats.promptTokens = report_.prompt;
  stats.recomputedTokens = report_.recomputed;
  stats.running = report_.running;
  stats.waiting = report_.waiting + static_cast<std::int32_t>(inbox_.size());
  stats.kvBlocksUsed = report_.blocksUsed;
  stats.kvBlocksKnown = report_.blocksKnown;
  stats.cachedTokens = report_.cached;
  stats.draftedTokens = report_.drafted;
  stats.acceptedTokens = report_.accepted;
  stats.preemptions = report_.preemptions;
  stats.refused += report_.refused;
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

/// Hands what came in to the scheduler. False: the end.
bool Loop::takeIn() {
  std::deque<std::shared_ptr<Job>> come;
  std::deque<Task> tasks;
  bool goesOn = false;
  {
    const std::lock_guard lock(mutex_);
    goesOn = !stopping_;
    tasks.swap(tasks_);
    if (goesOn) come.swap(inbox_);
    report_.waiting += static_cast<std::int32_t>(come.size());
  }
  for (auto& job : come) scheduler_.add(std::move(job));
  for (Task& task : tasks) task();
  return goesOn;
}

void Loop::run() {
  while (takeIn()) {
    if (scheduler_.hasWork()) {
      setActive(true);
      scheduler_.step();
    } else if (scheduler_.canRehearse()) {
      setActive(true);
      scheduler_.rehearse();
    } else if (!settled_) {
      settled_ = !executable_->settle();
    } else {
      sleep();
    }
  }
  setActive(false);
  std::deque<std::shared_ptr<Job>> rest;
  {
    const std::lock_guard lock(mutex_);
    rest.swap(inbox_);
  }
  for (auto& job : rest) scheduler_.add(std::move(job));
  scheduler_.cancelAll();
  scheduler_.spillAll();
}

void Loop::setActive(bool wanted) {
  if (std::exchange(active_, wanted) != wanted) executable_->setActive(wanted);
}

/// Until something comes in.
void Loop::sleep() {
  setActive(false);
  std::unique_lock lock(mutex_);
  // The next step's rate must not count the pause.
  samples_.clear();
  const auto called = [&] { return stopping_ || !inbox_.empty() || !tasks_.empty(); };
  if (!measured_ && !wake_.wait_for(lock, kIdleBeforeMeasuring, called)) {
    lock.unlock();
    setActive(true);
    bandwidth(true);
    setActive(false);
    lock.lock();
  }
  wake_.wait(lock, called);
}

double Loop::bandwidth(bool measure) {
  if (measure && !std::exchange(measured_, true)) {
    bandwidth_ = executable_->readBandwidth();
    const std::lock_guard lock(mutex_);
    totals_.bandwidthLimit = bandwidth_;
  }
  return bandwidth_;
}

/// What stats() tells from now on.
void Loop::note(const Scheduler::Report& report) {
  const std::lock_guard lock(mutex_);
  const bool hasComputed = report.bytes != report_.bytes || report.prompt != report_.prompt ||
                           report.generated != report_.generated;
  report_ = report;
  if (!hasComputed) return;
  const Clock::time_point now = Clock::now();
  samples_.push_back({now, report.generated, report.prompt, report.bytes});
  while (samples_.size() > 2 && now - samples_[1].at > kStatsWindow) samples_.pop_front();
}

}  // namespace quern::engine::scheduler
