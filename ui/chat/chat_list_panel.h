// The left panel: new chat, search over all history, the list of chats in groups and folders.
#pragma once

#include <QTimer>
#include <optional>

#include "engine/store/store.h"
#include "ui/widgets/surface.h"

class QAbstractItemModel;
class QListView;
class QMenu;
class QModelIndex;

namespace quern::ui {

class ChatListDelegate;
class ChatListModel;
class SearchField;
class SearchModel;

class ChatListPanel : public Surface {
  Q_OBJECT
 public:
  ChatListPanel(Theme& theme, engine::store::Store& store, QWidget* parent = nullptr);
  void reload();
  void setCurrent(std::optional<engine::store::Id> chat);
  void startRename(engine::store::Id chat);
  void deleteChat(engine::store::Id chat);
  void undoDelete();  ///< of the chat deleted last
  void focusSearch();
  /// Empties the search field; false if it was empty.
  bool clearSearch();

 Q_SIGNALS:
  void newChatRequested();
  void collapseRequested();
  void chatChosen(engine::store::Id chat);
  void messageChosen(engine::store::Id chat, engine::store::Id message, const QString& words);
  void chatRenamed(engine::store::Id chat);
  void deleteRequested(engine::store::Id chat);
  void failed(const QString& sentence, const QString& details);

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void makeHeader();
  void search();
  void showModel(QAbstractItemModel* model);
  void reveal(engine::store::Id chat);
  QModelIndex indexOfFolder(engine::store::Id folder) const;
  void edit(const QModelIndex& index);
  void activate(const QModelIndex& index);
  void openMenu(const QModelIndex& index, const QPoint& at);
  void fillChatMenu(QMenu& menu, const QModelIndex& index);
  void fillFolderMenu(QMenu& menu, const QModelIndex& index);
  void createFolder(std::optional<engine::store::Id> withChat);

  Theme& theme_;
  engine::store::Store& store_;
  SearchField* search_;
  QListView* view_;
  ChatListModel* model_;
  SearchModel* hits_;
  Label* nothing_;
  ChatListDelegate* delegate_;
  QTimer searchTimer_;
};

}  // namespace quern::ui
