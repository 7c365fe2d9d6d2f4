// Several models under one memory budget: loaded when they are asked for, kept while they are in use and some
// time after, given up longest unused first when another needs the room. The memory goes back to the system.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/scheduler/engine.h"

namespace quern::engine::scheduler {

/// The right to use a loaded model: an Engine that stays loaded until the last copy of the pointer is gone.
/// Copies may go on any thread, an engine's own included: what they give back is a count, and the pool takes
/// the engine down on a thread of its own.
using Lease = std::shared_ptr<Engine>;

struct PoolOptions {
  /// What all models may hold together. 0: what the machine (or its container) has available now, less a
  /// sixteenth and at least 512 MiB, which are left to everything else.
  std::uint64_t memoryBudgetBytes = 0;
  /// How long a model stays after its last lease came back, unless AcquireOptions says otherwise. 0: not at
  /// all; negative: until its room is needed.
  std::chrono::milliseconds idleTimeToLive = std::chrono::minutes(5);
  /// A load that has waited so long for models in use is passed over no more: it has the next turn, and the
  /// models that stand in its way give no new leases until it is through.
  std::chrono::milliseconds patience = std::chrono::seconds(5);
  std::int32_t waitingLimit = 1024;  ///< acquires that may wait; one more is refused with kBusy
  LoadOptions defaults;              ///< for an acquire that names none

  // Seams for tests; what is empty is the real thing.
  std::function<base::Result<std::shared_ptr<Engine>>(const std::filesystem::path&, const LoadOptions&,
                                                      const runtime::Progress&)>
      load;
  std::function<base::Result<runtime::MemoryUse>(const std::filesystem::path&, const LoadOptions&)> estimate;
  /// With a clock of its own, time passes for the pool only in tick().
  std::function<std::chrono::steady_clock::time_point()> now;
};

struct AcquireOptions {
  /// Empty: whatever the model is loaded with, or the pool's defaults. A loaded model serves a request for no
  /// more context and no more parallel requests than it has, with the same cache type and kernels; otherwise
  /// it is loaded anew as soon as its leases are back.
  std::optional<LoadOptions> load;
  /// Instead of PoolOptions::idleTimeToLive, for this model from now on.
  std::optional<std::chrono::milliseconds> keepAlive;
  /// How long to wait for models in use to make room. 0: not at all; negative: as long as it takes. Neither
  /// loading nor waiting for other loads counts.
  std::chrono::milliseconds roomWait = std::chrono::seconds(30);
};

/// One model in list().
struct PooledModel {
  enum class State : std::uint8_t { kWaiting, kLoading, kReady, kUnloading };
  std::filesystem::path path;
  std::string name;  ///< the model's own once it is loaded, before that the file's
  State state = State::kWaiting;
  double fraction = 0;      ///< kLoading: 0…1
  std::uint64_t bytes = 0;  ///< what it holds of the budget
  std::int32_t leases = 0;
  std::int32_t requests = 0;  ///< running and waiting in its engine
  std::int32_t waiting = 0;   ///< acquires that wait for it
  bool pinned = false;
  bool adopted = false;                                ///< see ModelPool::adopt()
  std::optional<std::chrono::milliseconds> idleFor;    ///< kReady without leases
  std::optional<std::chrono::milliseconds> expiresIn;  ///< likewise, where it expires
};

/// A snapshot of the pool.
struct PoolStatus {
  std::uint64_t budgetBytes = 0;
  std::uint64_t usedBytes = 0;      ///< held or being filled or given back
  std::vector<PooledModel> models;  ///< by path
};

/// Every function may be called from any thread.
class ModelPool {
 public:
  using Ticket = std::uint64_t;
  /// Must neither block nor throw.
  using Done = std::function<void(base::Result<Lease>)>;

  explicit ModelPool(PoolOptions options);
  /// Ends loads and waiting acquires with kCancelled, waits until every lease is back, and unloads. Not to be
  /// called by who holds a lease, nor from a Done or an EventSink.
  ~ModelPool();
  ModelPool(const ModelPool&) = delete;
  ModelPool& operator=(const ModelPool&) = delete;

  /// Asks for a model and returns at once. `done` comes exactly once: on this thread, before the return, when
  /// the model is ready or the queue is full, otherwise on the pool's thread. All who wait for the same model
  /// share one load. Errors: those of Engine::load(); kOutOfMemory where it cannot fit (need, budget and
  /// holders in the sentence); kBusy where it would fit, but models in use did not make room in time;
  /// kCancelled.
  Ticket acquireLater(const std::filesystem::path& path, AcquireOptions options, Done done);
  /// Ends a waiting acquire with kCancelled; a load that nobody waits for any more ends, too. Nothing happens
  /// where `done` has come.
  void abandon(Ticket ticket);
  /// The same for a thread that may wait. `progress` hears of the load on this thread, also while nothing
  /// moves; returning false abandons. Not from a Done.
  base::Result<Lease> acquire(const std::filesystem::path& path, AcquireOptions options = {},
                              const runtime::Progress& progress = {});

  /// A pinned model neither expires nor makes room for others. It may be said before the model is loaded, and
  /// loads nothing.
  void pin(const std::filesystem::path& path, bool pinned);
  /// Unloads a model, also a pinned one, as soon as its leases are back; until then it gives no new ones. A
  /// load is ended. Waits for it up to `wait`. Errors: kNotFound where the model is not here; kBusy where it
  /// is still in use after `wait`, and goes later.
  base::Result<void> unload(const std::filesystem::path& path, std::chrono::milliseconds wait = {});

  /// Takes in an engine that somebody else has loaded and goes on using: it is lent out under `path` like any
  /// other, whatever LoadOptions are asked for. Its memory is its owner's: it counts nothing of the budget,
  /// makes no room and does not expire. unload() gives it back, which ends who waits for it with kNotFound;
  /// the pool's pointer goes on a thread of the pool's. Errors: kBusy where something is here under `path`;
  /// kCancelled where the pool is ending.
  base::Result<void> adopt(const std::filesystem::path& path, std::shared_ptr<Engine> engine);

  PoolStatus list() const;
  /// Looks at the clock, and returns when what follows from it is done: models that have expired are gone.
  /// Loads are not waited for. Only needed with a clock of one's own; not from a Done.
  void tick();

  class Core;  ///< what the pool, its threads and its leases share

 private:
  std::shared_ptr<Core> core_;
};

/// A sink that passes events on to `sink` and holds `lease` until the request is finished, so that a request
/// in flight keeps its model.
std::shared_ptr<EventSink> holdUntilFinished(Lease lease, std::shared_ptr<EventSink> sink);

}  // namespace quern::engine::scheduler
