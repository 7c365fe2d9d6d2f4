// A few threads for what is too long for a thread that serves connections: reading bodies, rendering and
// tokenizing prompts, writing long answers.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace quern::app::serve {

class Workers {
 public:
  using Task = std::function<void()>;

  /// `most`: tasks that may wait.
  Workers(std::size_t threads, std::size_t most);
  ~Workers();  ///< stop()
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// False, and the task is not taken: as many wait as may. From any thread.
  bool post(Task task);
  /// For the rest of what has been let in: taken however many wait, and done here and now after stop().
  void go(Task task);
  /// Runs what waits, then ends. Not from a task.
  void stop();

 private:
  void work();

  const std::size_t most_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  bool isStopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace quern::app::serve
