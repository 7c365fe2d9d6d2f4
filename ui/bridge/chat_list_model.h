// The chat list: groups Pinned, Today, This week, Older, and folders, as one flat list of rows.
#pragma once

#include <QAbstractListModel>
#include <QDate>
#include <QSet>
#include <optional>
#include <vector>

#include "engine/store/store.h"

namespace quern::ui {

/// UI thread only. refresh() reads the store (a few ms for 1,000 chats) and tells the view only what differs:
/// rows removed, inserted or changed, so that selection and scrolling stay.
class ChatListModel : public QAbstractListModel {
  Q_OBJECT
 public:
  enum Role {
    kIdRole = Qt::UserRole + 1,  ///< qint64: chat, or folder for a folder's head
    kKindRole,                   ///< int, Kind
    kTitleRole,
    kPinnedRole,
    kFolderRole,   ///< qint64, or invalid
    kSnippetRole,  ///< model and time of the last change, for the second line
    kSectionRole,  ///< int, Section
    kCountRole,    ///< int: chats in the group or folder (heads)
    kOpenRole      ///< bool: the head's chats are listed
  };
  enum class Kind { kSection, kFolder, kChat };
  enum class Section { kPinned, kToday, kThisWeek, kOlder, kFolders };

  explicit ChatListModel(engine::store::Store& store, QObject* parent = nullptr);
  int rowCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  bool setData(const QModelIndex& index, const QVariant& value, int role) override;  ///< EditRole: rename
  Qt::ItemFlags flags(const QModelIndex& index) const override;
  QHash<int, QByteArray> roleNames() const override;

  void refresh();
  void setToday(const QDate& day);                        ///< for tests; otherwise the clock's
  QModelIndex indexOfChat(engine::store::Id chat) const;  ///< invalid: in a closed folder, or gone
  void setOpen(const QModelIndex& head, bool open);       ///< lists or hides what is below a head

  void renameChat(engine::store::Id chat, const QString& title);
  void setPinned(engine::store::Id chat, bool pinned);
  void moveToFolder(engine::store::Id chat, std::optional<engine::store::Id> folder);
  std::optional<engine::store::Id> createFolder(const QString& name);
  void renameFolder(engine::store::Id folder, const QString& name);
  void deleteFolder(engine::store::Id folder);  ///< its chats stay
  void deleteChat(engine::store::Id chat);
  void undoDelete();  ///< the chat deleted last
  bool canUndoDelete() const { return !deleted_.empty(); }

 Q_SIGNALS:
  void renamed(engine::store::Id chat);
  void failed(const QString& sentence, const QString& details);

 private:
  struct Row {
    Kind kind = Kind::kChat;
    Section section = Section::kOlder;
    engine::store::Id id = 0;
    QString title;
    QString snippet;
    bool pinned = false;
    bool open = true;
    int count = 0;
    std::optional<engine::store::Id> folder;
    bool sameThing(const Row& other) const {
      return kind == other.kind && id == other.id && section == other.section;
    }
    bool operator==(const Row& other) const = default;
  };

  std::vector<Row> build(const std::vector<engine::store::Chat>& chats,
                         const std::vector<engine::store::Folder>& folders) const;
  void show(std::vector<Row> rows);
  template <class Change>
  void change(engine::store::Id chat, Change&& apply);

  engine::store::Store& store_;
  std::vector<Row> rows_;
  std::optional<QDate> today_;
  QSet<int> closedSections_;
  QSet<engine::store::Id> openFolders_;
  std::vector<engine::store::Id> deleted_;
};

}  // namespace quern::ui
