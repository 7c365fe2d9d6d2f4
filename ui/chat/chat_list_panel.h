// The left panel: new chat, search over all history, the list of chats in groups and folders.
#pragma once

#include <QTimer>
#include <optional>

#include "engine/store/store.h"
#include "ui/widgets/surface.h"

class QListView;

namespace quern::ui {

class ChatListDelegate;
class ChatRows;
class SearchField;

class ChatListPanel : public Surface {
  Q_OBJECT
 public:
  ChatListPanel(Theme& theme, engine::store::Store& store, QWidget* parent = nullptr);
  void reload();
  void setCurrent(std::optional<engine::store::Id> chat);
  void startRename(engine::store::Id chat);
  void focusSearch();
  /// Empties the search field; false if it was empty.
  bool clearSearch();

 Q_SIGNALS:
  void newChatRequested();
  void collapseRequested();
  void chatChosen(engine::store::Id chat);
  void messageChosen(engine::store::Id chat, engine::store::Id message, const QString& words);
  void deleteRequested(engine::store::Id chat);
  void failed(const QString& sentence, const QString& details);

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void makeHeader();
  void search();
  void activate(const QModelIndex& index);
  void openMenu(const QModelIndex& index, const QPoint& at);
  void fillChatMenu(class QMenu& menu, const QModelIndex& index);
  void fillFolderMenu(QMenu& menu, const QModelIndex& index);
  void createFolder(std::optional<engine::store::Id> withChat);

  Theme& theme_;
  engine::store::Store& store_;
  SearchField* search_;
  QListView* view_;
  ChatRows* model_;
  ChatListDelegate* delegate_;
  QTimer searchTimer_;
};

}  // namespace quern::ui
