// What all endpoints share: the models, the threads, the compiled grammars.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "app/serve/api/answer_cache.h"
#include "app/serve/api/call.h"
#include "app/serve/api/catalog.h"
#include "app/serve/api/deadlines.h"
#include "app/serve/api/workers.h"
#include "app/serve/metrics/metrics.h"
#include "engine/answer/chat_turn.h"
#include "engine/grammar/constraint_cache.h"
#include "engine/scheduler/model_pool.h"

namespace quern::app::serve {

struct ServiceOptions {
  std::vector<ServedModel> models;  ///< see Catalog
  bool installed = true;
  std::size_t workers = 2;
  std::size_t waitingTasks = 1024;  ///< requests that may wait to be read; one more is refused with 429
  std::chrono::milliseconds roomWait = std::chrono::seconds(30);  ///< see AcquireOptions
  std::size_t answerCacheBytes = 0;                               ///< see AnswerCache; 0: nothing is kept
  std::filesystem::path answerFile;                               ///< see AnswerCache; empty: memory alone
  /// How models are loaded, as far as answers hang on it: an answer that was kept serves only the same.
  std::string answerSetting;
  std::function<void(const std::string& sentence)> notice;  ///< for the log; from any thread
  std::string version = "0.1.0";
};

/// Every function may be called from any thread. Load the pool's models with LoadOptions::embeddings, or
/// embeddings of models that also answer are refused.
class Service {
 public:
  /// `pool` and `metrics` outlive it.
  Service(engine::scheduler::ModelPool& pool, Metrics& metrics, ServiceOptions options);
  /// Cancels what is under way and waits for it. Not from a responder, a worker or an engine's thread, and
  /// not while handlers can still be called.
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  using Body = std::function<void(const std::shared_ptr<Call>& call, const Json& body)>;
  /// Takes a request: reads its body on a worker and goes on with `handle` there. 429 where too many wait.
  void take(HttpRequest request, std::shared_ptr<Responder> responder, ApiStyle style, Body handle);
  /// The same for requests whose body says nothing.
  void takeEmpty(HttpRequest request, std::shared_ptr<Responder> responder, ApiStyle style,
                 std::function<void(const std::shared_ptr<Call>& call)> handle);

  const ServiceOptions& options() const { return options_; }
  const Catalog& catalog() const { return catalog_; }
  /// What is served from now on in place of the models that were named.
  void setModels(std::vector<ServedModel> models) { catalog_.setNamed(std::move(models)); }
  /// Ends what is under way with 503, and cuts off answers that have begun. Not from a responder, a worker or
  /// an engine's thread.
  void endCalls(const ApiError& error);
  engine::scheduler::ModelPool& pool() const { return pool_; }
  Metrics& metrics() const { return metrics_; }
  Workers& workers() { return workers_; }
  AnswerCache& answers() { return answers_; }
  engine::grammar::ConstraintCache& constraints() { return *constraints_; }
  /// What the engine's chat template is like; found out once a template.
  engine::answer::ChatModel chatModel(const engine::scheduler::Lease& engine);

  // For calls alone.
  void enter(Call& call);
  void leave(Call& call);

 private:
  void post(std::shared_ptr<Call> call, std::function<void()> task);
  std::vector<std::shared_ptr<Call>> liveCalls();

  engine::scheduler::ModelPool& pool_;
  Metrics& metrics_;
  const ServiceOptions options_;
  Catalog catalog_;
  std::mutex mutex_;
  std::condition_variable left_;
  std::map<const Call*, std::weak_ptr<Call>> calls_;
  std::map<std::string, engine::answer::ChatModel> chatModels_;  ///< by the template's text
  std::unique_ptr<engine::grammar::ConstraintCache> constraints_;
  AnswerCache answers_;
  Deadlines deadlines_;
  Workers workers_;
};

}  // namespace quern::app::serve
