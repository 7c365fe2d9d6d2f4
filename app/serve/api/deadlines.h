// A thread that tells calls when their time is up.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

namespace quern::app::serve {

class Call;

class Deadlines {
 public:
  using Time = std::chrono::steady_clock::time_point;

  Deadlines();
  ~Deadlines();  ///< stop()
  Deadlines(const Deadlines&) = delete;
  Deadlines& operator=(const Deadlines&) = delete;

  /// Call::expire() at `time`, if the call still lives.
  void watch(Time time, std::weak_ptr<Call> call);
  void stop();

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::multimap<Time, std::weak_ptr<Call>> calls_;
  bool isStopping_ = false;
  std::thread thread_;
};

}  // namespace quern::app::serve
