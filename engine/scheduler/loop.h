// The engine thread: takes requests in, fills each step's batch (decodes first, then slices of waiting
// prompts), runs it, and lets every sequence pick its token. Knows nothing of files and templates, so that
// tests drive it with an executable of their own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/runtime/backend.h"
#include "engine/scheduler/block_pool.h"
#include "engine/scheduler/engine.h"
#include "engine/scheduler/sequence.h"

namespace quern::engine::scheduler {

class Loop {
 public:
  /// `options` with the defaults filled in.
  Loop(std::unique_ptr<runtime::Executable> executable, std::shared_ptr<const tokenizer::Tokenizer> tokenizer,
       const LoadOptions& options);
  ~Loop();  ///< cancels everything; every sink gets its last event

  base::Result<RequestId> submit(Request request, std::shared_ptr<EventSink> sink);
  void cancel(RequestId request);
  Stats stats() const;
  const runtime::Executable& executable() const { return *executable_; }

 private:
  using Running = std::vector<std::shared_ptr<Sequence>>;

  void run();
  void admit();
  void step();
  bool grow(Sequence& sequence, std::int32_t tokens);
  void addSlice(Sequence& sequence, std::int32_t tokens);
  void afterRun(std::int32_t prefilled, std::uint64_t bytes);
  void finish(const std::shared_ptr<Sequence>& sequence, FinishReason reason,
              std::optional<base::Error> error = {});
  void removeCancelled();
  void measureBandwidth();
  void count(std::int32_t generated, std::int32_t prefilled, std::uint64_t bytes);

  std::unique_ptr<runtime::Executable> executable_;
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer_;
  const LoadOptions options_;

  std::atomic<RequestId> nextId_{1};

  // Shared with callers.
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Sequence>> waiting_;
  std::vector<std::weak_ptr<Sequence>> live_;  ///< for cancel(): waiting and running ones
  bool stopping_ = false;
  struct Sample {
    Clock::time_point at;
    std::uint64_t generated, prompt, bytes;
  };
  std::deque<Sample> samples_;  ///< totals after each step of the last second, and one from before it
  Stats totals_;

  // Engine thread only; kept between steps so that nothing is allocated in them.
  Running running_;
  BlockPool pool_;
  std::vector<runtime::Slice> slices_;
  std::vector<std::shared_ptr<Sequence>> batch_;
  /// Bytes/s that the executable can read. Measured when nothing is asked for, or with the first answer that
  /// is to be held against it: never before the first token.
  double bandwidth_ = 0;
  bool measured_ = false;

  std::thread thread_;
};

}  // namespace quern::engine::scheduler
