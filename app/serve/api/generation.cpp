#include "app/serve/api/generation.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>

#include "app/serve/api/preparation.h"
#include "app/serve/api/service.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::app::serve {
namespace {

using namespace engine::scheduler;
using engine::answer::AnswerParser;

/// The stop text at the end of an answer: what its tokens say behind the text that was given.
std::string stopTextOf(const AnswerSoFar& answer, const std::vector<std::string>& stops,
                       const engine::tokenizer::Tokenizer& tokenizer) {
  if (stops.size() == 1) return stops.front();
  const std::string whole = tokenizer.decode(answer.tokens, true);
  if (whole.size() < answer.text.size()) return {};
  const std::string_view rest = std::string_view(whole).substr(answer.text.size());
  for (const std::string& stop : stops) {
    if (rest.starts_with(stop)) return stop;
  }
  return {};
}

class Generation : public std::enable_shared_from_this<Generation> {
 public:
  Generation(std::shared_ptr<Call> call, GenerationPlan plan, std::unique_ptr<AnswerWriter> writer)
      : call_(std::move(call)), plan_(std::move(plan)), writer_(std::move(writer)) {}

  void start() {
    call_->withModel(plan_.model,
                     [self = shared_from_this()](Lease lease) { self->prepare(std::move(lease)); });
  }
  void onEvent(std::size_t submission, const Event& event);

 private:
  struct Submission {
    RequestId id = 0;
    std::size_t firstAnswer = 0;
    std::int32_t answers = 1;
    bool isDone = false;
  };

  void prepare(Lease lease);
  void compile(Prepared prepared);
  void submit(Prepared prepared);
  bool answerFromCache(const Prepared& prepared);
  void setUp(const Prepared& prepared);
  void takeTokens(std::size_t index, const Event& event);
  void end(std::size_t index, const Event& event);
  void tell(std::size_t index, const Delta& delta);
  void endAll(const Event& event, std::size_t submission);
  void failAll(const ApiError& error);
  void cancelAll();
  void note(FinishReason reason);

  const std::shared_ptr<Call> call_;
  GenerationPlan plan_;
  const std::unique_ptr<AnswerWriter> writer_;
  Lease lease_;  ///< until all is submitted; then the sinks have it
  std::mutex mutex_;
  Progress progress_;
  std::vector<Submission> submissions_;
  std::optional<std::string> cacheKey_;  ///< where the answer is to be kept
  KeptAnswers kept_;
  std::mutex idsMutex_;  ///< alone, as who goes may be noticed while an event is written
  std::vector<RequestId> ids_;
  std::weak_ptr<Engine> engine_;
  bool hasBegun_ = false;
  bool isOver_ = false;
  std::chrono::steady_clock::time_point lastTokens_{};
};

/// The events of one of the engine's requests.
class Sink final : public EventSink {
 public:
  Sink(std::shared_ptr<Generation> generation, std::size_t submission)
      : generation_(std::move(generation)), submission_(submission) {}
  void onEvent(const Event& event) override { generation_->onEvent(submission_, event); }

 private:
  const std::shared_ptr<Generation> generation_;
  const std::size_t submission_;
};

void Generation::prepare(Lease lease) {
  Prepared prepared;
  if (const auto error = preparePrompts(*call_, lease, plan_, prepared)) return call_->fail(*error);
  lease_ = std::move(lease);
  compile(std::move(prepared));
}

void Generation::compile(Prepared prepared) {
  if (!prepared.constraint) return submit(std::move(prepared));
  // Whoever goes while a grammar is compiled gives the model back at once.
  call_->whenCancelled(Phase::kPreparing, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      const std::lock_guard lock(self->mutex_);
      self->lease_.reset();
    }
  });
  const auto source = *prepared.constraint;
  const auto tokenizer = lease_->tokenizer();
  const std::string field = prepared.constraintField;
  call_->service().constraints().request(
      source, tokenizer,
      [self = shared_from_this(), prepared = std::move(prepared),
       field](engine::grammar::ConstraintCache::Outcome outcome) mutable {
        if (!outcome) return self->call_->fail(outcome.error(), field);
        prepared.request.constraint = std::move(*outcome);
        self->call_->onWorker(
            [self, ready = std::move(prepared)]() mutable { self->submit(std::move(ready)); });
      });
}

