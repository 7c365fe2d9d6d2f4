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
#include "ui/bridge/answer_text.h"

namespace quern::ui {

class ModelService;
class TranscriptModel;

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
  /// Kept with the chat, and what the next answers are made with. open() brings back what the chat was last
  /// asked with; a new chat begins with what was set last.
  void setSampling(const engine::sampling::Parameters& parameters, int maxTokens);
  const engine::sampling::Parameters& sampling() const;
  int maxTokens() const;  ///< -1: until the model ends

  // Whatever asks the model stops an answer that is still being written in this chat. Other chats' answers go
  // on in the background, into the store.

  /// Stores the question and asks the model; without a model, or while one loads, the question waits and is
  /// asked when it is ready. If loading fails, the answer fails with the loader's sentence.
  void send(const QString& text, const std::vector<Attachment>& attachments = {});
  void stop();                     ///< at once; the answer stays as far as it came
  bool isGenerating() const;       ///< an answer of the open chat is being written, or waits for its turn
  bool isWaitingForModel() const;  ///< … and it waits because no model is ready
  bool isGeneratingIn(engine::store::Id chat) const;
  void edit(engine::store::Id message,
            const QString& text);             ///< a question: new sibling, asked anew; an answer: new sibling
  void regenerate(engine::store::Id answer);  ///< a sibling of this answer
  void regenerateLast();
  /// Goes on where a partial answer ended, in the same message; in a sibling with its text if messages
  /// follow.
  void continueAnswer(engine::store::Id answer);
  std::optional<engine::store::Id> branchToNewChat(engine::store::Id message);  ///< copies root…message
  void showVersion(engine::store::Id message, int delta);
  void remove(engine::store::Id message);  ///< undo with undoRemove()
  void undoRemove();
  QString messageText(engine::store::Id message) const;

  /// Tokens of the branch as a prompt, against the model's context; 0 of 0 without a model. From the last
  /// answer's own count and the messages after it, counted once each, in the background.
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
