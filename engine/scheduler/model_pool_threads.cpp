// The keeper, which does what model_pool_policy.cpp decides, and the loader, which reads models in.

#include <exception>
#include <utility>

#include "engine/base/text.h"
#include "engine/scheduler/model_pool_core.h"

#if defined(__GLIBC__)  // Known once a standard header was read.
#include <malloc.h>
#endif

namespace quern::engine::scheduler {
namespace {

/// The heap keeps what was freed in its middle: for a vocabulary that is many thousand small pieces.
void returnFreeMemory() {
#if defined(__GLIBC__)
  ::malloc_trim(0);
#endif
}

/// An exception ends here as an error: a loader belongs to the caller of the pool.
template <class Function>
auto guarded(const Function& function) -> decltype(function()) {
  try {
    return function();
  } catch (const std::bad_alloc&) {
    return base::Error(base::ErrorCode::kOutOfMemory,
                       "There is not enough memory to load the model. Choose a smaller one.");
  } catch (const std::exception& failure) {
    return base::Error(base::ErrorCode::kInternal, "Loading the model failed.", {failure.what()});
  }
}

std::uint64_t sum(const runtime::MemoryUse& memory) {
  return memory.weightBytes + memory.kvBytes + memory.workBytes;
}

}  // namespace

void ModelPool::Core::start() {
  keeper_ = std::thread([this] { keep(); });
  loader_ = std::thread([this] { loadAll(); });
}

void ModelPool::Core::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake();
    job_.notify_all();
  }
  loader_.join();
  keeper_.join();
}

void ModelPool::Core::wake() {
  changed_ = true;
  wake_.notify_one();
}

void ModelPool::Core::keep() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_ = false;
    const std::uint64_t tick = ticks_;
    arrange();
    if (!answers_.empty()) {
      std::vector<Answer> answers = std::exchange(answers_, {});
      lock.unlock();
      for (Answer& answer : answers) answer.done(std::move(answer.result));
      answers.clear();
      lock.lock();
      continue;
    }
    if (!graves_.empty()) {
      takeDown(lock);
      continue;
    }
    if (changed_) continue;
    if (stopping_ && entries_.empty() && !loading_) break;
    ticksDone_ = tick;
    settled_.notify_all();
    const auto due = nextDue();
    const auto called = [this] { return changed_; };
    // A clock of the owner's says nothing about how long to wait.
    if (due == Clock::time_point::max() || !realClock_) {
      wake_.wait(lock, called);
    } else {
      wake_.wait_until(lock, due, called);
    }
  }
  ticksDone_ = ticks_;
  settled_.notify_all();
}

void ModelPool::Core::takeDown(std::unique_lock<std::mutex>& lock) {
  const std::vector<EntryRef> graves = std::exchange(graves_, {});
  std::vector<std::shared_ptr<Engine>> engines;
  for (const EntryRef& entry : graves) engines.push_back(std::move(entry->engine));
  lock.unlock();
  engines.clear();
  returnFreeMemory();
  lock.lock();
  for (const EntryRef& entry : graves) retire(entry);
}

void ModelPool::Core::loadAll() {
  std::unique_lock lock(mutex_);
  while (true) {
    job_.wait(lock, [this] { return stopping_ || loading_; });
    if (!loading_) return;
    const EntryRef entry = loading_;
    if (entry->state == State::kMeasuring) {
      measure(lock, entry);
    } else {
      loadOne(lock, entry);
    }
    loading_.reset();
    wake();
  }
}

void ModelPool::Core::measure(std::unique_lock<std::mutex>& lock, const EntryRef& entry) {
  const LoadOptions asked = entry->asked;
  lock.unlock();
  auto need = guarded([&] { return options_.estimate(entry->path, asked); });
  lock.lock();
  if (!need) {
    std::erase(queue_, entry);
    failed(entry, need.error(), false);
    return;
  }
  entry->need = sum(*need);
  entry->state = State::kWaiting;
}

void ModelPool::Core::loadOne(std::unique_lock<std::mutex>& lock, const EntryRef& entry) {
  const LoadOptions asked = entry->asked;
  lock.unlock();
  bool stopped = false;
  auto made = guarded([&] {
    return options_.load(entry->path, asked, [&](double fraction) {
      const std::lock_guard guard(mutex_);
      entry->fraction = fraction;
      stopped = stopped || entry->cancelled || stopping_;
      return !stopped;
    });
  });
  if (made && *made == nullptr) made = base::Error(base::ErrorCode::kInternal, "Loading gave no model.");
  std::uint64_t bytes = 0;
  std::string name;
  LoadOptions loaded;
  if (made) {
    bytes = sum((*made)->stats().memory);
    name = (*made)->info().name;
    loaded = (*made)->options();
  } else {
    returnFreeMemory();  // Of what was loaded before it failed.
  }
  lock.lock();
  if (!made) {
    failed(entry, made.error(), stopped);
    return;
  }
  entry->engine = std::move(*made);
  if (bytes != 0) entry->bytes = bytes;
  if (!name.empty()) entry->name = std::move(name);
  entry->loaded = std::move(loaded);
  entry->fraction = 1;
  entry->lastUse = options_.now();
  entry->state = State::kReady;
}

/// Under the mutex: `error` is for those who wanted what failed; who came with other wishes, or after the
/// load was `stopped`, gets a load of its own.
void ModelPool::Core::failed(const EntryRef& entry, const base::Error& error, bool stopped) {
  entry->loaded = entry->asked;
  if (!stopped) {
    answerWhere(
        *entry, [&](const Waiter& waiter) { return serves(*entry, waiter.options); }, error);
  }
  retire(entry);
}

/// Under the mutex: a model that holds nothing any more goes, or queues again where it is waited for. What
/// was somebody else's is not loaded again.
void ModelPool::Core::retire(const EntryRef& entry) {
  entry->bytes = 0;
  ++entry->ends;
  settled_.notify_all();
  wake();
  if (entry->adopted) {
    answerWhere(*entry, [](const Waiter&) { return true; },
                {base::ErrorCode::kNotFound,
                 "\"" + base::printable(entry->name) + "\" is not served here any more."});
  }
  if (entry->waiters.empty()) {
    entries_.erase(entry->path);
  } else {
    enqueue(entry);
  }
}

}  // namespace quern::engine::scheduler