void Generation::setUp(const Prepared& prepared) {
  progress_.id = randomId();
  progress_.created = unixTime();
  progress_.model = call_->modelName();
  progress_.tokenizer = lease_->tokenizer();
  for (std::size_t i = 0; i < prepared.prompts.size(); ++i) {
    for (std::int32_t made = 0; made < plan_.answers; ++made) {
      AnswerSoFar& answer = progress_.answers.emplace_back();
      if (!prepared.parser) continue;
      engine::answer::ParserOptions options = *prepared.parser;
      options.seed = std::hash<std::string>()(progress_.id) + static_cast<std::uint64_t>(made);
      answer.parser = std::make_unique<AnswerParser>(std::move(options));
    }
    // More answers than the engine makes at once come in several of its requests.
    const std::int32_t together = std::max(1, lease_->options().parallel);
    for (std::int32_t made = 0; made < plan_.answers; made += together) {
      Submission& one = submissions_.emplace_back();
      one.firstAnswer = i * static_cast<std::size_t>(plan_.answers) + static_cast<std::size_t>(made);
      one.answers = std::min(together, plan_.answers - made);
    }
  }
}

void Generation::submit(Prepared prepared) {
  Lease lease;
  {
    const std::lock_guard lock(mutex_);
    if (!lease_) return;
    setUp(prepared);
    lease = std::move(lease_);
    engine_ = lease;
  }
  if (answerFromCache(prepared)) return;
  const std::size_t count = submissions_.size();
  for (std::size_t i = 0; i < count; ++i) {
    Request request = prepared.request;
    const std::size_t first = submissions_[i].firstAnswer;
    request.prompt = prepared.prompts[first / static_cast<std::size_t>(plan_.answers)];
    request.answers = submissions_[i].answers;
    request.sampling.seed += first % static_cast<std::size_t>(plan_.answers);
    request.client = call_->client();
    request.deadline = remainingTime(*call_);
    auto sink = holdUntilFinished(lease, std::make_shared<Sink>(shared_from_this(), i));
    auto id = lease->submit(std::move(request), std::move(sink));
    if (!id) {
      cancelAll();
      const std::lock_guard lock(mutex_);
      return failAll(fromEngine(id.error(), plan_.promptField));
    }
    {
      const std::lock_guard lock(idsMutex_);
      ids_.push_back(*id);
    }
    const std::lock_guard lock(mutex_);
    submissions_[i].id = *id;
  }
  call_->whenCancelled(Phase::kRunning, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->cancelAll();
  });
}

/// True: there is an earlier answer to the same, and it has been told.
bool Generation::answerFromCache(const Prepared& prepared) {
  AnswerCache& cache = call_->service().answers();
  if (!cache.isOn() || call_->request().header("cache-control").find("no-store") != std::string_view::npos)
    return false;
  cacheKey_ =
      answerKey(call_->modelIdentity() + " " + call_->service().options().answerSetting,
                call_->request().caller.id, prepared.constraint ? prepared.constraint->key : std::string(),
                prepared.request, prepared.prompts, plan_.answers);
  if (!cacheKey_) return false;
  const auto known = cache.find(*cacheKey_);
  if (!known || known->size() != submissions_.size()) {
    kept_.resize(submissions_.size());
    return false;
  }
  cacheKey_.reset();
  progress_.isFromCache = true;
  for (std::size_t i = 0; i < known->size(); ++i) {
    for (const Event& event : (*known)[i].events) onEvent(i, event);
  }
  return true;
}

void Generation::cancelAll() {
  const auto engine = engine_.lock();
  if (!engine) return;
  std::vector<RequestId> ids;
  {
    const std::lock_guard lock(idsMutex_);
    ids = ids_;
  }
  for (const RequestId id : ids) engine->cancel(id);
}

void Generation::onEvent(std::size_t submission, const Event& event) {
  RequestId enough = 0;
  {
    const std::lock_guard lock(mutex_);
    Submission& one = submissions_[submission];
    const std::size_t index = one.firstAnswer + static_cast<std::size_t>(event.answer);
    if (cacheKey_) keepEvent(kept_[submission], event);
    switch (event.kind) {
      case Event::Kind::kTokens:
        if (isOver_) break;
        takeTokens(index, event);
        // Only one that is alone in its request can be told to stop.
        if (one.answers == 1 && progress_.answers[index].parser &&
            progress_.answers[index].parser->wantsNoMore()) {
          enough = one.id;
        }
        break;
      case Event::Kind::kAnswerFinished:
        if (!isOver_) end(index, event);
        break;
      case Event::Kind::kFinished:
        one.isDone = true;
        endAll(event, submission);
        break;
      default:
        break;
    }
  }
  if (enough == 0) return;
  if (const auto engine = engine_.lock()) engine->cancel(enough);
}

