// What callers of a pool do to it.

#include "engine/scheduler/model_pool.h"

#include <algorithm>
#include <utility>

#include "engine/base/text.h"
#include "engine/runtime/machine.h"
#include "engine/scheduler/load_plan.h"
#include "engine/scheduler/model_pool_core.h"

namespace quern::engine::scheduler {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kLeastMargin = 512U << 20;
/// How often a thread that waits asks its caller whether to go on.
constexpr auto kAskEvery = milliseconds(50);

/// What all models may hold on this machine; where it does not say what it has, loading itself finds the
/// limit.
std::uint64_t machineBudget() {
  const std::uint64_t available = runtime::describeMachine().availableBytes;
  if (available == 0) return UINT64_MAX;
  return available - std::min(available, std::max(kLeastMargin, available / 16));
}

/// One name for a file, whatever way leads to it.
std::filesystem::path keyOf(const std::filesystem::path& path) {
  std::error_code failed;
  // What does not exist is only made canonical as far as it is absolute.
  const std::filesystem::path whole = std::filesystem::absolute(path, failed);
  std::filesystem::path key = std::filesystem::weakly_canonical(failed ? path : whole, failed);
  return failed ? path.lexically_normal() : key;
}

}  // namespace

ModelPool::Core::Core(PoolOptions options) : options_(std::move(options)) {
  if (!options_.load) options_.load = Engine::load;
  if (!options_.estimate) options_.estimate = estimateMemory;
  realClock_ = !options_.now;
  if (realClock_) options_.now = Clock::now;
  budget_ = options_.memoryBudgetBytes != 0 ? options_.memoryBudgetBytes : machineBudget();
}

ModelPool::Ticket ModelPool::Core::acquire(const std::filesystem::path& path, AcquireOptions options,
                                           Done done) {
  const std::filesystem::path key = keyOf(path);
  std::unique_lock lock(mutex_);
  const Ticket ticket = ++lastTicket_;
  if (stopping_ || waiters_ >= options_.waitingLimit) {
    const std::int32_t waiting = waiters_;
    const bool ending = stopping_;
    lock.unlock();
    if (ending) {
      done(base::Error(base::ErrorCode::kCancelled, "Quern is ending, and loads no more models."));
    } else {
      done(base::Error(base::ErrorCode::kBusy,
                       base::grouped(static_cast<std::uint64_t>(waiting)) +
                           " requests are waiting for models already. Try again in a moment."));
    }
    return ticket;
  }
  EntryRef& entry = entries_[key];
  if (!entry) {
    entry = std::make_shared<Entry>();
    entry->path = key;
    entry->name = key.stem().string();
  }
  if (entry->givesLeases() && entry->waiters.empty() && serves(*entry, options)) {
    Lease lease = lend(entry, options);
    lock.unlock();
    done(std::move(lease));
    return ticket;
  }
  const bool isNew = entry->waiters.empty() && entry->state == State::kUnmeasured;
  entry->waiters.push_back({ticket, std::move(options), std::move(done), options_.now(), false});
  ++waiters_;
  if (isNew) enqueue(entry);
  wake();
  return ticket;
}

/// Under the mutex.
void ModelPool::Core::enqueue(const EntryRef& entry) {
  entry->state = State::kUnmeasured;
  entry->dismissed = entry->draining = entry->outdated = entry->cancelled = false;
  entry->blockedSince.reset();
  entry->fraction = 0;
  if (std::find(queue_.begin(), queue_.end(), entry) == queue_.end()) queue_.push_back(entry);
}

/// Under the mutex. The pointer is the engine's, what it counts is the hold: the last copy gives the model
/// back and never ends the engine.
Lease ModelPool::Core::lend(const EntryRef& entry, const AcquireOptions& options) {
  auto hold = std::make_shared<Hold>(shared_from_this(), entry);
  ++entry->leases;
  if (options.keepAlive) entry->keepAlive = options.keepAlive;
  return Lease(std::move(hold), entry->engine.get());
}

void ModelPool::Core::giveBack(Entry& entry) {
  const std::lock_guard lock(mutex_);
  if (--entry.leases > 0) return;
  entry.lastUse = options_.now();
  wake();
}

