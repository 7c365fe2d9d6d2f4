#include "ui/bridge/chat_list_model.h"

#include <QDateTime>
#include <QLocale>
#include <algorithm>

#include "ui/bridge/answer_text.h"

namespace quern::ui {

using engine::store::Chat;
using engine::store::Folder;
using engine::store::Id;

namespace {

QString sectionTitle(ChatListModel::Section section) {
  switch (section) {
    case ChatListModel::Section::kPinned:
      return ChatListModel::tr("Pinned");
    case ChatListModel::Section::kToday:
      return ChatListModel::tr("Today");
    case ChatListModel::Section::kThisWeek:
      return ChatListModel::tr("This week");
    case ChatListModel::Section::kOlder:
      return ChatListModel::tr("Older");
    case ChatListModel::Section::kFolders:
      break;
  }
  return ChatListModel::tr("Folders");
}

}  // namespace

ChatListModel::ChatListModel(engine::store::Store& store, QObject* parent)
    : QAbstractListModel(parent), store_(store) {}

int ChatListModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(rows_.size());
}

QVariant ChatListModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || index.row() >= rowCount()) return {};
  const Row& row = rows_[static_cast<std::size_t>(index.row())];
  switch (role) {
    case Qt::DisplayRole:
    case Qt::EditRole:
    case Qt::ToolTipRole:
    case kTitleRole:
      return row.title;
    case Qt::AccessibleTextRole:
      if (row.kind != Kind::kChat) return tr("%1, %n chat(s)", nullptr, row.count).arg(row.title);
      return row.pinned ? tr("%1, pinned").arg(row.title) : row.title;
    case kIdRole:
      return static_cast<qint64>(row.id);
    case kKindRole:
      return static_cast<int>(row.kind);
    case kPinnedRole:
      return row.pinned;
    case kFolderRole:
      return row.folder ? QVariant(static_cast<qint64>(*row.folder)) : QVariant();
    case kSnippetRole:
      return row.snippet;
    case kSectionRole:
      return static_cast<int>(row.section);
    case kCountRole:
      return row.count;
    case kOpenRole:
      return row.open;
    default:
      return {};
  }
}

bool ChatListModel::setData(const QModelIndex& index, const QVariant& value, int role) {
  if (role != Qt::EditRole || !index.isValid()) return false;
  const Row row = rows_[static_cast<std::size_t>(index.row())];
  const QString title = value.toString().simplified();
  if (title.isEmpty() || title == row.title || row.kind == Kind::kSection) return false;
  row.kind == Kind::kFolder ? renameFolder(row.id, title) : renameChat(row.id, title);
  return true;
}

Qt::ItemFlags ChatListModel::flags(const QModelIndex& index) const {
  if (!index.isValid()) return {};
  const Row& row = rows_[static_cast<std::size_t>(index.row())];
  const Qt::ItemFlags flags = Qt::ItemIsEnabled | Qt::ItemIsSelectable;
  return row.kind == Kind::kSection ? flags : flags | Qt::ItemIsEditable;
}

QHash<int, QByteArray> ChatListModel::roleNames() const {
  return {{kIdRole, "id"},           {kKindRole, "kind"},       {kTitleRole, "title"},
          {kPinnedRole, "pinned"},   {kFolderRole, "folder"},   {kSnippetRole, "snippet"},
          {kSectionRole, "section"}, {kCountRole, "chatCount"}, {kOpenRole, "open"}};
}

void ChatListModel::refresh() {
  const auto chats = store_.chats();
  const auto folders = store_.folders();
  if (!chats || !folders) {
    const auto& error = chats ? folders.error() : chats.error();
    Q_EMIT failed(QString::fromStdString(error.message()), detailsOf(error));
    return;
  }
  show(build(*chats, *folders));
}

void ChatListModel::setToday(const QDate& day) {
  today_ = day;
  refresh();
}

std::vector<ChatListModel::Row> ChatListModel::build(const std::vector<Chat>& chats,
                                                     const std::vector<Folder>& folders) const {
  const QDate today = today_.value_or(QDate::currentDate());
  const qint64 dayStart = today.startOfDay().toMSecsSinceEpoch();
  const qint64 weekStart = today.addDays(-6).startOfDay().toMSecsSinceEpoch();
  const QLocale locale;
  const auto rowOf = [&](const Chat& chat, Section section) {
    Row row;
    row.section = section;
    row.id = chat.id;
    row.title = QString::fromStdString(chat.title).simplified();
    if (row.title.isEmpty()) row.title = tr("New chat");
    const QDateTime time = QDateTime::fromMSecsSinceEpoch(chat.updatedMs);
    row.snippet = chat.updatedMs >= dayStart ? locale.toString(time.time(), QLocale::ShortFormat)
                                             : locale.toString(time.date(), QLocale::ShortFormat);
    if (!chat.model.empty())
      row.snippet = QString::fromStdString(chat.model) + QStringLiteral(" · ") + row.snippet;
    row.pinned = chat.pinned;
    row.folder = chat.folder;
    return row;
  };
  std::vector<Row> grouped[4];
  QHash<Id, std::vector<Row>> inFolders;
  for (const Chat& chat : chats) {
    const Section section = chat.pinned                   ? Section::kPinned
                            : chat.folder                 ? Section::kFolders
                            : chat.updatedMs >= dayStart  ? Section::kToday
                            : chat.updatedMs >= weekStart ? Section::kThisWeek
                                                          : Section::kOlder;
    if (section == Section::kFolders) {
      inFolders[*chat.folder].push_back(rowOf(chat, section));
    } else {
      grouped[static_cast<int>(section)].push_back(rowOf(chat, section));
    }
  }
  std::vector<Row> rows;
  const auto addHead = [&](Section section, std::size_t count) {
    Row head;
    head.kind = Kind::kSection;
    head.section = section;
    head.id = static_cast<Id>(section);
    head.title = sectionTitle(section);
    head.count = static_cast<int>(count);
    head.open = !closedSections_.contains(static_cast<int>(section));
    rows.push_back(head);
    return head.open;
  };
  for (const Section section : {Section::kPinned, Section::kToday, Section::kThisWeek, Section::kOlder}) {
    auto& group = grouped[static_cast<int>(section)];
    if (!group.empty() && addHead(section, group.size())) {
      rows.insert(rows.end(), std::make_move_iterator(group.begin()), std::make_move_iterator(group.end()));
    }
  }
  if (folders.empty() || !addHead(Section::kFolders, folders.size())) return rows;
  for (const Folder& folder : folders) {
    auto inside = inFolders.take(folder.id);
    Row head;
    head.kind = Kind::kFolder;
    head.section = Section::kFolders;
    head.id = folder.id;
    head.title = QString::fromStdString(folder.name);
    head.count = static_cast<int>(inside.size());
    head.open = openFolders_.contains(folder.id);
    rows.push_back(head);
    if (!head.open) continue;
    rows.insert(rows.end(), std::make_move_iterator(inside.begin()), std::make_move_iterator(inside.end()));
  }
  return rows;
}

