// The answers that are being made, in whichever chat: asked for, written into the store while they grow,
// ended.
#pragma once

#include <QElapsedTimer>
#include <QObject>
#include <QTimer>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/sampling/sampler.h"
#include "engine/store/store.h"
#include "ui/bridge/answer_text.h"
#include "ui/bridge/mailbox.h"
#include "ui/bridge/model_service.h"
#include "ui/bridge/prompt.h"
#include "ui/bridge/worker.h"

namespace quern::ui {

/// One answer on its way. Its message is in the store, in state kStreaming.
struct Answer {
  enum class Phase { kWaiting, kPreparing, kRunning };  ///< for a model; its prompt; its tokens

  PromptPlace place;
  engine::sampling::Parameters sampling;
  int maxTokens = -1;

  Phase phase = Phase::kWaiting;
  std::string content;  ///< so far; begins with place.soFar when it goes on
  AnswerStats stats;    ///< so far
  AnswerStats before;   ///< of the part that was there already
  engine::store::MessageState state = engine::store::MessageState::kStreaming;

  struct Ticket;  ///< tells the worker that nobody waits any more
  std::shared_ptr<Ticket> ticket;
  std::shared_ptr<Mailbox> mailbox;
  std::weak_ptr<engine::scheduler::Engine> engine;
  engine::scheduler::RequestId request = 0;
  bool submitted = false;
  bool unsaved = false;
};

/// UI thread only. Prompts are made and submitted on its worker.
class AnswerDesk : public QObject {
  Q_OBJECT
 public:
  AnswerDesk(engine::store::Store& store, ModelService& models, QObject* parent = nullptr);
  ~AnswerDesk() override;
  /// What is not finished is stored as interrupted, and cancelled; waits for the worker. Only destruction
  /// follows.
  void shutdown();

  /// `answer` with place, sampling and maxTokens set; the store holds its message already.
  void ask(Answer answer);
  /// Ends an answer at once as stopped; what the engine still sends for it is dropped.
  void stop(engine::store::Id message);
  const Answer* find(engine::store::Id message) const;
  const Answer* inChat(engine::store::Id chat) const;
  Worker& worker() { return *worker_; }

 Q_SIGNALS:
  void grew(const quern::ui::Answer& answer,
            const QString& text);               ///< `text` may be empty: only numbers came
  void ended(const quern::ui::Answer& answer);  ///< state, content and stats are final

 private:
  void onModelState();
  void prepare(Answer& answer);
  void onSubmitted(engine::store::Id message, const std::shared_ptr<Answer::Ticket>& ticket,
                   engine::base::Result<engine::scheduler::RequestId> result,
                   const std::weak_ptr<engine::scheduler::Engine>& engine);
  void deliver();
  void take(Answer& answer, Mail mail);
  void save(Answer& answer);
  void fail(engine::store::Id message, const engine::base::Error& error);
  void end(engine::store::Id message, engine::store::MessageState state);
  Answer* get(engine::store::Id message);

  engine::store::Store& store_;
  ModelService& models_;
  MailRoom room_;
  QTimer saveTimer_;
  std::vector<std::unique_ptr<Answer>> answers_;
  std::unique_ptr<Worker> worker_ = std::make_unique<Worker>();
};

}  // namespace quern::ui
