// What Conversation's commands are made of: rows, the store and the desk kept in step. For conversation*.cpp.
#pragma once

#include <QElapsedTimer>
#include <QHash>
#include <QTimer>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ui/bridge/answer_desk.h"
#include "ui/bridge/context_counter.h"
#include "ui/bridge/conversation.h"
#include "ui/bridge/model_service.h"
#include "ui/chat/transcript_model.h"

namespace quern::ui {

class Conversation::Private {
 public:
  Private(Conversation& owner, engine::store::Store& messages, ModelService& modelService);
  ~Private();

  const Answer* running() const { return chat ? desk.inChat(*chat) : nullptr; }
  std::optional<engine::store::Id> leaf() const;  ///< of the branch that is shown
  std::optional<engine::store::Message> read(engine::store::Id message) const;
  /// Reads the branch; with `whole` the rows are set anew, otherwise only those that differ.
  void reload(bool whole);
  TranscriptItem itemOf(const engine::store::BranchMessage& entry);
  void recount();

  bool createChat(const QString& title);
  void saveChat();  ///< system prompt and parameters, if they changed
  std::string parametersJson() const;
  void readParameters(const std::string& json);

  /// Stores `message` in the open chat and shows it as the last row. nullopt: said with failed().
  std::optional<engine::store::Id> add(engine::store::Message message);
  void askBelow(engine::store::Id question);  ///< with a new, empty answer
  void ask(engine::store::Id answer, const std::string& soFar, const AnswerStats& before);

  void onGrew(const Answer& answer, const QString& text);
  void onEnded(const Answer& answer);
  void say(const engine::base::Error& error);

  Conversation& q;
  engine::store::Store& store;
  ModelService& models;
  TranscriptModel rows;
  AnswerDesk desk;
  ContextCounter counter;
  std::optional<engine::store::Id> chat;
  QString systemPrompt;
  std::string chatModel;  ///< the name last used
  engine::sampling::Parameters sampling;
  int maxTokens = -1;
  bool chatUnsaved = false;
  QTimer saveChatLater;
  QElapsedTimer sinceContext;
  std::vector<std::pair<engine::store::Id, engine::store::Id>> removed;  ///< chat and message, newest last
  QHash<engine::store::Id, std::pair<QString, int>> exactTotals;  ///< answer → model, prompt + answer

  /// The store's writer thread may report after the window is gone.
  struct WriteErrors {
    std::mutex mutex;
    Conversation* receiver = nullptr;
  };
  std::shared_ptr<WriteErrors> writeErrors = std::make_shared<WriteErrors>();
};

}  // namespace quern::ui
