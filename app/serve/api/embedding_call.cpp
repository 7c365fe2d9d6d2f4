#include "app/serve/api/embedding_call.h"

#include <atomic>
#include <cmath>
#include <mutex>
#include <utility>

#include "app/serve/api/preparation.h"
#include "app/serve/api/service.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::app::serve {
namespace {

using namespace engine::scheduler;

/// Texts of one request that the engine has at a time: a long list must not fill the queue for all others.
constexpr std::size_t kTogether = 32;

class EmbeddingCall : public std::enable_shared_from_this<EmbeddingCall> {
 public:
  using Done = std::function<void(Call& call, EmbeddingResult result)>;
  EmbeddingCall(std::shared_ptr<Call> call, EmbeddingPlan plan, Done done)
      : call_(std::move(call)), plan_(std::move(plan)), done_(std::move(done)) {}

  void start() {
    call_->withModel(plan_.model,
                     [self = shared_from_this()](Lease lease) { self->prepare(std::move(lease)); });
  }
  void onEvent(std::size_t index, const Event& event);

 private:
  void prepare(Lease lease);
  std::optional<ApiError> tokenize();
  void submitNext();
  void fail(const ApiError& error);
  void cancelAll();
  void complete(const Event& last);

  const std::shared_ptr<Call> call_;
  const EmbeddingPlan plan_;
  const Done done_;
  std::mutex mutex_;
  Lease lease_;
  Pooling pooling_ = Pooling::kNone;
  std::vector<std::vector<std::int32_t>> prompts_;
  EmbeddingResult result_;
  Usage usage_;
  std::size_t next_ = 0;
  std::size_t ready_ = 0;
  bool isOver_ = false;
  std::mutex idsMutex_;
  std::vector<RequestId> ids_;
};

class Sink final : public EventSink {
 public:
  Sink(std::shared_ptr<EmbeddingCall> call, std::size_t index) : call_(std::move(call)), index_(index) {}
  void onEvent(const Event& event) override { call_->onEvent(index_, event); }

 private:
  const std::shared_ptr<EmbeddingCall> call_;
  const std::size_t index_;
};

std::optional<ApiError> EmbeddingCall::tokenize() {
  for (std::size_t i = 0; i < plan_.texts.size(); ++i) {
    const std::string field =
        plan_.texts.size() == 1 ? plan_.field : plan_.field + "[" + std::to_string(i) + "]";
    std::vector<std::int32_t> ids;
    if (pooling_ == Pooling::kRank) {
      ids = rerankPrompt(*lease_->tokenizer(), plan_.question, std::get<std::string>(plan_.texts[i]));
    } else {
      auto tokens = tokensOf(*lease_, plan_.texts[i], true);
      if (!tokens) return fromEngine(tokens.error(), field);
      ids = std::move(*tokens);
    }
    if (plan_.truncates && ids.size() > static_cast<std::size_t>(lease_->options().contextTokens))
      ids.resize(static_cast<std::size_t>(lease_->options().contextTokens));
    if (auto error = checkLength(*lease_, ids.size(), field, false)) return error;
    prompts_.push_back(std::move(ids));
  }
  return std::nullopt;
}

void EmbeddingCall::prepare(Lease lease) {
  lease_ = std::move(lease);
  const ModelInfo& info = lease_->info();
  if (plan_.question.empty()) {
    pooling_ = info.pooling;
    // Where the file says nothing: an encoder's tokens all know the text, a decoder's last one does.
    if (pooling_ == Pooling::kNone || pooling_ == Pooling::kRank)
      pooling_ = info.isEncoder ? Pooling::kMean : Pooling::kLast;
  } else {
    pooling_ = Pooling::kRank;
  }
  const bool canDo = pooling_ == Pooling::kRank ? info.labels > 0 : lease_->options().embeddings;
  if (!canDo) {
    return call_->fail(ApiError{400, "model_not_supported",
                                "\"" + call_->modelName() + "\" " +
                                    (pooling_ == Pooling::kRank ? "is no reranker: it has no classifier."
                                                                : "is not loaded for embeddings."),
                                "model", 0});
  }
  if (const auto error = tokenize()) return call_->fail(*error);
  result_.values.resize(prompts_.size());
  call_->whenCancelled(Phase::kRunning, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->cancelAll();
  });
  for (std::size_t i = 0; i < std::min(kTogether, prompts_.size()); ++i) submitNext();
}

