#include "ui/chat/chat_rows.h"

#include <QDateTime>
#include <algorithm>

namespace quern::ui {

namespace {

using engine::store::Chat;
using engine::store::Folder;
using engine::store::Id;

QString titleOf(const Chat& chat) {
  const QString title = QString::fromStdString(chat.title).simplified();
  return title.isEmpty() ? ChatRows::tr("New chat") : title;
}

}  // namespace

ChatRows::ChatRows(engine::store::Store& store, QObject* parent)
    : QAbstractListModel(parent), store_(store) {}

int ChatRows::rowCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : int(rows_.size()); }

QVariant ChatRows::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || index.row() >= int(rows_.size())) return {};
  const ChatRow& item = row(index.row());
  switch (role) {
    case Qt::DisplayRole:
    case Qt::EditRole:
      return item.text;
    case Qt::ToolTipRole:
      return item.kind == ChatRow::Kind::kChat ? item.text : QVariant();
    case Qt::AccessibleTextRole:
      if (item.kind == ChatRow::Kind::kGroup) return tr("Group: %1").arg(item.text);
      if (item.kind == ChatRow::Kind::kFolder)
        return tr("Folder: %1, %2 chats").arg(item.text).arg(item.count);
      if (item.kind == ChatRow::Kind::kHit) {
        QString plain = item.snippet;
        plain.remove(QChar(1)).remove(QChar(2));
        return tr("Found in %1: %2").arg(item.text, plain);
      }
      return item.pinned ? tr("%1, pinned").arg(item.text) : item.text;
    default:
      return {};
  }
}

Qt::ItemFlags ChatRows::flags(const QModelIndex& index) const {
  if (!index.isValid()) return {};
  const ChatRow& item = row(index.row());
  if (item.kind == ChatRow::Kind::kNothing) return Qt::NoItemFlags;
  Qt::ItemFlags flags = Qt::ItemIsEnabled | Qt::ItemIsSelectable;
  if (item.kind == ChatRow::Kind::kChat || item.kind == ChatRow::Kind::kFolder) flags |= Qt::ItemIsEditable;
  return flags;
}

bool ChatRows::setData(const QModelIndex& index, const QVariant& value, int role) {
  if (role != Qt::EditRole || !index.isValid()) return false;
  const QString name = value.toString().simplified();
  ChatRow& item = rows_[std::size_t(index.row())];
  if (name.isEmpty() || name == item.text) return false;
  if (item.kind == ChatRow::Kind::kFolder) {
    store_.renameFolder(item.id, name.toStdString());
  } else {
    auto chat = store_.chat(item.id);
    if (!chat || !*chat) return false;
    (*chat)->title = name.toStdString();
    store_.updateChat(**chat);
  }
  item.text = name;
  Q_EMIT dataChanged(index, index);
  return true;
}

std::optional<Chat> ChatRows::chat(Id id) const {
  const auto found =
      std::find_if(chats_.begin(), chats_.end(), [id](const Chat& chat) { return chat.id == id; });
  return found != chats_.end() ? std::optional<Chat>(*found) : std::nullopt;
}

int ChatRows::rowOfChat(Id chat) const {
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    if (rows_[i].kind == ChatRow::Kind::kChat && rows_[i].id == chat) return int(i);
  }
  return -1;
}

int ChatRows::rowOfFolder(Id folder) const {
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    if (rows_[i].kind == ChatRow::Kind::kFolder && rows_[i].id == folder) return int(i);
  }
  return -1;
}

void ChatRows::reload() {
  auto chats = store_.chats();
  auto folders = store_.folders();
  if (!chats || !folders) {
    const auto& error = !chats ? chats.error() : folders.error();
    Q_EMIT failed(tr("The chats cannot be read."), QString::fromStdString(error.describe()));
    return;
  }
  chats_ = std::move(*chats);
  folders_ = std::move(*folders);
  build();
}

void ChatRows::setSearch(const QString& words) {
  if (words == words_) return;
  words_ = words;
  build();
}

