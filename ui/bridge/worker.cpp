#include "ui/bridge/worker.h"

#include <utility>

namespace quern::ui {

Worker::Worker() : thread_([this] { loop(); }) {}

Worker::~Worker() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Worker::post(Priority priority, Job job) {
  {
    const std::lock_guard lock(mutex_);
    (priority == Priority::kUrgent ? urgent_ : idle_).push_back(std::move(job));
  }
  wake_.notify_one();
}

void Worker::loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || !urgent_.empty() || !idle_.empty(); });
    if (stop_) return;
    std::deque<Job>& queue = urgent_.empty() ? idle_ : urgent_;
    Job job = std::move(queue.front());
    queue.pop_front();
    lock.unlock();
    job();
    job = nullptr;  // what it held (an engine, perhaps the last reference) goes on this thread
    lock.lock();
  }
}

}  // namespace quern::ui
