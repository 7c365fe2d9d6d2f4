// Draws the rows of the chat list and edits their names in place.
#pragma once

#include <QStyledItemDelegate>
#include <optional>

#include "engine/store/store.h"
#include "ui/theme/theme.h"

namespace quern::ui {

/// What the delegate draws of a row, from either of the two models.
struct ChatListRow {
  enum class Kind { kSection, kFolder, kChat, kHit };
  Kind kind = Kind::kChat;
  engine::store::Id id = 0;       ///< of the chat or folder
  engine::store::Id message = 0;  ///< kHit; 0: the title matched
  QString title;
  QString snippet;  ///< kHit: with U+0001…U+0002 around the words that matched
  int section = 0;
  int count = 0;
  bool open = true;
  bool inFolder = false;
  bool pinned = false;
};
ChatListRow chatListRow(const QModelIndex& index);

class ChatListDelegate : public QStyledItemDelegate {
  Q_OBJECT
 public:
  explicit ChatListDelegate(Theme& theme, QObject* parent = nullptr);
  void setCurrentChat(std::optional<engine::store::Id> chat) { current_ = chat; }
  /// The button at a row's right end: "…" of chats and folders, "+" of the folders' header.
  QRect buttonRect(const QRect& row) const;

  void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override;
  QSize sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const override;
  QWidget* createEditor(QWidget* parent, const QStyleOptionViewItem& option,
                        const QModelIndex& index) const override;
  void updateEditorGeometry(QWidget* editor, const QStyleOptionViewItem& option,
                            const QModelIndex& index) const override;

 private:
  void paintGroup(QPainter* painter, const QStyleOptionViewItem& option, const ChatListRow& row) const;
  void paintRow(QPainter* painter, const QStyleOptionViewItem& option, const ChatListRow& row) const;
  void paintHit(QPainter* painter, const QStyleOptionViewItem& option, const ChatListRow& row) const;
  void paintGround(QPainter* painter, const QStyleOptionViewItem& option, bool current) const;
  void paintIcon(QPainter* painter, const QString& name, Color tint, const QRect& in, int size) const;

  Theme& theme_;
  std::optional<engine::store::Id> current_;
};

}  // namespace quern::ui