/// Under the mutex: the keeper says it when the mutex is free.
void ModelPool::Core::answer(Waiter& waiter, base::Result<Lease> result) {
  --waiters_;
  answers_.push_back({std::move(waiter.done), std::move(result)});
}

void ModelPool::Core::abandon(Ticket ticket) {
  const std::lock_guard lock(mutex_);
  for (const auto& [path, entry] : entries_) {
    for (Waiter& waiter : entry->waiters) {
      if (waiter.ticket != ticket) continue;
      waiter.abandoned = true;
      wake();
    }
  }
}

double ModelPool::Core::fractionOf(Ticket ticket) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [path, entry] : entries_) {
    for (const Waiter& waiter : entry->waiters) {
      if (waiter.ticket == ticket) return entry->fraction;
    }
  }
  return 0;
}

void ModelPool::Core::pin(const std::filesystem::path& path, bool pinned) {
  const std::filesystem::path key = keyOf(path);
  const std::lock_guard lock(mutex_);
  if (pinned) {
    pinned_.insert(key);
  } else {
    pinned_.erase(key);
  }
  wake();
}

base::Result<void> ModelPool::Core::unload(const std::filesystem::path& path, milliseconds wait) {
  const std::filesystem::path key = keyOf(path);
  std::unique_lock lock(mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end()) {
    return base::Error(base::ErrorCode::kNotFound,
                       "\"" + base::printable(key.stem().string()) + "\" is not loaded.");
  }
  const EntryRef entry = found->second;
  if (entry->state != State::kUnloading) {
    // Who waits for a load that is ended so waits no more; who waits for a model that was in use comes
    // behind.
    if (entry->state != State::kReady) {
      for (Waiter& waiter : entry->waiters) waiter.abandoned = true;
    }
    entry->dismissed = true;
    wake();
  }
  const std::uint64_t ends = entry->ends;
  settled_.wait_for(lock, wait, [&] { return entry->ends != ends; });
  if (entry->ends != ends || entry->leases == 0) return base::ok();
  return base::Error(base::ErrorCode::kBusy, "\"" + base::printable(entry->name) + "\" is in use by " +
                                                 std::to_string(entry->leases) +
                                                 " and will be unloaded when they are done.");
}

base::Result<void> ModelPool::Core::adopt(const std::filesystem::path& path, std::shared_ptr<Engine> engine) {
  const std::filesystem::path key = keyOf(path);
  auto entry = std::make_shared<Entry>();
  entry->path = key;
  entry->name = engine->info().name;
  if (entry->name.empty()) entry->name = key.stem().string();
  entry->asked = entry->loaded = engine->options();
  entry->engine = std::move(engine);
  entry->adopted = true;
  entry->fraction = 1;
  entry->state = State::kReady;
  const std::lock_guard lock(mutex_);
  if (stopping_)
    return base::Error(base::ErrorCode::kCancelled, "Quern is ending, and takes in no more models.");
  entry->lastUse = options_.now();
  if (!entries_.try_emplace(key, std::move(entry)).second) {
    return base::Error(base::ErrorCode::kBusy, "\"" + base::printable(key.stem().string()) +
                                                   "\" is loaded or being loaded here already.");
  }
  return base::ok();
}

PoolStatus ModelPool::Core::list() {
  PoolStatus status;
  std::vector<std::pair<EntryRef, Engine*>> engines;  // Of status.models, in their order.
  {
    const std::lock_guard lock(mutex_);
    const auto now = options_.now();
    const auto rounded = [](Clock::duration duration) {
      return std::chrono::duration_cast<milliseconds>(duration);
    };
    status.budgetBytes = budget_;
    status.usedBytes = used();
    for (const auto& [path, entry] : entries_) {
      PooledModel model;
      model.path = path;
      model.name = entry->name;
      model.bytes = entry->bytes;
      model.leases = entry->leases;
      model.waiting = static_cast<std::int32_t>(entry->waiters.size());
      model.pinned = pinned_.contains(path);
      model.adopted = entry->adopted;
      model.fraction = entry->fraction;
      if (entry->state == State::kLoading) model.state = PooledModel::State::kLoading;
      if (entry->state == State::kReady) model.state = PooledModel::State::kReady;
      if (entry->state == State::kUnloading) model.state = PooledModel::State::kUnloading;
      if (entry->state == State::kReady && entry->leases == 0) model.idleFor = rounded(now - entry->lastUse);
      if (const auto expiry = expiryOf(*entry))
        model.expiresIn = std::max(milliseconds(0), rounded(*expiry - now));
      Engine* engine = entry->state == State::kReady ? entry->engine.get() : nullptr;
      if (engine != nullptr) ++entry->looks;
      status.models.push_back(std::move(model));
      engines.emplace_back(entry, engine);
    }
  }
  // An engine may be telling a sink something, and that sink may be giving a lease back.
  for (std::size_t i = 0; i < engines.size(); ++i) {
    if (engines[i].second == nullptr) continue;
    const Stats stats = engines[i].second->stats();
    status.models[i].requests = stats.running + stats.waiting;
  }
  const std::lock_guard lock(mutex_);
  for (const auto& [entry, engine] : engines) {
    if (engine == nullptr) continue;
    --entry->looks;
    wake();
  }
  return status;
}

