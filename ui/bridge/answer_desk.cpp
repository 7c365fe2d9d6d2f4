#include "ui/bridge/answer_desk.h"

#include <algorithm>
#include <atomic>
#include <utility>

namespace quern::ui {

using engine::base::Error;
using engine::base::ErrorCode;
using engine::scheduler::Engine;
using engine::scheduler::FinishReason;
using engine::scheduler::RequestId;
using engine::store::Id;
using engine::store::MessageState;

namespace {

// A killed process may lose a second of tokens: half of it here, the rest for the writer's queue and commit.
constexpr int kSaveEveryMs = 400;

MessageState stateOf(FinishReason reason) {
  switch (reason) {
    case FinishReason::kFailed:
      return MessageState::kFailed;
    case FinishReason::kCancelled:
    case FinishReason::kMaxTokens:  // an answer that "Continue" can go on with
      return MessageState::kStopped;
    default:
      return MessageState::kComplete;
  }
}

/// The numbers of an answer made in two runs: tokens add up, speeds are those of the last run.
AnswerStats joined(const AnswerStats& before, const Mail& mail) {
  AnswerStats stats = before;
  stats.usage = mail.usage;
  stats.timings = mail.timings;
  if (before.usage.completionTokens > 0) {
    stats.usage.completionTokens += before.usage.completionTokens;
    stats.usage.promptTokens = std::max(0, stats.usage.promptTokens - before.usage.completionTokens);
    stats.timings.firstTokenMs = before.timings.firstTokenMs;
  }
  return stats;
}

}  // namespace

struct Answer::Ticket {
  std::atomic<bool> cancelled{false};
};

AnswerDesk::AnswerDesk(engine::store::Store& store, ModelService& models, QObject* parent)
    : QObject(parent), store_(store), models_(models) {
  connect(&room_, &MailRoom::deliver, this, &AnswerDesk::deliver);
  connect(&models_, &ModelService::stateChanged, this, &AnswerDesk::onModelState);
  saveTimer_.setInterval(kSaveEveryMs);
  saveTimer_.setTimerType(Qt::PreciseTimer);
  connect(&saveTimer_, &QTimer::timeout, this, [this] {
    bool any = false;
    for (const auto& answer : answers_) {
      any = any || answer->unsaved;
      save(*answer);
    }
    if (!any) saveTimer_.stop();
  });
}

AnswerDesk::~AnswerDesk() { shutdown(); }

void AnswerDesk::shutdown() {
  for (const auto& answer : answers_) {
    answer->ticket->cancelled = true;
    if (auto mail = answer->mailbox->take()) {
      answer->content += mail->text;
      answer->stats = joined(answer->before, *mail);
    }
    answer->stats.model = models_.modelName();
    store_.updateMessage(answer->place.answer, answer->content, MessageState::kInterrupted,
                         statsToJson(answer->stats));
    const auto engine = answer->engine.lock();
    if (engine && answer->submitted) engine->cancel(answer->request);
  }
  answers_.clear();
  worker_.reset();
}

void AnswerDesk::ask(Answer answer) {
  answer.phase = Answer::Phase::kWaiting;
  answer.content = answer.place.soFar;
  answer.stats = answer.before;
  answer.stats.reason.clear();
  answer.stats.error.clear();
  answer.stats.errorDetails.clear();
  answer.before = answer.stats;
  answer.ticket = std::make_shared<Answer::Ticket>();
  answer.mailbox = room_.open();
  answers_.push_back(std::make_unique<Answer>(std::move(answer)));
  onModelState();
}

void AnswerDesk::onModelState() {
  std::vector<Id> waiting;
  for (const auto& answer : answers_) {
    if (answer->phase == Answer::Phase::kWaiting) waiting.push_back(answer->place.answer);
  }
  for (const Id id : waiting) {
    if (models_.state() == ModelService::State::kReady) {
      if (Answer* answer = get(id)) prepare(*answer);
    } else if (models_.state() == ModelService::State::kFailed) {
      fail(id, models_.error().value_or(Error(ErrorCode::kInternal, "The model could not be loaded.")));
    }
  }
}

void AnswerDesk::prepare(Answer& answer) {
  answer.phase = Answer::Phase::kPreparing;
  answer.stats.model = answer.before.model = models_.modelName();
  answer.engine = models_.engine();
  worker_->post(Worker::Priority::kUrgent,
                [this, ticket = answer.ticket, mailbox = answer.mailbox, engine = models_.engine(),
                 renderer = models_.renderer(), place = answer.place, sampling = answer.sampling,
                 maxTokens = answer.maxTokens, store = &store_] {
                  if (ticket->cancelled) return;
                  engine::base::Result<RequestId> result = RequestId{0};
                  auto prompt = makePrompt(*store, *engine, renderer, place);
                  if (ticket->cancelled) return;
                  if (!prompt) {
                    result = std::move(prompt).error();
                  } else {
                    engine::scheduler::Request request;
                    request.prompt = std::move(*prompt);
                    request.sampling = sampling;
                    request.maxTokens = maxTokens;
                    result = engine->submit(std::move(request), mailbox);
                  }
                  QMetaObject::invokeMethod(
                      this,
                      [this, ticket, id = place.answer, result, weak = std::weak_ptr<Engine>(engine)] {
                        onSubmitted(id, ticket, result, weak);
                      },
                      Qt::QueuedConnection);
                });
}

void AnswerDesk::onSubmitted(Id message, const std::shared_ptr<Answer::Ticket>& ticket,
                             engine::base::Result<RequestId> result, const std::weak_ptr<Engine>& engine) {
  Answer* answer = get(message);
  if (answer == nullptr || answer->ticket != ticket) {
    // Stopped while its prompt was made, or finished before this news came; then the id is unknown by now.
    const auto alive = engine.lock();
    if (alive && result) alive->cancel(*result);
    return;
  }
  if (!result) return fail(message, result.error());
  answer->request = *result;
  answer->submitted = true;
  answer->phase = Answer::Phase::kRunning;
  Q_EMIT grew(*answer, {});
}

void AnswerDesk::deliver() {
  std::vector<Id> ids;
  for (const auto& answer : answers_) ids.push_back(answer->place.answer);
  for (const Id id : ids) {
    Answer* answer = get(id);
    if (answer == nullptr) continue;
    if (auto mail = answer->mailbox->take()) {
      room_.arrived();
      take(*answer, std::move(*mail));
    }
  }
}

void AnswerDesk::take(Answer& answer, Mail mail) {
  const bool hasUsage = mail.usage.promptTokens > 0 || mail.usage.completionTokens > 0;
  answer.content += mail.text;
  if (hasUsage || mail.finished) answer.stats = joined(answer.before, mail);
  if (answer.stats.usage.promptTokens == 0) answer.stats.usage.promptTokens = mail.promptTotal;
  if (!mail.text.empty()) {
    answer.unsaved = true;
    if (!saveTimer_.isActive()) saveTimer_.start();
  }
  Q_EMIT grew(answer, QString::fromStdString(mail.text));
  if (!mail.finished) return;
  const Id id = answer.place.answer;
  if (mail.reason == FinishReason::kFailed) {
    return fail(id, mail.error.value_or(Error(ErrorCode::kInternal, "The answer could not be made.")));
  }
  answer.stats.reason = reasonText(mail.reason);
  end(id, stateOf(mail.reason));
}

void AnswerDesk::save(Answer& answer) {
  if (!answer.unsaved) return;
  answer.unsaved = false;
  store_.updateMessage(answer.place.answer, answer.content, MessageState::kStreaming, {});
}

void AnswerDesk::stop(Id message) {
  Answer* answer = get(message);
  if (answer == nullptr) return;
  answer->ticket->cancelled = true;
  if (auto mail = answer->mailbox->take()) take(*answer, std::move(*mail));
  answer = get(message);
  if (answer == nullptr) return;  // it had come to its end by itself
  const auto engine = answer->engine.lock();
  if (engine && answer->submitted) engine->cancel(answer->request);
  answer->stats.reason = reasonText(FinishReason::kCancelled);
  end(message, MessageState::kStopped);
}

void AnswerDesk::fail(Id message, const Error& error) {
  Answer* answer = get(message);
  if (answer == nullptr) return;
  answer->stats.error = QString::fromStdString(error.message());
  answer->stats.errorDetails = detailsOf(error);
  answer->stats.reason = reasonText(FinishReason::kFailed);
  end(message, MessageState::kFailed);
}

void AnswerDesk::end(Id message, MessageState state) {
  const auto found = std::find_if(answers_.begin(), answers_.end(),
                                  [message](const auto& answer) { return answer->place.answer == message; });
  if (found == answers_.end()) return;
  const std::unique_ptr<Answer> answer = std::move(*found);
  answers_.erase(found);
  answer->state = state;
  store_.updateMessage(message, answer->content, state, statsToJson(answer->stats));
  Q_EMIT ended(*answer);
}

Answer* AnswerDesk::get(Id message) {
  for (const auto& answer : answers_) {
    if (answer->place.answer == message) return answer.get();
  }
  return nullptr;
}

const Answer* AnswerDesk::find(Id message) const { return const_cast<AnswerDesk*>(this)->get(message); }

const Answer* AnswerDesk::inChat(Id chat) const {
  for (const auto& answer : answers_) {
    if (answer->place.chat == chat) return answer.get();
  }
  return nullptr;
}

}  // namespace quern::ui
