#include "app/serve/api/deadlines.h"

#include <utility>

#include "app/serve/api/call.h"

namespace quern::app::serve {

Deadlines::Deadlines() : thread_([this] { work(); }) {}

Deadlines::~Deadlines() { stop(); }

void Deadlines::watch(Time time, std::weak_ptr<Call> call) {
  bool isFirst = false;
  {
    const std::lock_guard lock(mutex_);
    const auto added = calls_.emplace(time, std::move(call));
    isFirst = added == calls_.begin();
  }
  if (isFirst) changed_.notify_one();
}

void Deadlines::stop() {
  {
    const std::lock_guard lock(mutex_);
    isStopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Deadlines::work() {
  std::unique_lock lock(mutex_);
  while (!isStopping_) {
    if (calls_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const auto first = calls_.begin();
    if (first->first > std::chrono::steady_clock::now()) {
      const Time until = first->first;  // the entry may go while this waits
      changed_.wait_until(lock, until);
      continue;
    }
    const std::weak_ptr<Call> due = std::move(first->second);
    calls_.erase(first);
    lock.unlock();
    if (const auto call = due.lock()) call->expire();
    lock.lock();
  }
}

}  // namespace quern::app::serve
