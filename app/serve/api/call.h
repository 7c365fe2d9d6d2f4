// One request on its way through the endpoints: what came in, the way back, and what must be given up when
// the other side goes.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "app/serve/api/api_error.h"
#include "app/serve/exchange.h"
#include "engine/scheduler/model_pool.h"

namespace quern::app::serve {

class Service;

/// How far a call has come; later phases' ways to end it replace those of earlier ones.
enum class Phase { kReading, kLoading, kPreparing, kRunning };

class Call : public std::enable_shared_from_this<Call> {
 public:
  Call(Service& service, HttpRequest request, std::shared_ptr<Responder> responder, ApiStyle style);
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  Service& service() const { return service_; }
  const HttpRequest& request() const { return request_; }
  ApiStyle style() const { return style_; }
  /// Whom the scheduler shares its time among: the key, or the address where there are no keys.
  std::string client() const;

  // The way back. What comes second, or after the other side has gone, is dropped.
  void reply(HttpResponse response);
  void reply(const Json& json, int status = 200) { reply(jsonResponse(json, status)); }
  void fail(const ApiError& error);
  void fail(const engine::base::Error& error, std::string param = {}) { fail(fromEngine(error, param)); }
  bool begin(std::string contentType);
  void write(std::string bytes);
  void finish();
  void note(const RequestFacts& facts) { responder_->note(facts); }
  /// Something has been answered, or the call has been given up.
  bool isOver() const { return isOver_.load(); }

  /// The other side has gone, the deadline has passed or the server ends: nothing more is computed for it.
  void cancel();
  bool isCancelled() const;
  /// What cancel() does in this phase; done at once where the call is cancelled. Nothing where a later phase
  /// has begun.
  void whenCancelled(Phase phase, std::function<void()> action);
  /// Until then a call that is not running is answered with 504; a running one is the scheduler's.
  void expire();

  /// Asks for a model by its name, and goes on with it on a worker. Errors are answered here.
  void withModel(const std::string& name, std::function<void(engine::scheduler::Lease)> go);
  /// The same for a task of any kind; exceptions become status 500.
  void onWorker(std::function<void()> go);
  /// Runs `task` here; exceptions become status 500.
  void guarded(const std::function<void()>& task);
  /// What the model that withModel() found is called.
  const std::string& modelName() const { return modelName_; }
  /// … and which file that is, as it is now.
  const std::string& modelIdentity() const { return modelIdentity_; }

 private:
  Service& service_;
  const HttpRequest request_;
  const std::shared_ptr<Responder> responder_;
  const ApiStyle style_;
  std::string modelName_;
  std::string modelIdentity_;
  std::atomic<bool> isOver_{false};
  std::atomic<bool> hasBegun_{false};
  mutable std::mutex mutex_;
  bool isCancelled_ = false;
  Phase phase_ = Phase::kReading;
  std::function<void()> cancel_;
};

}  // namespace quern::app::serve
