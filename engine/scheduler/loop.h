// The engine thread: carries requests to the scheduler and runs its steps while there is anything to do.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/runtime/backend.h"
#include "engine/scheduler/engine.h"
#include "engine/scheduler/scheduler.h"

namespace quern::engine::scheduler {

class Loop {
 public:
  /// What an engine may have beside its model.
  struct Extras {
    std::unique_ptr<DraftModel> draftModel;
    std::unique_ptr<PrefixStore> prefixStore;
    Scheduler::Classify classify;  ///< without one nothing is ranked
    std::function<CacheIdentity()>
        identity;  ///< see Scheduler::setIdentity(); without it there is no state to save
  };
  /// `options` with the defaults filled in.
  Loop(std::unique_ptr<runtime::Executable> executable, std::shared_ptr<const tokenizer::Tokenizer> tokenizer,
       const LoadOptions& options, Extras extras);
  Loop(std::unique_ptr<runtime::Executable> executable, std::shared_ptr<const tokenizer::Tokenizer> tokenizer,
       const LoadOptions& options)
      : Loop(std::move(executable), std::move(tokenizer), options, Extras{}) {}
  ~Loop();  ///< cancels everything; every sink gets its last event

  base::Result<RequestId> submit(Request request, std::shared_ptr<EventSink> sink);
  void cancel(RequestId request);
  base::Result<std::int32_t> saveState(std::vector<std::int32_t> tokens, const std::filesystem::path& path);
  base::Result<std::int32_t> restoreState(const std::filesystem::path& path);
  Stats stats() const;
  const runtime::Executable& executable() const { return *executable_; }

 private:
  base::Result<void> check(const Request& request) const;
  bool hasVocabularyOf(const grammar::Constraint& constraint) const;
  using Task = std::packaged_task<base::Result<std::int32_t>()>;
  base::Result<std::int32_t> onEngineThread(Task task);
  void run();
  bool takeIn();
  void setActive(bool wanted);
  void sleep();
  void note(const Scheduler::Report& report);
  double bandwidth(bool measure);

  std::unique_ptr<runtime::Executable> executable_;
  const std::shared_ptr<const tokenizer::Tokenizer> tokenizer_;
  const LoadOptions options_;
  std::atomic<RequestId> nextId_{1};
  bool ranks_ = false;
  /// Of the tokenizer's vocabulary, to hold constraints against; worked out when it is needed first.
  mutable std::once_flag identified_;
  mutable std::uint64_t identity_ = 0;

  // Shared with callers.
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Job>> inbox_;
  std::deque<Task> tasks_;
  std::vector<std::weak_ptr<Job>> live_;  ///< for cancel()
  bool stopping_ = false;
  struct Sample {
    Clock::time_point at;
    std::uint64_t generated, prompt, bytes;
  };
  std::deque<Sample> samples_;  ///< totals after each step of the last second, and one from before it
  Stats totals_;
  Scheduler::Report report_;

  // Engine thread only.
  Scheduler scheduler_;
  /// Bytes/s that the executable can read. Measured when nothing is asked for, or with the first answer that
  /// is to be held against it: never before the first token.
  double bandwidth_ = 0;
  bool measured_ = false;
  bool settled_ = false;  ///< what loading put off is done
  bool active_ = false;

  std::thread thread_;
};

}  // namespace quern::engine::scheduler
