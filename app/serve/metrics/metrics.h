// Counters and histograms for Prometheus, under vLLM's names (vllm/v1/metrics/loggers.py), so that
// dashboards, autoscalers and routers made for it work, and what only Quern measures under quern_*.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "engine/scheduler/model_pool.h"
#include "engine/scheduler/request.h"

namespace quern::app::serve {

/// Every function may be called from any thread; none but text() takes longer than microseconds. Counters
/// hold what requests have added when they ended, to the token.
class Metrics {
 public:
  explicit Metrics(const std::string& version = "0.1.0");
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// An engine whose queue and cache text() asks after while the lease lives.
  void watch(const std::string& model, const engine::scheduler::Lease& lease);
  /// A request that has ended: "stop", "length", "abort" or "error". `whole`: since it arrived.
  void finished(const std::string& model, const std::string& reason, const engine::scheduler::Usage& usage,
                const engine::scheduler::Timings& timings, std::chrono::nanoseconds whole);
  /// Time that `tokens` of an answer took.
  void betweenTokens(const std::string& model, double seconds, std::size_t tokens);
  /// One that was answered from what is kept: nothing was computed, and finished() is not called.
  void answeredFromCache(const std::string& model);
  /// A request that an endpoint answered with an error; 429 counts as rejected.
  void failed(int status, const std::string& code);
  /// One that the front door turned away: "queue_full", "rate_limit", "unauthorized" …
  void rejected(const std::string& reason);

  /// Prometheus' text format 0.0.4. `pool`: whose models are told of.
  std::string text(const engine::scheduler::ModelPool& pool);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace quern::app::serve
