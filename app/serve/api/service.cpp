#include "app/serve/api/service.h"

#include <utility>

#include "app/serve/api/json_body.h"
#include "engine/template/template.h"

namespace quern::app::serve {

Service::Service(engine::scheduler::ModelPool& pool, Metrics& metrics, ServiceOptions options)
    : pool_(pool),
      metrics_(metrics),
      options_(std::move(options)),
      catalog_(options_.models, options_.installed),
      constraints_(std::make_unique<engine::grammar::ConstraintCache>()),
      answers_(options_.answerCacheBytes, options_.answerFile, options_.notice),
      workers_(options_.workers, options_.waitingTasks) {}

std::vector<std::shared_ptr<Call>> Service::liveCalls() {
  std::vector<std::shared_ptr<Call>> live;
  const std::lock_guard lock(mutex_);
  for (const auto& [key, call] : calls_) {
    if (auto held = call.lock()) live.push_back(std::move(held));
  }
  return live;
}

void Service::endCalls(const ApiError& error) {
  for (const auto& call : liveCalls()) {
    call->fail(error);
    call->cancel();
  }
}

Service::~Service() {
  endCalls({503, "shutting_down", "The server is shutting down.", {}, 1});
  deadlines_.stop();
  workers_.stop();
  constraints_.reset();
  std::unique_lock lock(mutex_);
  left_.wait(lock, [&] { return calls_.empty(); });
}

void Service::enter(Call& call) {
  const std::lock_guard lock(mutex_);
  calls_[&call];
}

void Service::leave(Call& call) {
  // Under the lock to the end: whoever waits for the last call destroys what this touches.
  const std::lock_guard lock(mutex_);
  calls_.erase(&call);
  left_.notify_all();
}

void Service::post(std::shared_ptr<Call> call, std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    calls_[call.get()] = call;
  }
  if (const auto deadline = call->request().deadline) deadlines_.watch(*deadline, call);
  const bool isIn = workers_.post([call, task = std::move(task)] {
    if (!call->isCancelled()) call->guarded(task);
  });
  if (!isIn) {
    call->fail(
        {429, "too_many_requests", "Too many requests wait to be read. Try again in a moment.", {}, 1});
  }
}

void Service::take(HttpRequest request, std::shared_ptr<Responder> responder, ApiStyle style, Body handle) {
  const auto call = std::make_shared<Call>(*this, std::move(request), responder, style);
  responder->onGone([weak = std::weak_ptr(call)] {
    if (const auto held = weak.lock()) held->cancel();
  });
  post(call, [weak = std::weak_ptr(call), handle = std::move(handle)] {
    const auto held = weak.lock();
    if (!held) return;
    Json body;
    if (const auto error = parseBody(held->request().body, body)) {
      held->fail(*error);
      return;
    }
    handle(held, body);
  });
}

void Service::takeEmpty(HttpRequest request, std::shared_ptr<Responder> responder, ApiStyle style,
                        std::function<void(const std::shared_ptr<Call>& call)> handle) {
  const auto call = std::make_shared<Call>(*this, std::move(request), responder, style);
  responder->onGone([weak = std::weak_ptr(call)] {
    if (const auto held = weak.lock()) held->cancel();
  });
  post(call, [weak = std::weak_ptr(call), handle = std::move(handle)] {
    if (const auto held = weak.lock()) handle(held);
  });
}

engine::answer::ChatModel Service::chatModel(const engine::scheduler::Lease& engine) {
  const auto chatTemplate = engine->chatTemplate();
  const std::string key = chatTemplate ? std::string(chatTemplate->source()) : std::string();
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = chatModels_.find(key); found != chatModels_.end()) return found->second;
  }
  engine::answer::ChatModel model = engine::answer::describeChat(*engine);
  const std::lock_guard lock(mutex_);
  return chatModels_.try_emplace(key, model).first->second;
}

}  // namespace quern::app::serve
