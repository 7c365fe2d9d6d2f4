#include "ui/bridge/conversation.h"

#include <QSet>
#include <QTimer>
#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>

#include "ui/bridge/conversation_private.h"

namespace quern::ui {

using engine::base::Error;
using engine::store::BranchMessage;
using engine::store::Chat;
using engine::store::Id;
using engine::store::Message;
using engine::store::MessageState;
using engine::store::Role;

Conversation::Conversation(engine::store::Store& store, ModelService& models, QObject* parent)
    : QObject(parent), d_(std::make_unique<Private>(*this, store, models)) {}

Conversation::~Conversation() = default;

TranscriptModel& Conversation::transcript() { return d_->rows; }
std::optional<Id> Conversation::chat() const { return d_->chat; }

void Conversation::open(Id chat) {
  d_->saveChat();
  const auto found = d_->store.chat(chat);
  if (!found || !*found) {
    Q_EMIT failed(tr("This chat cannot be opened."), found ? QString() : detailsOf(found.error()));
    return;
  }
  d_->chat = chat;
  d_->systemPrompt = QString::fromStdString((*found)->systemPrompt);
  d_->chatModel = (*found)->model;
  d_->readParameters((*found)->parametersJson);
  d_->reload(true);
  Q_EMIT chatChanged();
  Q_EMIT generatingChanged();
}

void Conversation::startNew() {
  d_->saveChat();
  d_->chat.reset();
  d_->systemPrompt.clear();
  d_->exactTotals.clear();
  d_->rows.setItems({});
  d_->recount();
  Q_EMIT chatChanged();
  Q_EMIT generatingChanged();
}

void Conversation::setSystemPrompt(const QString& text) {
  if (text == d_->systemPrompt) return;
  d_->systemPrompt = text;
  d_->chatUnsaved = true;
  d_->saveChatLater.start();
  d_->recount();
}

QString Conversation::systemPrompt() const { return d_->systemPrompt; }

void Conversation::setSampling(const engine::sampling::Parameters& parameters, int maxTokens) {
  const std::string before = d_->parametersJson();
  d_->sampling = parameters;
  d_->maxTokens = maxTokens;
  if (d_->parametersJson() == before) return;
  d_->chatUnsaved = true;
  d_->saveChatLater.start();
}

const engine::sampling::Parameters& Conversation::sampling() const { return d_->sampling; }
int Conversation::maxTokens() const { return d_->maxTokens; }

void Conversation::send(const QString& text, const std::vector<Attachment>& attachments) {
  if (text.trimmed().isEmpty() && attachments.empty()) return;
  stop();
  const bool isNew = !d_->chat;
  if (isNew && !d_->createChat(titleFromQuestion(text.trimmed().isEmpty() ? attachments[0].name : text)))
    return;
  Message question;
  question.role = Role::kUser;
  question.parent = d_->leaf();
  question.content = text.toStdString();
  question.attachmentsJson = attachmentsToJson(attachments);
  const std::optional<Id> id = d_->add(std::move(question));
  if (id) d_->askBelow(*id);
  if (isNew) Q_EMIT chatChanged();
  Q_EMIT chatListChanged();
}

void Conversation::stop() {
  if (const Answer* answer = d_->running()) d_->desk.stop(answer->place.answer);
}

bool Conversation::isGenerating() const { return d_->running() != nullptr; }

bool Conversation::isWaitingForModel() const {
  const Answer* answer = d_->running();
  return answer != nullptr && answer->phase == Answer::Phase::kWaiting;
}

bool Conversation::isGeneratingIn(Id chat) const { return d_->desk.inChat(chat) != nullptr; }

void Conversation::edit(Id message, const QString& text) {
  stop();
  const std::optional<Message> old = d_->read(message);
  if (!old || old->chat != d_->chat) return;
  Message changed;
  changed.role = old->role;
  changed.parent = old->parent;
  changed.content = text.toStdString();
  changed.attachmentsJson = old->attachmentsJson;
  changed.model = old->model;
  d_->rows.removeFrom(d_->rows.rowOf(message));
  const std::optional<Id> id = d_->add(std::move(changed));
  if (id && old->role == Role::kUser) d_->askBelow(*id);
  if (!id) d_->reload(false);
  Q_EMIT chatListChanged();
}

void Conversation::regenerate(Id answer) {
  stop();
  const std::optional<Message> old = d_->read(answer);
  if (!old || old->chat != d_->chat || old->role != Role::kAssistant) return;
  d_->rows.removeFrom(d_->rows.rowOf(answer));
  if (old->parent) {
    d_->askBelow(*old->parent);
  } else {
    d_->reload(false);  // an imported chat may begin with an answer: there is nothing to ask
  }
  Q_EMIT chatListChanged();
}

void Conversation::regenerateLast() {
  const int last = d_->rows.rowCount() - 1;
  if (last < 0) return;
  const TranscriptItem& item = d_->rows.item(last);
  if (item.role == Role::kAssistant) {
    regenerate(item.id);
  } else {
    d_->askBelow(item.id);  // its answer was deleted
  }
}

void Conversation::continueAnswer(Id answer) {
  if (d_->desk.find(answer) != nullptr) return;
  stop();
  std::optional<Message> message = d_->read(answer);
  if (!message || message->chat != d_->chat || message->role != Role::kAssistant) return;
  const int row = d_->rows.rowOf(answer);
  if (row < 0) return;
  Id id = answer;
  if (row + 1 < d_->rows.rowCount()) {
    Message copy;
    copy.role = Role::kAssistant;
    copy.parent = message->parent;
    copy.content = message->content;
    copy.statsJson = message->statsJson;
    copy.state = MessageState::kStreaming;
    copy.model = d_->models.modelName().toStdString();
    d_->rows.removeFrom(row);
    const std::optional<Id> added = d_->add(std::move(copy));
    if (!added) return d_->reload(false);
    id = *added;
  } else {
    TranscriptItem item = d_->rows.item(row);
    item.state = MessageState::kStreaming;
    item.footer.clear();
    item.error.clear();
    item.errorDetails.clear();
    d_->rows.update(item);
    d_->store.updateMessage(id, message->content, MessageState::kStreaming, message->statsJson);
  }
  d_->ask(id, message->content, statsFromJson(message->statsJson));
}

std::optional<Id> Conversation::branchToNewChat(Id message) {
  d_->saveChat();
  const auto source = d_->chat ? d_->store.chat(*d_->chat) : engine::base::Result<std::optional<Chat>>({});
  const auto branch = d_->chat
                          ? d_->store.branch(*d_->chat)
                          : engine::base::Result<std::vector<BranchMessage>>(std::vector<BranchMessage>{});
  if (!source || !*source || !branch) return std::nullopt;
  std::vector<Message> copies;
  bool found = false;
  for (const BranchMessage& entry : *branch) {
    copies.push_back(entry.message);
    Message& copy = copies.back();
    if (const Answer* answer = d_->desk.find(copy.id)) copy.content = answer->content;
    if (copy.state == MessageState::kStreaming) copy.state = MessageState::kStopped;
    found = copy.id == message;
    if (found) break;
  }
  if (!found) return std::nullopt;
  Chat chat = **source;
  chat.title = tr("%1 (branch)").arg(QString::fromStdString(chat.title)).toStdString();
  chat.pinned = false;
  chat.createdMs = chat.updatedMs = 0;
  chat.leaf = copies.back().id;
  const auto id = d_->store.importChat(chat, copies);
  if (!id) {
    Q_EMIT failed(QString::fromStdString(id.error().message()), detailsOf(id.error()));
    return std::nullopt;
  }
  Q_EMIT chatListChanged();
  return *id;
}

void Conversation::showVersion(Id message, int delta) {
  if (!d_->chat) return;
  const auto siblings = d_->store.siblings(message);
  if (!siblings) return;
  const auto at = std::find(siblings->begin(), siblings->end(), message);
  if (at == siblings->end()) return;
  const auto place = (at - siblings->begin()) + delta;
  if (place < 0 || place >= static_cast<std::ptrdiff_t>(siblings->size()) || delta == 0) return;
  d_->store.setLeaf(*d_->chat, (*siblings)[static_cast<std::size_t>(place)]);
  d_->reload(false);
  Q_EMIT generatingChanged();
}

void Conversation::remove(Id message) {
  if (!d_->chat || d_->rows.rowOf(message) < 0) return;
  stop();
  d_->store.deleteMessage(message);
  d_->removed.emplace_back(*d_->chat, message);
  d_->reload(false);
}

void Conversation::undoRemove() {
  if (d_->removed.empty()) return;
  const auto [chat, message] = d_->removed.back();
  d_->removed.pop_back();
  d_->store.undeleteMessage(message);
  if (d_->chat == chat) d_->reload(false);
}

QString Conversation::messageText(Id message) const {
  const int row = d_->rows.rowOf(message);
  if (row >= 0) return d_->rows.item(row).content;
  const std::optional<Message> stored = d_->read(message);
  return stored ? QString::fromStdString(stored->content) : QString();
}

int Conversation::contextUsed() const {
  if (d_->models.state() != ModelService::State::kReady) return 0;
  if (const Answer* answer = d_->running()) {
    const auto& usage = answer->stats.usage;
    if (usage.promptTokens > 0) return usage.promptTokens + usage.completionTokens;
  }
  return d_->counter.used();
}

int Conversation::contextLimit() const {
  const auto engine = d_->models.engine();
  return engine ? engine->options().contextTokens : 0;
}

}  // namespace quern::ui