void ChatListModel::show(std::vector<Row> rows) {
  // What is the same at both ends stays; between them lie the few rows that came, went or moved.
  std::size_t front = 0;
  const std::size_t least = std::min(rows.size(), rows_.size());
  while (front < least && rows[front].sameThing(rows_[front])) ++front;
  std::size_t back = 0;
  while (back < least - front && rows[rows.size() - 1 - back].sameThing(rows_[rows_.size() - 1 - back])) {
    ++back;
  }
  const auto offset = [](std::size_t count) { return static_cast<std::ptrdiff_t>(count); };
  if (rows_.size() > front + back) {
    beginRemoveRows({}, static_cast<int>(front), static_cast<int>(rows_.size() - back) - 1);
    rows_.erase(rows_.begin() + offset(front), rows_.end() - offset(back));
    endRemoveRows();
  }
  if (rows.size() > front + back) {
    beginInsertRows({}, static_cast<int>(front), static_cast<int>(rows.size() - back) - 1);
    rows_.insert(rows_.begin() + offset(front), rows.begin() + offset(front), rows.end() - offset(back));
    endInsertRows();
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] == rows_[i]) continue;
    rows_[i] = std::move(rows[i]);
    const QModelIndex changed = index(static_cast<int>(i));
    Q_EMIT dataChanged(changed, changed);
  }
}

QModelIndex ChatListModel::indexOfChat(Id chat) const {
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    if (rows_[i].kind == Kind::kChat && rows_[i].id == chat) return index(static_cast<int>(i));
  }
  return {};
}

void ChatListModel::setOpen(const QModelIndex& head, bool open) {
  if (!head.isValid()) return;
  const Row& row = rows_[static_cast<std::size_t>(head.row())];
  if (row.kind == Kind::kSection) {
    open ? static_cast<void>(closedSections_.remove(static_cast<int>(row.section)))
         : static_cast<void>(closedSections_.insert(static_cast<int>(row.section)));
  } else if (row.kind == Kind::kFolder) {
    open ? static_cast<void>(openFolders_.insert(row.id)) : static_cast<void>(openFolders_.remove(row.id));
  }
  refresh();
}

template <class Change>
void ChatListModel::change(Id chat, Change&& apply) {
  auto stored = store_.chat(chat);
  if (!stored) {
    Q_EMIT failed(QString::fromStdString(stored.error().message()), detailsOf(stored.error()));
    return;
  }
  if (!*stored) return;
  apply(**stored);
  store_.updateChat(**stored);
  refresh();
}

void ChatListModel::renameChat(Id chat, const QString& title) {
  const QString plain = title.simplified();
  if (plain.isEmpty()) return;
  change(chat, [&](Chat& changed) { changed.title = plain.toStdString(); });
  Q_EMIT renamed(chat);
}

void ChatListModel::setPinned(Id chat, bool pinned) {
  change(chat, [pinned](Chat& changed) { changed.pinned = pinned; });
}

void ChatListModel::moveToFolder(Id chat, std::optional<Id> folder) {
  change(chat, [folder](Chat& changed) { changed.folder = folder; });
}

std::optional<Id> ChatListModel::createFolder(const QString& name) {
  const QString plain = name.simplified();
  if (plain.isEmpty()) return std::nullopt;
  const auto id = store_.createFolder(plain.toStdString());
  if (!id) {
    Q_EMIT failed(QString::fromStdString(id.error().message()), detailsOf(id.error()));
    return std::nullopt;
  }
  refresh();
  return *id;
}

void ChatListModel::renameFolder(Id folder, const QString& name) {
  if (name.simplified().isEmpty()) return;
  store_.renameFolder(folder, name.simplified().toStdString());
  refresh();
}

void ChatListModel::deleteFolder(Id folder) {
  store_.deleteFolder(folder);
  openFolders_.remove(folder);
  refresh();
}

void ChatListModel::deleteChat(Id chat) {
  store_.deleteChat(chat);
  deleted_.push_back(chat);
  refresh();
}

void ChatListModel::undoDelete() {
  if (deleted_.empty()) return;
  store_.undeleteChat(deleted_.back());
  deleted_.pop_back();
  refresh();
}

}  // namespace quern::ui
