// Conversation: how rows, store and running answers are kept in step.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "ui/bridge/conversation_private.h"
#include "ui/bridge/sampling_json.h"

namespace quern::ui {

using engine::base::Error;
using engine::store::BranchMessage;
using engine::store::Chat;
using engine::store::Id;
using engine::store::Message;
using engine::store::MessageState;
using engine::store::Role;

namespace {

constexpr int kSaveChatMs = 400;
// The context meter moves slowly; a picture a quarter second is enough.
constexpr int kContextEveryMs = 250;
// Below this many new rows inserting them one by one keeps the view's place; above, a reset is cheaper.
constexpr std::size_t kInsertLimit = 64;

bool sameRow(const TranscriptItem& a, const TranscriptItem& b) {
  return a.state == b.state && a.sibling == b.sibling && a.siblings == b.siblings && a.footer == b.footer &&
         a.content == b.content;
}

}  // namespace

Conversation::Private::Private(Conversation& owner, engine::store::Store& messages,
                               ModelService& modelService)
    : q(owner),
      store(messages),
      models(modelService),
      desk(messages, modelService),
      counter(messages, desk.worker()) {
  QObject::connect(&desk, &AnswerDesk::grew, &q,
                   [this](const Answer& answer, const QString& text) { onGrew(answer, text); });
  QObject::connect(&desk, &AnswerDesk::ended, &q, [this](const Answer& answer) { onEnded(answer); });
  QObject::connect(&counter, &ContextCounter::changed, &q, &Conversation::contextChanged);
  QObject::connect(&models, &ModelService::stateChanged, &q, [this] {
    counter.setEngine(models.engine());
    recount();
    Q_EMIT q.contextChanged();
    if (running() != nullptr) Q_EMIT q.generatingChanged();
  });
  counter.setEngine(models.engine());
  saveChatLater.setSingleShot(true);
  saveChatLater.setInterval(kSaveChatMs);
  QObject::connect(&saveChatLater, &QTimer::timeout, &q, [this] { saveChat(); });
  writeErrors->receiver = &q;
  store.onWriteError([errors = writeErrors](const Error& error) {
    const std::lock_guard lock(errors->mutex);
    if (errors->receiver == nullptr) return;
    QMetaObject::invokeMethod(
        errors->receiver,
        [receiver = errors->receiver, error] {
          Q_EMIT receiver->failed(QString::fromStdString(error.message()), detailsOf(error));
        },
        Qt::QueuedConnection);
  });
}

Conversation::Private::~Private() {
  desk.shutdown();  // its worker may be counting for `counter`
  saveChat();
  store.onWriteError({});
  // Nothing is asked of the store below this lock: its writer may be waiting for it.
  const std::lock_guard lock(writeErrors->mutex);
  writeErrors->receiver = nullptr;
}

std::optional<Id> Conversation::Private::leaf() const {
  return rows.rowCount() > 0 ? std::optional(rows.item(rows.rowCount() - 1).id) : std::nullopt;
}

std::optional<Message> Conversation::Private::read(Id message) const {
  auto found = store.message(message);
  return found ? std::move(*found) : std::nullopt;
}

TranscriptItem Conversation::Private::itemOf(const BranchMessage& entry) {
  const Message& message = entry.message;
  TranscriptItem item;
  item.id = message.id;
  item.role = message.role;
  item.state = message.state;
  item.sibling = entry.sibling;
  item.siblings = entry.siblings;
  item.attachments = attachmentNames(message.attachmentsJson);
  const Answer* answer = desk.find(message.id);
  item.content = QString::fromStdString(answer != nullptr ? answer->content : message.content);
  if (answer != nullptr) return item;
  if (item.state == MessageState::kStreaming) item.state = MessageState::kInterrupted;
  if (message.statsJson.empty()) return item;
  const AnswerStats stats = statsFromJson(message.statsJson);
  item.footer = footerText(stats);
  item.footerDetails = footerDetails(stats);
  item.error = stats.error;
  item.errorDetails = stats.errorDetails;
  if (stats.usage.promptTokens > 0) {
    exactTotals.insert(message.id, {stats.model, stats.usage.promptTokens + stats.usage.completionTokens});
  }
  return item;
}

void Conversation::Private::reload(bool whole) {
  if (!chat) return;
  const auto branch = store.branch(*chat);
  if (!branch) return say(branch.error());
  exactTotals.clear();
  std::vector<TranscriptItem> items;
  items.reserve(branch->size());
  for (const BranchMessage& entry : *branch) items.push_back(itemOf(entry));
  std::size_t same = 0;
  const auto shown = static_cast<std::size_t>(rows.rowCount());
  while (!whole && same < items.size() && same < shown &&
         rows.item(static_cast<int>(same)).id == items[same].id) {
    if (!sameRow(rows.item(static_cast<int>(same)), items[same])) rows.update(items[same]);
    ++same;
  }
  if (whole || items.size() - same > kInsertLimit) {
    rows.setItems(std::move(items));
  } else {
    rows.removeFrom(static_cast<int>(same));
    for (; same < items.size(); ++same) rows.append(std::move(items[same]));
  }
  recount();
}

void Conversation::Private::recount() {
  std::vector<ContextCounter::Entry> entries;
  entries.reserve(static_cast<std::size_t>(rows.rowCount()));
  const QString model = models.modelName();
  for (int row = 0; row < rows.rowCount(); ++row) {
    const TranscriptItem& item = rows.item(row);
    ContextCounter::Entry entry{item.id, item.content.size(), 0};
    const auto exact = exactTotals.constFind(item.id);
    if (exact != exactTotals.constEnd() && exact->first == model) entry.exactTotal = exact->second;
    entries.push_back(entry);
  }
  counter.setBranch(std::move(entries), systemPrompt);
}

bool Conversation::Private::createChat(const QString& title) {
  Chat fresh;
  fresh.title = title.toStdString();
  fresh.systemPrompt = systemPrompt.toStdString();
  fresh.parametersJson = parametersJson();
  fresh.model = models.modelName().toStdString();
  const auto id = store.createChat(fresh);
  if (!id) {
    say(id.error());
    return false;
  }
  chat = *id;
  chatModel = fresh.model;
  chatUnsaved = false;
  return true;
}

void Conversation::Private::saveChat() {
  saveChatLater.stop();
  if (!chatUnsaved || !chat) return;
  chatUnsaved = false;
  // The list may have renamed or moved it in the meantime.
  auto stored = store.chat(*chat);
  if (!stored || !*stored) return;
  (*stored)->systemPrompt = systemPrompt.toStdString();
  (*stored)->parametersJson = parametersJson();
  (*stored)->model = chatModel;
  store.updateChat(**stored);
}

std::string Conversation::Private::parametersJson() const {
  nlohmann::json object = {{"sampling", samplingToJson(sampling)}};
  if (maxTokens >= 0) object["maxTokens"] = maxTokens;
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void Conversation::Private::readParameters(const std::string& text) {
  chatUnsaved = false;
  if (text.empty()) return;
  const nlohmann::json object = nlohmann::json::parse(text, nullptr, false);
  if (!object.is_object() || !object.contains("sampling")) return;
  sampling = samplingFromJson(object["sampling"]);
  const auto limit = object.find("maxTokens");
  const bool valid = limit != object.end() && limit->is_number_unsigned() && *limit < 1'000'000'000U;
  maxTokens = valid ? limit->get<int>() : -1;
}

std::optional<Id> Conversation::Private::add(Message message) {
  message.chat = *chat;
  const auto id = store.addMessage(message);
  if (!id) {
    say(id.error());
    return std::nullopt;
  }
  BranchMessage entry;
  message.id = *id;
  if (const auto siblings = store.siblings(*id); siblings && !siblings->empty()) {
    entry.siblings = static_cast<std::int32_t>(siblings->size());
    entry.sibling = entry.siblings - 1;
  }
  entry.message = std::move(message);
  TranscriptItem item = itemOf(entry);
  item.state = entry.message.state;
  if (item.state == MessageState::kStreaming) item.footer.clear();
  rows.append(std::move(item));
  recount();
  return *id;
}

void Conversation::Private::askBelow(Id question) {
  Message answer;
  answer.role = Role::kAssistant;
  answer.parent = question;
  answer.state = MessageState::kStreaming;
  answer.model = models.modelName().toStdString();
  if (const std::optional<Id> id = add(std::move(answer))) ask(*id, {}, {});
}

void Conversation::Private::ask(Id answer, const std::string& soFar, const AnswerStats& before) {
  if (const std::string model = models.modelName().toStdString(); !model.empty() && model != chatModel) {
    chatModel = model;
    chatUnsaved = true;
  }
  saveChat();
  Answer asked;
  asked.place.chat = *chat;
  asked.place.answer = answer;
  asked.place.goOn = !soFar.empty();
  asked.place.soFar = soFar;
  asked.place.systemPrompt = systemPrompt.toStdString();
  asked.sampling = sampling;
  asked.maxTokens = maxTokens;
  if (!soFar.empty()) asked.before = before;
  exactTotals.remove(answer);
  desk.ask(std::move(asked));
  Q_EMIT q.generatingChanged();
}

void Conversation::Private::onGrew(const Answer& answer, const QString& text) {
  if (!chat || answer.place.chat != *chat) return;
  const int last = rows.rowCount() - 1;
  if (last < 0 || rows.item(last).id != answer.place.answer) return;  // another version is shown
  rows.appendText(text);
  const auto& stats = answer.stats;
  Q_EMIT q.liveStats(stats.timings.tokensPerSecond, stats.usage.completionTokens,
                     stats.timings.bandwidthShare);
  if (!sinceContext.isValid() || sinceContext.elapsed() >= kContextEveryMs) {
    sinceContext.start();
    Q_EMIT q.contextChanged();
  }
}

void Conversation::Private::onEnded(const Answer& answer) {
  if (!chat || answer.place.chat != *chat) {
    Q_EMIT q.chatListChanged();
    return;
  }
  const int row = rows.rowOf(answer.place.answer);
  if (row >= 0) {
    TranscriptItem item = rows.item(row);
    item.state = answer.state;
    item.footer = footerText(answer.stats);
    item.footerDetails = footerDetails(answer.stats);
    item.error = answer.stats.error;
    item.errorDetails = answer.stats.errorDetails;
    rows.update(item);
    const auto& usage = answer.stats.usage;
    if (usage.promptTokens > 0) {
      exactTotals.insert(item.id, {answer.stats.model, usage.promptTokens + usage.completionTokens});
    }
    recount();
  }
  Q_EMIT q.generatingChanged();
  Q_EMIT q.contextChanged();
  Q_EMIT q.answerFinished();
}

void Conversation::Private::say(const Error& error) {
  Q_EMIT q.failed(QString::fromStdString(error.message()), detailsOf(error));
}

}  // namespace quern::ui
