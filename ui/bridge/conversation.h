// The chat that is open: what a person does to it (send, stop, edit, regenerate, …) becomes requests to the
// engine and rows in the store; what the engine answers becomes rows in the transcript's model.
#pragma once

#include <QObject>
#include <QString>
#include <memory>
#include <optional>
#include <vector>

#include "engine/sampling/sampler.h"
#include "engine/store/store.h"

namespace quern::ui {

class ModelService;
class TranscriptModel;

struct Attachment {
  QString name;
  QString text;
};

/// UI thread only. It owns the window's EventSink: events go into a mailbox and arrive as one queued signal
/// per 16–50 ms. The answer so far is in the store at least every 500 ms, in state kStreaming.
class Conversation : public QObject {
  Q_OBJECT
 public:
  Conversation(engine::store::Store& store, ModelService& models, QObject* parent = nullptr);
  ~Conversation() override;

  TranscriptModel& transcript();
  std::optional<engine::store::Id> chat() const;
  void open(engine::store::Id chat);
  void startNew();  ///< nothing is stored until the first message

  void setSystemPrompt(const QString& text);  ///< kept with the chat
  QString systemPrompt() const;
  void setSampling(const engine::sampling::Parameters& parameters, int maxTokens);

  /// Stores the question and asks the model; while a model loads, the question waits and is asked when it is
  /// ready.
  void send(const QString& text, const std::vector<Attachment>& attachments = {});
  void stop();
  bool isGenerating() const;
  bool isWaitingForModel() const;
  void edit(engine::store::Id message,
            const QString& text);             ///< a question: new sibling, asked anew; an answer: new sibling
  void regenerate(engine::store::Id answer);  ///< a sibling of this answer
  void regenerateLast();
  void continueAnswer(engine::store::Id answer);  ///< goes on where a partial answer ended
  std::optional<engine::store::Id> branchToNewChat(engine::store::Id message);  ///< copies root…message
  void showVersion(engine::store::Id message, int delta);
  void remove(engine::store::Id message);  ///< undo with undoRemove()
  void undoRemove();
  QString messageText(engine::store::Id message) const;

  /// Tokens of the branch as a prompt, against the model's context; 0 of 0 without a model.
  int contextUsed() const;
  int contextLimit() const;

 Q_SIGNALS:
  void chatChanged();      ///< another chat is open, or a new one got its id
  void chatListChanged();  ///< titles or order changed
  void generatingChanged();
  void contextChanged();
  void answerFinished();  ///< for "Answer finished"
  void failed(const QString& sentence, const QString& details);
  void liveStats(double tokensPerSecond, int tokens, double bandwidthShare);

 private:
  class Private;
  std::unique_ptr<Private> d_;
};

}  // namespace quern::ui
