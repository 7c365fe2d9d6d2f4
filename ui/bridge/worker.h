// One background thread of the window: prompts are rendered, histories counted and searched here, so that the
// UI thread never waits for a tokenizer or a query.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace quern::ui {

/// Jobs run one after the other, urgent ones first. The destructor drops what has not begun and waits for
/// what has; a job reports back through QMetaObject::invokeMethod on an object that outlives the worker.
class Worker {
 public:
  enum class Priority { kUrgent, kIdle };
  using Job = std::function<void()>;

  Worker();
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void post(Priority priority, Job job);  ///< any thread; never blocks on a running job

 private:
  void loop();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> urgent_;
  std::deque<Job> idle_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace quern::ui