void ChatRows::toggle(int index) {
  const ChatRow item = row(index);
  if (item.kind == ChatRow::Kind::kGroup) {
    if (!foldedGroups_.remove(int(item.id))) foldedGroups_.insert(int(item.id));
  } else if (item.kind == ChatRow::Kind::kFolder) {
    if (!openFolders_.remove(item.id)) openFolders_.insert(item.id);
  }
  build();
}

void ChatRows::reveal(Id id) {
  if (rowOfChat(id) >= 0 || !words_.isEmpty()) return;
  const auto found = chat(id);
  if (!found) return;
  if (found->folder && !found->pinned) {
    foldedGroups_.remove(kFolders);
    openFolders_.insert(*found->folder);
  } else {
    for (int group = kPinned; group <= kOlder; ++group) foldedGroups_.remove(group);
  }
  build();
}

void ChatRows::addGroup(Group group, const QString& title, const std::vector<const Chat*>& chats) {
  if (chats.empty()) return;
  const bool open = !foldedGroups_.contains(int(group));
  ChatRow head;
  head.kind = ChatRow::Kind::kGroup;
  head.id = group;
  head.text = title;
  head.open = open;
  rows_.push_back(head);
  if (!open) return;
  for (const Chat* chat : chats) {
    ChatRow item;
    item.id = chat->id;
    item.text = titleOf(*chat);
    item.pinned = chat->pinned;
    rows_.push_back(item);
  }
}

void ChatRows::build() {
  beginResetModel();
  rows_.clear();
  if (!words_.isEmpty()) {
    buildHits();
    endResetModel();
    return;
  }
  const QDate today = QDate::currentDate();
  const qint64 startOfToday = today.startOfDay().toMSecsSinceEpoch();
  const qint64 startOfWeek = today.addDays(-6).startOfDay().toMSecsSinceEpoch();
  std::vector<const Chat*> pinned;
  std::vector<const Chat*> byTime[3];
  for (const Chat& chat : chats_) {
    if (chat.pinned) {
      pinned.push_back(&chat);
    } else if (!chat.folder) {
      byTime[chat.updatedMs >= startOfToday ? 0 : chat.updatedMs >= startOfWeek ? 1 : 2].push_back(&chat);
    }
  }
  addGroup(kPinned, tr("Pinned"), pinned);
  addGroup(kToday, tr("Today"), byTime[0]);
  addGroup(kThisWeek, tr("This week"), byTime[1]);
  addGroup(kOlder, tr("Older"), byTime[2]);

  ChatRow head;
  head.kind = ChatRow::Kind::kGroup;
  head.id = kFolders;
  head.text = tr("Folders");
  head.open = !foldedGroups_.contains(kFolders);
  rows_.push_back(head);
  for (const Folder& folder : folders_) {
    if (!head.open) break;
    ChatRow item;
    item.kind = ChatRow::Kind::kFolder;
    item.id = folder.id;
    item.text = QString::fromStdString(folder.name);
    item.count = folder.chats;
    item.open = openFolders_.contains(folder.id);
    rows_.push_back(item);
    if (!item.open) continue;
    for (const Chat& chat : chats_) {
      if (chat.folder != folder.id) continue;
      ChatRow inner;
      inner.id = chat.id;
      inner.text = titleOf(chat);
      inner.pinned = chat.pinned;
      inner.inFolder = true;
      rows_.push_back(inner);
    }
  }
  endResetModel();
}

void ChatRows::buildHits() {
  const auto hits = store_.search(words_.toStdString());
  if (!hits) {
    Q_EMIT failed(tr("The chats cannot be searched."), QString::fromStdString(hits.error().describe()));
    return;
  }
  for (const auto& hit : *hits) {
    ChatRow item;
    item.kind = ChatRow::Kind::kHit;
    item.id = hit.chat;
    item.message = hit.message;
    item.text = QString::fromStdString(hit.chatTitle).simplified();
    item.snippet = QString::fromStdString(hit.snippet).simplified();
    rows_.push_back(item);
  }
  if (rows_.empty()) {
    ChatRow nothing;
    nothing.kind = ChatRow::Kind::kNothing;
    nothing.text = tr("Nothing found");
    rows_.push_back(nothing);
  }
}

}  // namespace quern::ui
