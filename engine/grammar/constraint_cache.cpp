#include "engine/grammar/constraint_cache.h"

#include <algorithm>
#include <chrono>
#include <future>

#include "engine/grammar/gbnf.h"
#include "engine/grammar/regex.h"

namespace quern::engine::grammar {
namespace {

constexpr std::size_t kMostWaiting = 256;
/// Models whose vocabularies are kept as trees; some 10 MB each.
constexpr std::size_t kMostIndexes = 4;
/// Before a constraint is handed out its nearest masks are worked out, …
constexpr std::chrono::milliseconds kWarmBefore{40};
/// … and more of them afterwards, if nobody waits.
constexpr std::chrono::milliseconds kWarmAfter{500};

}  // namespace

ConstraintSource gbnfSource(std::string text) {
  std::string key = "gbnf:" + text;
  return {std::move(key), [text = std::move(text)] { return parseGbnf(text); }};
}

ConstraintSource regexSource(std::string pattern) {
  std::string key = "regex:" + pattern;
  return {std::move(key), [pattern = std::move(pattern)] { return parseRegex(pattern); }};
}

ConstraintCache::ConstraintCache(std::size_t most) : most_(most), worker_([this] { work(); }) {}

ConstraintCache::~ConstraintCache() {
  {
    const std::lock_guard lock(mutex_);
    isEnding_ = true;
  }
  changed_.notify_all();
  worker_.join();
  for (const auto& task : tasks_) {
    for (const auto& done : task->waiting) {
      done(base::Error(base::ErrorCode::kCancelled, "The program ended before the grammar was compiled."));
    }
  }
}

void ConstraintCache::request(ConstraintSource source, Tokenizer tokenizer,
                              std::function<void(Outcome)> done) {
  Key key{tokenizer.get(), source.key};
  std::unique_lock lock(mutex_);
  if (const auto at = known_.find(key); at != known_.end()) {
    uses_.splice(uses_.begin(), uses_, at->second.use);
    const auto constraint = at->second.constraint;
    lock.unlock();
    return done(constraint);
  }
  const auto same =
      std::find_if(tasks_.begin(), tasks_.end(), [&](const auto& task) { return task->key == key; });
  if (same != tasks_.end()) {
    (*same)->waiting.push_back(std::move(done));
    return;
  }
  if (tasks_.size() >= kMostWaiting) {
    lock.unlock();
    return done(
        base::Error(base::ErrorCode::kBusy, "Too many grammars wait to be compiled; try again later."));
  }
  auto task = std::make_shared<Task>(Task{std::move(key), std::move(tokenizer), std::move(source), {}});
  task->waiting.push_back(std::move(done));
  tasks_.push_back(std::move(task));
  lock.unlock();
  changed_.notify_all();
}

ConstraintCache::Outcome ConstraintCache::get(ConstraintSource source, Tokenizer tokenizer) {
  std::promise<Outcome> promise;
  request(std::move(source), std::move(tokenizer),
          [&](Outcome outcome) { promise.set_value(std::move(outcome)); });
  return promise.get_future().get();
}

std::size_t ConstraintCache::size() const {
  const std::lock_guard lock(mutex_);
  return known_.size();
}

void ConstraintCache::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return isEnding_ || !tasks_.empty(); });
    if (isEnding_) return;
    const auto task = tasks_.front();
    lock.unlock();
    const Outcome outcome = compile(*task);
    lock.lock();
    if (outcome) keep(task->key, *outcome);
    tasks_.pop_front();
    const auto waiting = std::move(task->waiting);
    lock.unlock();
    for (const auto& done : waiting) done(outcome);
    lock.lock();
    // In slices, so that a newcomer waits for one at most.
    for (auto left = kWarmAfter; outcome && left.count() > 0 && tasks_.empty() && !isEnding_;) {
      constexpr std::chrono::milliseconds kSlice{20};
      lock.unlock();
      const bool isWarm = (*outcome)->warm(kSlice);
      lock.lock();
      left = isWarm ? std::chrono::milliseconds(0) : left - kSlice;
    }
  }
}

ConstraintCache::Outcome ConstraintCache::compile(const Task& task) {
  QUERN_ASSIGN(const Grammar grammar, task.source.grammar());
  QUERN_ASSIGN(auto constraint, Constraint::compile(grammar, indexOf(task.tokenizer)));
  (void)constraint->warm(kWarmBefore);
  return constraint;
}

std::shared_ptr<const VocabularyIndex> ConstraintCache::indexOf(const Tokenizer& tokenizer) {
  const auto at = std::find_if(indexes_.begin(), indexes_.end(),
                               [&](const auto& index) { return index->tokenizer() == tokenizer.get(); });
  if (at != indexes_.end()) {
    std::rotate(at, at + 1, indexes_.end());
  } else {
    if (indexes_.size() == kMostIndexes) indexes_.erase(indexes_.begin());
    indexes_.push_back(std::make_shared<const VocabularyIndex>(tokenizer));
  }
  return indexes_.back();
}

/// Under the lock.
void ConstraintCache::keep(const Key& key, std::shared_ptr<const Constraint> constraint) {
  while (known_.size() >= most_ && !uses_.empty()) {
    known_.erase(uses_.back());
    uses_.pop_back();
  }
  uses_.push_front(key);
  known_.insert_or_assign(key, Known{std::move(constraint), uses_.begin()});
}

}  // namespace quern::engine::grammar
