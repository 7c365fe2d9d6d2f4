// A scheduler that a test drives step by step on a clock of its own: a step takes exactly as long as its
// tokens cost.
#pragma once

#include "engine/scheduler/scheduler.h"
#include "tests/scheduler/fakes.h"

namespace quern::engine::scheduler {

inline std::vector<std::int32_t> promptOf(std::int32_t seed, std::size_t length) {
  std::vector<std::int32_t> prompt;
  for (std::size_t i = 0; i < length; ++i) {
    prompt.push_back(static_cast<std::int32_t>((static_cast<std::size_t>(seed) * 31 + i * i + i / 7) % 256));
  }
  return prompt;
}

inline Request greedy(std::vector<std::int32_t> prompt, std::int32_t maxTokens) {
  Request request;
  request.prompt = std::move(prompt);
  request.maxTokens = maxTokens;
  request.sampling.temperature = 0;
  return request;
}

struct Trial {
  LoadOptions options = defaults();
  std::int32_t blocks = 0;  ///< 0: as many as `parallel` whole contexts need
  bool twoKinds = false;    ///< prompts and answers leave different things in the cache
  Script script = letterOf;

  static LoadOptions defaults() {
    LoadOptions options;
    options.contextTokens = 256;
    options.parallel = 4;
    options.batchTokens = 64;
    options.rehearse = false;
    return options;
  }
};

class Driven {
 public:
  using Seconds = std::chrono::duration<double>;

  explicit Driven(const Trial& trial = {})
      : options(trial.options),
        control(prepared(trial)),
        executable(control, trial.blocks > 0 ? trial.blocks : wholeContexts(options)),
        scheduler(executable, std::make_shared<ByteTokenizer>(), options, [this] { return now; }) {}

  std::shared_ptr<Collector> ask(Request request) {
    auto sink = std::make_shared<Collector>();
    jobs.push_back(
        std::make_shared<Job>(static_cast<RequestId>(jobs.size()) + 1, std::move(request), sink, now));
    scheduler.add(jobs.back());
    return sink;
  }
  void step() {
    const std::int64_t before = control->runs;
    scheduler.step();
    if (control->runs == before) now += std::chrono::milliseconds(1);
  }
  /// Steps until `condition` holds; there must be work until then.
  void until(const std::function<bool()>& condition) {
    while (!condition() && scheduler.hasWork()) step();
    ASSERT_TRUE(condition()) << "everything has ended before";
  }
  void finishAll() {
    for (int i = 0; i < 100000 && scheduler.hasWork(); ++i) step();
    EXPECT_FALSE(scheduler.hasWork()) << "it does not come to an end";
    EXPECT_EQ(scheduler.report().blocksUsed, 0) << "blocks are lost";
  }
  const Scheduler::Report& report() const { return scheduler.report(); }
  Seconds lastStep{0};

  LoadOptions options;
  Clock::time_point now{std::chrono::hours(1)};
  Seconds stepCost{0.005}, decodeCost{0.0005}, promptCost{0.001};
  std::shared_ptr<Control> control;
  FakeExecutable executable;
  std::vector<std::shared_ptr<Job>> jobs;
  Scheduler scheduler;

 private:
  static std::int32_t wholeContexts(const LoadOptions& options) {
    return options.parallel * (options.contextTokens / runtime::kKvBlockTokens + 1);
  }
  std::shared_ptr<Control> prepared(const Trial& trial) {
    auto made = std::make_shared<Control>();
    made->script = trial.script;
    made->batchTokens = trial.options.batchTokens;
    made->logitRows = trial.options.parallel + kDraftRows;
    made->hiddenRows = trial.options.batchTokens;
    made->promptsAreDecodes = !trial.twoKinds;
    made->onRun = [this](const runtime::Batch& batch) {
      lastStep = stepCost;
      for (const auto& slice : batch.slices) {
        lastStep += static_cast<double>(slice.tokens.size()) * (slice.isPrompt ? promptCost : decodeCost);
      }
      now += std::chrono::duration_cast<Clock::duration>(lastStep);
    };
    return made;
  }
};

}  // namespace quern::engine::scheduler