void Generation::takeTokens(std::size_t index, const Event& event) {
  AnswerSoFar& answer = progress_.answers[index];
  answer.text += event.text;
  answer.tokens.insert(answer.tokens.end(), event.tokens.begin(), event.tokens.end());
  const auto now = std::chrono::steady_clock::now();
  if (!progress_.isFromCache && lastTokens_ != std::chrono::steady_clock::time_point{} &&
      progress_.answers.size() == 1 && !event.tokens.empty()) {
    call_->service().metrics().betweenTokens(
        progress_.model, std::chrono::duration<double>(now - lastTokens_).count(), event.tokens.size());
  }
  lastTokens_ = now;
  Delta delta{event.text, {}, nullptr};
  if (answer.parser) delta.parts = answer.parser->push(event.text);
  if (!event.logprobs.empty()) {
    delta.logprobs = &event.logprobs;
    if (!plan_.isStreamed)
      answer.logprobs.insert(answer.logprobs.end(), event.logprobs.begin(), event.logprobs.end());
  }
  tell(index, delta);
}

void Generation::tell(std::size_t index, const Delta& delta) {
  if (!plan_.isStreamed) return;
  if (!std::exchange(hasBegun_, true)) writer_->begin(*call_, progress_);
  if (!delta.text.empty() || !delta.parts.empty() || delta.logprobs != nullptr)
    writer_->delta(*call_, progress_, index, delta);
}

void Generation::end(std::size_t index, const Event& event) {
  AnswerSoFar& answer = progress_.answers[index];
  if (std::exchange(answer.isDone, true)) return;
  answer.reason = event.reason;
  const bool wasEnough = answer.parser && answer.parser->wantsNoMore();
  if (answer.reason == FinishReason::kCancelled && wasEnough) answer.reason = FinishReason::kEndOfTurn;
  if (answer.reason == FinishReason::kStopString)
    answer.stopText = stopTextOf(answer, plan_.request.stop, *progress_.tokenizer);
  Delta delta;
  if (answer.parser) delta.parts = answer.parser->finish();
  tell(index, delta);
  if (plan_.isStreamed) writer_->done(*call_, progress_, index);
}

void Generation::note(FinishReason reason) {
  RequestFacts facts;
  facts.model = progress_.model;
  facts.promptTokens = progress_.usage.promptTokens;
  facts.cachedTokens = progress_.usage.cachedTokens;
  facts.completionTokens = progress_.usage.completionTokens;
  facts.queueMs = progress_.timings.queueMs;
  facts.firstTokenMs = progress_.timings.firstTokenMs;
  facts.finish = finishReasonKey(reason);
  call_->note(facts);
  if (progress_.isFromCache) return call_->service().metrics().answeredFromCache(progress_.model);
  call_->service().metrics().finished(progress_.model, facts.finish, progress_.usage, progress_.timings,
                                      std::chrono::steady_clock::now() - call_->request().arrived);
}

void Generation::endAll(const Event& event, std::size_t submission) {
  addUsage(progress_.usage, event.usage);
  progress_.timings = event.timings;
  if (isOver_) return;
  const bool hasFailed = event.reason == FinishReason::kFailed;
  const bool isAlone = submissions_[submission].answers == 1;
  const std::size_t first = submissions_[submission].firstAnswer;
  const bool wasEnough =
      isAlone && progress_.answers[first].parser && progress_.answers[first].parser->wantsNoMore();
  const bool isLate = event.reason == FinishReason::kDeadline && event.usage.completionTokens == 0;
  if (hasFailed || isLate || (event.reason == FinishReason::kCancelled && !wasEnough)) {
    note(event.reason);
    ApiError error{503, "cancelled", "The answer was given up before it was complete.", {}, 1};
    if (isLate) error = {504, "timeout", "The request was not answered before its deadline.", {}, 0};
    if (hasFailed && event.error) error = fromEngine(*event.error);
    return failAll(error);
  }
  if (isAlone) end(first, event);
  if (!std::all_of(submissions_.begin(), submissions_.end(), [](const auto& one) { return one.isDone; }))
    return;
  isOver_ = true;
  // What time or memory cut short says nothing of the next time.
  const bool isWhole = std::all_of(progress_.answers.begin(), progress_.answers.end(), [](const auto& one) {
    return one.reason != FinishReason::kDeadline && one.reason != FinishReason::kCancelled;
  });
  if (cacheKey_ && isWhole) call_->service().answers().keep(*cacheKey_, std::move(kept_));
  note(progress_.answers.back().reason);
  if (plan_.isStreamed) return writer_->finish(*call_, progress_);
  // Nothing touches progress_ any more.
  call_->onWorker([self = shared_from_this()] { self->writer_->finish(*self->call_, self->progress_); });
}

void Generation::failAll(const ApiError& error) {
  if (std::exchange(isOver_, true)) return;
  if (!hasBegun_) return call_->fail(error);
  writer_->fail(*call_, error);
  call_->finish();
}

}  // namespace

void generate(const std::shared_ptr<Call>& call, GenerationPlan plan, std::unique_ptr<AnswerWriter> writer) {
  std::make_shared<Generation>(call, std::move(plan), std::move(writer))->start();
}

}  // namespace quern::app::serve
