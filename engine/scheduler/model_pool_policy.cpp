// Who is loaded, served, refused and given up. Everything here runs on the keeper, under the mutex, and only
// marks and lists what the threads then do outside of it.

#include <algorithm>

#include "engine/base/text.h"
#include "engine/scheduler/model_pool_core.h"

namespace quern::engine::scheduler {
namespace {

/// In a sentence; the rest is counted.
constexpr std::size_t kMostHolders = 6;

std::string named(const std::string& name) { return "\"" + base::printable(name) + "\""; }

}  // namespace

void ModelPool::Core::arrange() {
  for (const auto& [path, entry] : entries_) settleWaiters(*entry);
  dropUnwanted();
  expire();
  shrinkToBudget();
  serveQueue();
  dropUnwanted();  // Who was refused is gone before it is told.
}

/// Answers those whose time has come: abandoned ones, and those that a ready model serves, in their order.
void ModelPool::Core::settleWaiters(Entry& entry) {
  if (stopping_) {
    answerWhere(entry, [](const Waiter&) { return true; },
                {base::ErrorCode::kCancelled, "Quern is ending, and loads no more models."});
    entry.dismissed = true;
    return;
  }
  answerWhere(entry, [](const Waiter& waiter) { return waiter.abandoned; },
              {base::ErrorCode::kCancelled, "Loading " + named(entry.name) + " was cancelled."});
  if (entry.state != State::kReady) return;
  if (!entry.dismissed && !entry.draining) {
    const EntryRef self = entries_.at(entry.path);
    while (!entry.waiters.empty() && serves(entry, entry.waiters.front().options)) {
      answer(entry.waiters.front(), lend(self, entry.waiters.front().options));
      entry.waiters.pop_front();
    }
    entry.outdated = !entry.waiters.empty();
  }
  if (entry.leases == 0) return;
  answerWhere(entry,
              [now = options_.now()](const Waiter& waiter) {
                return waiter.options.roomWait.count() >= 0 && now - waiter.since >= waiter.options.roomWait;
              },
              {base::ErrorCode::kBusy,
               named(entry.name) + " is in use by " + std::to_string(entry.leases) +
                   " and has to be unloaded before it can be used anew. Try again in a moment."});
}

/// What nobody waits for any more leaves the queue, or stops loading.
void ModelPool::Core::dropUnwanted() {
  for (auto it = entries_.begin(); it != entries_.end();) {
    Entry& entry = *it->second;
    const bool queued = entry.state == State::kUnmeasured || entry.state == State::kWaiting;
    const bool loads = entry.state == State::kMeasuring || entry.state == State::kLoading;
    if (loads) entry.cancelled = entry.waiters.empty() || entry.dismissed;
    if (queued) entry.dismissed = false;  // It holds nothing.
    if (!queued || !entry.waiters.empty()) {
      ++it;
      continue;
    }
    std::erase(queue_, it->second);
    ++entry.ends;
    settled_.notify_all();
    it = entries_.erase(it);
  }
}

std::optional<ModelPool::Core::Clock::time_point> ModelPool::Core::expiryOf(const Entry& entry) const {
  const auto keep = entry.keepAlive.value_or(options_.idleTimeToLive);
  if (entry.state != State::kReady || entry.leases > 0 || keep.count() < 0 || pinned_.contains(entry.path) ||
      entry.adopted)
    return {};
  // Far enough to mean "never", near enough to be added to any time.
  constexpr auto kMost = std::chrono::milliseconds(std::chrono::hours(24 * 3650));
  return entry.lastUse + std::min(keep, kMost);
}

void ModelPool::Core::bury(const EntryRef& entry) {
  entry->state = State::kUnloading;
  graves_.push_back(entry);
}

void ModelPool::Core::expire() {
  const auto now = options_.now();
  for (const auto& [path, entry] : entries_) {
    if (!entry->isIdle()) continue;
    const auto expiry = expiryOf(*entry);
    const bool inTheWay = entry->draining && !pinned_.contains(path);
    if (entry->dismissed || entry->outdated || inTheWay || (expiry && *expiry <= now)) bury(entry);
  }
}

/// A model may turn out a little larger than it was estimated.
void ModelPool::Core::shrinkToBudget() {
  std::uint64_t staying = 0;
  for (const auto& [path, entry] : entries_) {
    if (entry->state != State::kUnloading) staying += entry->bytes;
  }
  for (const EntryRef& entry : oldestFirst(false)) {
    if (staying <= budget_) return;
    staying -= entry->bytes;
    bury(entry);
  }
}

std::uint64_t ModelPool::Core::used() const {
  std::uint64_t bytes = 0;
  for (const auto& [path, entry] : entries_) bytes += entry->bytes;
  return bytes;
}

/// Models that may make room, longest unused first; among those in use the idle ones come first.
std::vector<ModelPool::Core::EntryRef> ModelPool::Core::oldestFirst(bool alsoInUse) const {
  std::vector<EntryRef> found;
  for (const auto& [path, entry] : entries_) {
    const bool may = entry->isIdle() || (alsoInUse && entry->state == State::kReady);
    if (may && !entry->adopted && !pinned_.contains(path)) found.push_back(entry);
  }
  std::stable_sort(found.begin(), found.end(), [](const EntryRef& a, const EntryRef& b) {
    return a->isIdle() != b->isIdle() ? a->isIdle() : a->lastUse < b->lastUse;
  });
  return found;
}

ModelPool::Core::Room ModelPool::Core::makeRoom(const Entry& entry) {
  const std::uint64_t taken = used();
  std::uint64_t room = budget_ - std::min(budget_, taken);
  if (entry.need <= room) return Room::kHere;
  for (const auto& [path, other] : entries_) {
    if (other->state == State::kUnloading) room += other->bytes;
  }
  const std::vector<EntryRef> idle = oldestFirst(false);
  std::uint64_t possible = room;
  for (const EntryRef& other : idle) possible += other->bytes;
  if (entry.need > possible) return Room::kNone;
  for (const EntryRef& other : idle) {
    if (entry.need <= room) break;
    room += other->bytes;
    bury(other);
  }
  return Room::kSoon;
}

/// Models that give no new leases until `entry` is through: the fewest of those longest unused.
std::set<const ModelPool::Core::Entry*> ModelPool::Core::inTheWayOf(const Entry& entry) const {
  std::set<const Entry*> found;
  std::uint64_t room = budget_ - std::min(budget_, used());
  for (const auto& [path, other] : entries_) {
    if (other->state == State::kUnloading) room += other->bytes;
  }
  for (const EntryRef& other : oldestFirst(true)) {
    if (entry.need <= room) break;
    room += other->bytes;
    found.insert(other.get());
  }
  return found;
}

/// What a model needs is found out at once, also behind loads that wait: what cannot fit is told early.
void ModelPool::Core::measureNext() {
  if (loading_) return;
  const auto next = std::find_if(queue_.begin(), queue_.end(),
                                 [](const EntryRef& entry) { return entry->state == State::kUnmeasured; });
  if (next == queue_.end()) return;
  (*next)->asked = (*next)->waiters.front().options.load.value_or(options_.defaults);
  (*next)->state = State::kMeasuring;
  loading_ = *next;
  job_.notify_one();
}

/// Gives the loader its next job. Loads go in the order of asking, but while one waits for models in use,
/// later ones that fit may pass, until it has lost patience.
void ModelPool::Core::serveQueue() {
  const auto now = options_.now();
  measureNext();
  std::set<const Entry*> draining;
  for (const EntryRef& entry : std::deque<EntryRef>(queue_)) {
    if (entry->state != State::kWaiting) continue;
    if (refuseHopeless(*entry)) continue;
    const Room room = makeRoom(*entry);
    if (room != Room::kNone) {
      entry->blockedSince.reset();
      if (room == Room::kHere && !loading_) {
        std::erase(queue_, entry);
        entry->state = State::kLoading;
        entry->bytes = entry->need;
        loading_ = entry;
        job_.notify_one();
      }
      break;
    }
    if (!entry->blockedSince) entry->blockedSince = now;
    if (now - *entry->blockedSince >= options_.patience) {
      draining = inTheWayOf(*entry);
      break;
    }
  }
  refuseLate();
  for (const auto& [path, entry] : entries_) {
    const bool drains = draining.contains(entry.get());
    // Who waited for one that drains no more can be served; one that drains and is idle can go.
    changed_ = changed_ || (drains != entry->draining && (!entry->waiters.empty() || entry->isIdle()));
    entry->draining = drains;
  }
}

/// Those who have waited for models in use as long as they wanted to.
void ModelPool::Core::refuseLate() {
  const auto now = options_.now();
  for (const EntryRef& entry : queue_) {
    if (!entry->blockedSince) continue;
    const auto late = [&](const Waiter& waiter) {
      const auto wait = waiter.options.roomWait;
      return wait.count() >= 0 && now - std::max(*entry->blockedSince, waiter.since) >= wait;
    };
    if (std::any_of(entry->waiters.begin(), entry->waiters.end(), late))
      answerWhere(*entry, late, noRoom(*entry));
  }
}

bool ModelPool::Core::refuseHopeless(Entry& entry) {
  std::uint64_t pinned = 0;
  for (const auto& [path, other] : entries_) {
    if (pinned_.contains(path) && other.get() != &entry) pinned += other->bytes;
  }
  if (entry.need <= budget_ - std::min(budget_, pinned)) return false;
  std::string text = named(entry.name) + " needs " + base::byteText(entry.need) +
                     " of memory with this context, and all models together may hold " +
                     base::byteText(budget_);
  if (entry.need > budget_) {
    text += ". Choose a shorter context or a smaller model, or raise the memory budget.";
  } else {
    text += ", of which pinned ones take " + base::byteText(pinned) + ": " + holdersText(entry, true) +
            ". Unpin one of them, or raise the memory budget.";
  }
  answerWhere(entry, [](const Waiter&) { return true; }, {base::ErrorCode::kOutOfMemory, std::move(text)});
  return true;
}

base::Error ModelPool::Core::noRoom(const Entry& entry) const {
  const std::uint64_t taken = used();
  return {base::ErrorCode::kBusy,
          named(entry.name) + " needs " + base::byteText(entry.need) + " of memory, and " +
              base::byteText(budget_ - std::min(budget_, taken)) + " of the budget of " +
              base::byteText(budget_) + " are free: " + holdersText(entry, false) +
              ". Try again in a moment, unload one of them, or raise the memory budget."};
}

std::string ModelPool::Core::holdersText(const Entry& except, bool pinnedOnly) const {
  std::string text;
  std::size_t listed = 0;
  std::size_t more = 0;
  for (const auto& [path, entry] : entries_) {
    const bool pinned = pinned_.contains(path);
    if (entry.get() == &except || entry->bytes == 0 || (pinnedOnly && !pinned)) continue;
    if (listed == kMostHolders) {
      ++more;
      continue;
    }
    if (listed++ > 0) text += ", ";
    text += named(entry->name) + " holds " + base::byteText(entry->bytes);
    if (entry->state == State::kLoading) {
      text += " (loading)";
    } else if (entry->state == State::kUnloading) {
      text += " (going)";
    } else if (entry->leases > 0) {
      text += " (in use by " + std::to_string(entry->leases) + (pinned ? ", pinned)" : ")");
    } else {
      text += pinned ? " (pinned)" : " (idle)";
    }
  }
  if (more > 0) text += " and " + std::to_string(more) + " more hold the rest";
  return text;
}

/// Whether a model that was loaded for `entry.asked` does what `wanted` names; 0 and "" name nothing. What
/// the first who waited asked for always does, whatever the loader made of it.
bool ModelPool::Core::serves(const Entry& entry, const AcquireOptions& wanted) {
  // What somebody else has loaded cannot be loaded anew: it serves as well as it can.
  if (!wanted.load || entry.adopted) return true;
  const LoadOptions& want = *wanted.load;
  const auto enough = [](std::int32_t wish, std::int32_t asked, std::int32_t loaded) {
    return wish == asked || wish <= loaded;
  };
  return enough(want.contextTokens, entry.asked.contextTokens, entry.loaded.contextTokens) &&
         enough(want.parallel, entry.asked.parallel, entry.loaded.parallel) &&
         want.kvType == entry.asked.kvType && (want.kernels.empty() || want.kernels == entry.asked.kernels) &&
         (want.threads == 0 || want.threads == entry.asked.threads || want.threads == entry.loaded.threads);
}

/// When the keeper has to look again even if nobody calls.
ModelPool::Core::Clock::time_point ModelPool::Core::nextDue() const {
  auto due = Clock::time_point::max();
  const auto consider = [&due](Clock::time_point at) { due = std::min(due, at); };
  for (const auto& [path, entry] : entries_) {
    if (const auto expiry = expiryOf(*entry)) consider(*expiry);
    if (entry->blockedSince && *entry->blockedSince + options_.patience > options_.now())
      consider(*entry->blockedSince + options_.patience);
    if (!entry->blockedSince && entry->state != State::kReady) continue;
    for (const Waiter& waiter : entry->waiters) {
      const auto since = entry->blockedSince ? std::max(*entry->blockedSince, waiter.since) : waiter.since;
      if (waiter.options.roomWait.count() >= 0) consider(since + waiter.options.roomWait);
    }
  }
  return due;
}

}  // namespace quern::engine::scheduler