void EmbeddingCall::submitNext() {
  std::size_t index = 0;
  Lease lease;
  {
    const std::lock_guard lock(mutex_);
    if (isOver_ || next_ == prompts_.size() || !lease_) return;
    index = next_++;
    lease = lease_;
  }
  Request request;
  request.prompt = std::move(prompts_[index]);
  request.pooling = pooling_;
  request.client = call_->client();
  request.deadline = remainingTime(*call_);
  request.priority = Priority::kNormal;
  const auto id =
      call_->isCancelled()
          ? engine::base::Result<RequestId>(
                engine::base::Error(engine::base::ErrorCode::kCancelled, "The request was given up."))
          : lease->submit(std::move(request),
                          holdUntilFinished(lease, std::make_shared<Sink>(shared_from_this(), index)));
  if (!id) return fail(fromEngine(id.error(), plan_.field));
  const std::lock_guard lock(idsMutex_);
  ids_.push_back(*id);
}

void EmbeddingCall::onEvent(std::size_t index, const Event& event) {
  if (event.kind == Event::Kind::kEmbedding || event.kind == Event::Kind::kScores) {
    const std::lock_guard lock(mutex_);
    result_.values[index] = event.values;
    return;
  }
  if (event.kind != Event::Kind::kFinished) return;
  if (event.reason != FinishReason::kComplete) {
    ApiError error{503, "cancelled", "The request was given up before it was complete.", {}, 1};
    if (event.reason == FinishReason::kDeadline)
      error = {504, "timeout", "The request was not answered before its deadline.", {}, 0};
    if (event.error) error = fromEngine(*event.error);
    return fail(error);
  }
  bool isLast = false;
  {
    const std::lock_guard lock(mutex_);
    addUsage(usage_, event.usage);
    isLast = ++ready_ == prompts_.size();
  }
  if (isLast) return complete(event);
  // The engine's thread has more to do than to take in the next text.
  call_->onWorker([self = shared_from_this()] { self->submitNext(); });
}

void EmbeddingCall::complete(const Event& last) {
  RequestFacts facts;
  facts.model = call_->modelName();
  facts.promptTokens = usage_.promptTokens;
  facts.cachedTokens = usage_.cachedTokens;
  facts.queueMs = last.timings.queueMs;
  facts.finish = "stop";
  call_->note(facts);
  call_->service().metrics().finished(facts.model, facts.finish, usage_, last.timings,
                                      std::chrono::steady_clock::now() - call_->request().arrived);
  const std::lock_guard lock(mutex_);
  isOver_ = true;
  lease_.reset();
  result_.promptTokens = usage_.promptTokens;
  call_->onWorker([self = shared_from_this()] { self->done_(*self->call_, std::move(self->result_)); });
}

void EmbeddingCall::fail(const ApiError& error) {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(isOver_, true)) return;
  }
  cancelAll();
  call_->fail(error);
  const std::lock_guard lock(mutex_);
  lease_.reset();
}

void EmbeddingCall::cancelAll() {
  Lease lease;
  {
    const std::lock_guard lock(mutex_);
    lease = lease_;
  }
  if (!lease) return;
  std::vector<RequestId> ids;
  {
    const std::lock_guard lock(idsMutex_);
    ids = ids_;
  }
  for (const RequestId id : ids) lease->cancel(id);
}

}  // namespace

void embed(const std::shared_ptr<Call>& call, EmbeddingPlan plan,
           std::function<void(Call& call, EmbeddingResult result)> done) {
  std::make_shared<EmbeddingCall>(call, std::move(plan), std::move(done))->start();
}

void shorten(std::vector<float>& values, std::size_t dimensions) {
  if (dimensions >= values.size()) return;
  values.resize(dimensions);
  double squares = 0;
  for (const float value : values) squares += static_cast<double>(value) * value;
  if (squares <= 0) return;
  const double scale = 1 / std::sqrt(squares);
  for (float& value : values) value = static_cast<float>(value * scale);
}

}  // namespace quern::app::serve