void ModelPool::Core::tick() {
  std::unique_lock lock(mutex_);
  const std::uint64_t mine = ++ticks_;
  wake();
  settled_.wait(lock, [&] { return ticksDone_ >= mine; });
}

ModelPool::ModelPool(PoolOptions options) : core_(std::make_shared<Core>(std::move(options))) {
  core_->start();
}

ModelPool::~ModelPool() {
  QUERN_CHECK(!core_->onKeeper(), "a ModelPool is ended from one of its own callbacks");
  core_->stop();
}

ModelPool::Ticket ModelPool::acquireLater(const std::filesystem::path& path, AcquireOptions options,
                                          Done done) {
  return core_->acquire(path, std::move(options), std::move(done));
}

void ModelPool::abandon(Ticket ticket) { core_->abandon(ticket); }

base::Result<Lease> ModelPool::acquire(const std::filesystem::path& path, AcquireOptions options,
                                       const runtime::Progress& progress) {
  QUERN_CHECK(!core_->onKeeper(), "a callback of a ModelPool waits for the pool");
  struct Mailbox {
    std::mutex mutex;
    std::condition_variable filled;
    std::optional<base::Result<Lease>> result;
  };
  const auto box = std::make_shared<Mailbox>();
  const Ticket ticket = core_->acquire(path, std::move(options), [box](base::Result<Lease> result) {
    const std::lock_guard lock(box->mutex);
    box->result = std::move(result);
    box->filled.notify_one();
  });
  std::unique_lock lock(box->mutex);
  const auto filled = [&] { return box->result.has_value(); };
  while (progress && !box->filled.wait_for(lock, kAskEvery, filled)) {
    lock.unlock();
    const bool goOn = progress(core_->fractionOf(ticket));
    if (!goOn) core_->abandon(ticket);
    lock.lock();
    if (!goOn) break;
  }
  box->filled.wait(lock, filled);
  return std::move(*box->result);
}

void ModelPool::pin(const std::filesystem::path& path, bool pinned) { core_->pin(path, pinned); }

base::Result<void> ModelPool::unload(const std::filesystem::path& path, milliseconds wait) {
  return core_->unload(path, wait);
}

base::Result<void> ModelPool::adopt(const std::filesystem::path& path, std::shared_ptr<Engine> engine) {
  QUERN_CHECK(engine != nullptr, "a ModelPool is to adopt nothing");
  return core_->adopt(path, std::move(engine));
}

PoolStatus ModelPool::list() const { return core_->list(); }

void ModelPool::tick() { core_->tick(); }

std::shared_ptr<EventSink> holdUntilFinished(Lease lease, std::shared_ptr<EventSink> sink) {
  class Holding : public EventSink {
   public:
    Holding(Lease lease, std::shared_ptr<EventSink> sink)
        : lease_(std::move(lease)), sink_(std::move(sink)) {}
    void onEvent(const Event& event) override {
      sink_->onEvent(event);
      if (event.kind == Event::Kind::kFinished) lease_.reset();
    }

   private:
    Lease lease_;
    std::shared_ptr<EventSink> sink_;
  };
  return std::make_shared<Holding>(std::move(lease), std::move(sink));
}

}  // namespace quern::engine::scheduler
