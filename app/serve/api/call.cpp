#include "app/serve/api/call.h"

#include <exception>
#include <utility>

#include "app/serve/api/service.h"
#include "engine/base/text.h"

namespace quern::app::serve {

Call::Call(Service& service, HttpRequest request, std::shared_ptr<Responder> responder, ApiStyle style)
    : service_(service), request_(std::move(request)), responder_(std::move(responder)), style_(style) {
  service_.enter(*this);
}

Call::~Call() { service_.leave(*this); }

std::string Call::client() const {
  // The scheduler takes names of up to 256 bytes.
  return (request_.caller.id.empty() ? request_.remote : request_.caller.id).substr(0, 256);
}

void Call::reply(HttpResponse response) {
  if (isOver_.exchange(true)) return;
  responder_->reply(std::move(response));
}

void Call::fail(const ApiError& error) {
  if (isOver_.exchange(true)) return;
  if (!isCancelled()) service_.metrics().failed(error.status, error.code);
  RequestFacts facts;
  facts.model = modelName_;
  facts.finish = error.code;
  responder_->note(facts);
  responder_->reply(errorResponse(style_, error, request_.id));
}

bool Call::begin(std::string contentType) {
  if (isOver_.exchange(true)) return false;
  hasBegun_ = true;
  responder_->begin(200, {{"Content-Type", std::move(contentType)}, {"Cache-Control", "no-store"}});
  return true;
}

void Call::write(std::string bytes) {
  if (hasBegun_ && !responder_->write(std::move(bytes))) cancel();
}

void Call::finish() {
  if (hasBegun_.exchange(false)) responder_->finish();
}

void Call::cancel() {
  std::function<void()> action;
  {
    const std::lock_guard lock(mutex_);
    isCancelled_ = true;
    action = std::exchange(cancel_, {});
  }
  if (action) action();
}

bool Call::isCancelled() const {
  const std::lock_guard lock(mutex_);
  return isCancelled_;
}

void Call::whenCancelled(Phase phase, std::function<void()> action) {
  {
    const std::lock_guard lock(mutex_);
    if (phase < phase_) return;
    phase_ = phase;
    if (!isCancelled_) {
      cancel_.swap(action);
      return;
    }
  }
  if (action) action();
}

void Call::expire() {
  {
    const std::lock_guard lock(mutex_);
    if (phase_ == Phase::kRunning) return;
  }
  fail({504, "timeout", "The request was not answered before its deadline.", {}, 0});
  cancel();
}

void Call::withModel(const std::string& name, std::function<void(engine::scheduler::Lease)> go) {
  const auto model = service_.catalog().find(name);
  if (!model) {
    fail({404, "model_not_found", service_.catalog().whyNot(name), "model", 0});
    return;
  }
  modelName_ = model->name;
  modelIdentity_ =
      model->path.string() + " " + std::to_string(model->sizeBytes) + " " + std::to_string(model->modifiedMs);
  const auto self = shared_from_this();
  engine::scheduler::AcquireOptions options;
  options.roomWait = service_.options().roomWait;
  const auto ticket = service_.pool().acquireLater(
      model->path, options,
      [self, go = std::move(go)](engine::base::Result<engine::scheduler::Lease> lease) mutable {
        self->whenCancelled(Phase::kPreparing, {});
        if (!lease) {
          self->fail(lease.error());
          return;
        }
        self->service().metrics().watch(self->modelName(), *lease);
        self->onWorker([go = std::move(go), held = std::move(*lease)]() mutable { go(std::move(held)); });
      });
  whenCancelled(Phase::kLoading, [pool = &service_.pool(), ticket] { pool->abandon(ticket); });
}

void Call::onWorker(std::function<void()> go) {
  service_.workers().go([self = shared_from_this(), go = std::move(go)] {
    if (!self->isCancelled()) self->guarded(go);
  });
}

void Call::guarded(const std::function<void()>& task) {
  try {
    task();
  } catch (const std::bad_alloc&) {
    fail({503, "out_of_memory", "There is not enough memory for this request.", {}, 10});
  } catch (const std::exception& error) {
    fail({500, "internal_error", std::string("Quern made a mistake: ") + error.what(), {}, 0});
  }
}

}  // namespace quern::app::serve
