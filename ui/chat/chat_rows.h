// The rows of the chat list as they are shown: groups by time, folders that open, or the hits of a search.
#pragma once

#include <QAbstractListModel>
#include <QSet>
#include <optional>
#include <vector>

#include "engine/store/store.h"

namespace quern::ui {

struct ChatRow {
  enum class Kind { kGroup, kChat, kFolder, kHit, kNothing };
  Kind kind = Kind::kChat;
  engine::store::Id id = 0;       ///< of the chat or folder; the group's number
  engine::store::Id message = 0;  ///< kHit
  QString text;
  QString snippet;   ///< kHit: with \x01…\x02 around the words that matched
  int count = 0;     ///< kFolder
  bool open = true;  ///< kGroup, kFolder
  bool pinned = false;
  bool inFolder = false;
};

/// UI thread. reload() reads the store anew; fold and search states are kept.
class ChatRows : public QAbstractListModel {
  Q_OBJECT
 public:
  enum Group { kPinned, kToday, kThisWeek, kOlder, kFolders };

  explicit ChatRows(engine::store::Store& store, QObject* parent = nullptr);
  int rowCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  bool setData(const QModelIndex& index, const QVariant& value, int role) override;  ///< renames
  Qt::ItemFlags flags(const QModelIndex& index) const override;

  const ChatRow& row(int index) const { return rows_[std::size_t(index)]; }
  int rowOfChat(engine::store::Id chat) const;  ///< -1: not shown
  int rowOfFolder(engine::store::Id folder) const;
  void reload();
  void setSearch(const QString& words);
  const QString& search() const { return words_; }
  void toggle(int row);                 ///< folds a group or a folder
  void reveal(engine::store::Id chat);  ///< unfolds what hides it
  std::vector<engine::store::Folder> folders() const { return folders_; }
  std::optional<engine::store::Chat> chat(engine::store::Id id) const;

 Q_SIGNALS:
  void failed(const QString& sentence, const QString& details);

 private:
  void build();
  void buildHits();
  void addGroup(Group group, const QString& title, const std::vector<const engine::store::Chat*>& chats);

  engine::store::Store& store_;
  std::vector<engine::store::Chat> chats_;
  std::vector<engine::store::Folder> folders_;
  std::vector<ChatRow> rows_;
  QSet<int> foldedGroups_;
  QSet<engine::store::Id> openFolders_;
  QString words_;
};

}  // namespace quern::ui
