// What a ModelPool, its two threads and its leases share. The keeper decides everything, answers and takes
// engines down; the loader estimates and loads, one model after another. Callers only leave wishes under the
// mutex and wake the keeper. Under the mutex no engine and no callback is called and no lease dropped.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "engine/scheduler/model_pool.h"

namespace quern::engine::scheduler {

class ModelPool::Core : public std::enable_shared_from_this<ModelPool::Core> {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Core(PoolOptions options);
  void start();
  void stop();

  Ticket acquire(const std::filesystem::path& path, AcquireOptions options, Done done);
  void abandon(Ticket ticket);
  double fractionOf(Ticket ticket) const;  ///< how far the load is that `ticket` waits for
  void pin(const std::filesystem::path& path, bool pinned);
  base::Result<void> unload(const std::filesystem::path& path, std::chrono::milliseconds wait);
  base::Result<void> adopt(const std::filesystem::path& path, std::shared_ptr<Engine> engine);
  PoolStatus list();
  void tick();
  bool onKeeper() const { return std::this_thread::get_id() == keeper_.get_id(); }

 private:
  struct Waiter {
    Ticket ticket = 0;
    AcquireOptions options;
    Done done;
    Clock::time_point since;
    bool abandoned = false;
  };

  enum class State : std::uint8_t {
    kUnmeasured,  ///< in the queue; need unknown
    kMeasuring,   ///< with the loader
    kWaiting,     ///< in the queue for room
    kLoading,     ///< with the loader
    kReady,
    kUnloading,  ///< with the keeper, outside of the mutex
  };

  /// A model that is here or wanted; one for a path. At all times the bytes of all entries are within the
  /// budget.
  struct Entry {
    std::filesystem::path path;
    State state = State::kUnmeasured;
    LoadOptions asked;   ///< what it is or will be loaded with
    LoadOptions loaded;  ///< the same with defaults filled in; kReady
    std::string name;
    std::shared_ptr<Engine> engine;
    std::uint64_t need = 0;   ///< estimated
    std::uint64_t bytes = 0;  ///< counted against the budget: kLoading, kReady, kUnloading
    std::int32_t leases = 0;
    Clock::time_point lastUse;  ///< when the last lease came back
    std::optional<std::chrono::milliseconds> keepAlive;
    std::optional<Clock::time_point> blockedSince;  ///< waits for models in use
    bool dismissed = false;                         ///< unload() said so
    bool draining = false;                          ///< another's load has lost patience and needs this room
    bool outdated = false;   ///< somebody waits for it with options that it does not serve
    bool cancelled = false;  ///< the loader is to stop
    bool adopted = false;    ///< somebody else's: neither loaded nor counted here
    double fraction = 0;
    std::int32_t looks = 0;  ///< list() is asking its engine
    std::uint64_t ends = 0;  ///< how often it was taken down or given up
    std::deque<Waiter> waiters;

    bool givesLeases() const { return state == State::kReady && !dismissed && !draining && !outdated; }
    bool isIdle() const { return state == State::kReady && leases == 0 && looks == 0; }
  };
  using EntryRef = std::shared_ptr<Entry>;

  /// The count that a lease gives back.
  struct Hold {
    Hold(std::shared_ptr<Core> itsCore, EntryRef itsEntry)
        : core(std::move(itsCore)), entry(std::move(itsEntry)) {}
    ~Hold() { core->giveBack(*entry); }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    std::shared_ptr<Core> core;
    EntryRef entry;
  };

  struct Answer {
    Done done;
    base::Result<Lease> result;
  };

  enum class Room : std::uint8_t { kHere, kSoon, kNone };

  // Decisions, on the keeper under the mutex: model_pool_policy.cpp.
  void arrange();
  void settleWaiters(Entry& entry);
  void dropUnwanted();
  void expire();
  void shrinkToBudget();
  void serveQueue();
  void measureNext();
  void refuseLate();
  bool refuseHopeless(Entry& entry);
  Room makeRoom(const Entry& entry);
  std::set<const Entry*> inTheWayOf(const Entry& entry) const;
  std::vector<EntryRef> oldestFirst(bool alsoInUse) const;
  void bury(const EntryRef& entry);
  std::uint64_t used() const;
  std::optional<Clock::time_point> expiryOf(const Entry& entry) const;
  Clock::time_point nextDue() const;
  std::string holdersText(const Entry& except, bool pinnedOnly) const;
  base::Error noRoom(const Entry& entry) const;
  static bool serves(const Entry& entry, const AcquireOptions& wanted);

  // The same mutex, any thread: model_pool.cpp.
  Lease lend(const EntryRef& entry, const AcquireOptions& options);
  void enqueue(const EntryRef& entry);
  void answer(Waiter& waiter, base::Result<Lease> result);
  template <class Predicate>
  void answerWhere(Entry& entry, const Predicate& isMeant, const base::Error& error) {
    for (auto it = entry.waiters.begin(); it != entry.waiters.end();) {
      if (isMeant(*it)) {
        answer(*it, error);
        it = entry.waiters.erase(it);
      } else {
        ++it;
      }
    }
  }
  void giveBack(Entry& entry);  ///< takes the mutex

  // What the threads do: model_pool_threads.cpp.
  void wake();  ///< the keeper; under the mutex
  void keep();
  void loadAll();
  void measure(std::unique_lock<std::mutex>& lock, const EntryRef& entry);
  void loadOne(std::unique_lock<std::mutex>& lock, const EntryRef& entry);
  void failed(const EntryRef& entry, const base::Error& error, bool stopped);
  void takeDown(std::unique_lock<std::mutex>& lock);
  void retire(const EntryRef& entry);

  PoolOptions options_;  ///< never changed after the constructor
  bool realClock_ = true;
  std::uint64_t budget_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable wake_;     ///< for the keeper: changed_, or time
  std::condition_variable job_;      ///< for the loader
  std::condition_variable settled_;  ///< for tick() and unload()
  bool changed_ = false;
  bool stopping_ = false;
  std::uint64_t ticks_ = 0;
  std::uint64_t ticksDone_ = 0;
  Ticket lastTicket_ = 0;
  std::int32_t waiters_ = 0;
  std::map<std::filesystem::path, EntryRef> entries_;
  std::set<std::filesystem::path> pinned_;
  std::deque<EntryRef> queue_;  ///< kUnmeasured, kMeasuring, kWaiting; in the order of asking
  EntryRef loading_;            ///< the loader's job
  std::vector<EntryRef> graves_;
  std::vector<Answer> answers_;

  std::thread keeper_;
  std::thread loader_;
};

}  // namespace quern::engine::scheduler
