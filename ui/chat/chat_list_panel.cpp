#include "ui/chat/chat_list_panel.h"

#include <QApplication>
#include <QHBoxLayout>
#include <QKeyEvent>
#include <QListView>
#include <QMenu>
#include <QMouseEvent>
#include <QScrollBar>
#include <QVBoxLayout>

#include "ui/bridge/chat_list_model.h"
#include "ui/bridge/search_model.h"
#include "ui/chat/chat_list_delegate.h"

#include "ui/widgets/button.h"
#include "ui/widgets/search_field.h"

namespace quern::ui {

namespace {

using engine::store::Id;

// Searching waits until the typing rests for a moment.
constexpr int kSearchDelayMs = 120;

}  // namespace

ChatListPanel::ChatListPanel(Theme& theme, engine::store::Store& store, QWidget* parent)
    : Surface(theme, Color::kPanel, Qt::RightEdge, parent),
      theme_(theme),
      store_(store),
      search_(new SearchField(theme, tr("Search chats"), tr("Ctrl K"), this)),
      view_(new QListView(this)),
      model_(new ChatListModel(store, this)),
      hits_(new SearchModel(store, this)),
      nothing_(new Label(theme, tr("Nothing found"), TextStyle::kBody, Color::kText3, this)),
      delegate_(new ChatListDelegate(theme, this)) {
  setObjectName(QStringLiteral("chatListPanel"));
  setAccessibleName(tr("Chats"));
  search_->setObjectName(QStringLiteral("chatSearch"));
  view_->setObjectName(QStringLiteral("chatList"));
  view_->setAccessibleName(tr("Chats"));
  view_->setModel(model_);
  view_->setItemDelegate(delegate_);
  view_->setFrameShape(QFrame::NoFrame);
  view_->setMouseTracking(true);
  view_->setEditTriggers(QAbstractItemView::EditKeyPressed);
  view_->setVerticalScrollMode(QAbstractItemView::ScrollPerPixel);
  view_->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  view_->setSelectionMode(QAbstractItemView::SingleSelection);
  view_->setContextMenuPolicy(Qt::CustomContextMenu);
  view_->viewport()->setAutoFillBackground(false);
  view_->verticalScrollBar()->setSingleStep(theme.scaled(32));
  view_->installEventFilter(this);
  view_->viewport()->installEventFilter(this);
  makeHeader();

  searchTimer_.setSingleShot(true);
  searchTimer_.setInterval(kSearchDelayMs);
  connect(&searchTimer_, &QTimer::timeout, this, &ChatListPanel::search);
  connect(search_, &QLineEdit::textChanged, this, [this](const QString& text) {
    // Leaving the search is instant, only looking for words waits.
    if (text.trimmed().isEmpty()) {
      searchTimer_.stop();
      search();
    } else {
      searchTimer_.start();
    }
  });
  connect(search_, &QLineEdit::returnPressed, this, [this] {
    if (view_->model() == hits_ && hits_->rowCount() > 0) activate(hits_->index(0, 0));
  });
  connect(search_, &SearchField::steppedDown, this, [this] {
    view_->setFocus(Qt::ShortcutFocusReason);
    if (!view_->currentIndex().isValid()) view_->setCurrentIndex(view_->model()->index(0, 0));
  });
  connect(view_, &QListView::customContextMenuRequested, this, [this](const QPoint& at) {
    const QModelIndex index = view_->indexAt(at);
    // The menu key says where by the current row, the mouse by the row under it, or by none.
    openMenu(index, view_->viewport()->mapToGlobal(at));
  });
  connect(model_, &ChatListModel::renamed, this, &ChatListPanel::chatRenamed);
  connect(model_, &ChatListModel::failed, this, &ChatListPanel::failed);
  connect(hits_, &SearchModel::failed, this, &ChatListPanel::failed);
  connect(hits_, &SearchModel::finished, this, [this] {
    if (hits_->query().isEmpty()) return;
    showModel(hits_);
    nothing_->setVisible(hits_->rowCount() == 0);
  });
  connect(&theme_, &Theme::changed, view_, [this] {
    view_->doItemsLayout();
    view_->viewport()->update();
  });
}

void ChatListPanel::makeHeader() {
  auto* add = makeIconButton(theme_, QStringLiteral("plus"), tr("New chat"), tr("Ctrl+N"), this);
  add->setObjectName(QStringLiteral("newChatButton"));
  auto* collapse =
      makeIconButton(theme_, QStringLiteral("sideL"), tr("Hide the chat list"), tr("Ctrl+B"), this);
  collapse->setObjectName(QStringLiteral("collapseListButton"));
  auto* header = new QWidget(this);
  auto* line = new QHBoxLayout(header);
  line->setContentsMargins(theme_.scaled(16), 0, theme_.scaled(8), 0);
  line->setSpacing(0);
  line->addWidget(new Label(theme_, tr("Chats"), TextStyle::kSection, Color::kText, header));
  line->addStretch(1);
  line->addWidget(add);
  line->addWidget(collapse);
  auto* searchRow = new QHBoxLayout;
  searchRow->setContentsMargins(theme_.scaled(12), 0, theme_.scaled(12), theme_.scaled(8));
  searchRow->addWidget(search_);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 1, 0);
  layout->setSpacing(0);
  layout->addWidget(header);
  layout->addLayout(searchRow);
  nothing_->setObjectName(QStringLiteral("searchNothing"));
  nothing_->setContentsMargins(theme_.scaled(16), theme_.scaled(8), 0, theme_.scaled(8));
  nothing_->hide();
  layout->addWidget(nothing_);
  layout->addWidget(view_, 1);
  const auto apply = [this, header] { header->setFixedHeight(theme_.scaled(56)); };
  connect(&theme_, &Theme::changed, header, apply);
  apply();
  setTabOrder(add, collapse);
  setTabOrder(collapse, search_);
  setTabOrder(search_, view_);
  connect(add, &QPushButton::clicked, this, &ChatListPanel::newChatRequested);
  connect(collapse, &QPushButton::clicked, this, &ChatListPanel::collapseRequested);
}

void ChatListPanel::reload() { model_->refresh(); }

void ChatListPanel::showModel(QAbstractItemModel* model) {
  if (view_->model() == model) return;
  // setModel() leaves the old selection model behind.
  QItemSelectionModel* old = view_->selectionModel();
  view_->setModel(model);
  delete old;
  view_->scrollToTop();
}

void ChatListPanel::setCurrent(std::optional<Id> chat) {
  delegate_->setCurrentChat(chat);
  view_->viewport()->update();
  if (view_->model() != model_) return;
  if (!chat) {
    view_->setCurrentIndex({});
    return;
  }
  reveal(*chat);
  const QModelIndex index = model_->indexOfChat(*chat);
  view_->setCurrentIndex(index);
  view_->scrollTo(index);
}

QModelIndex ChatListPanel::indexOfFolder(Id folder) const {
  for (int row = 0; row < model_->rowCount(); ++row) {
    const QModelIndex index = model_->index(row, 0);
    const ChatListRow found = chatListRow(index);
    if (found.kind == ChatListRow::Kind::kFolder && found.id == folder) return index;
  }
  return {};
}

void ChatListPanel::reveal(Id id) {
  if (model_->indexOfChat(id).isValid()) return;
  const auto chat = store_.chat(id);
  if (!chat || !*chat || !(*chat)->folder) return;
  const QModelIndex folder = indexOfFolder(*(*chat)->folder);
  if (folder.isValid()) model_->setOpen(folder, true);
}

void ChatListPanel::edit(const QModelIndex& index) {
  if (!index.isValid()) return;
  view_->setFocus(Qt::OtherFocusReason);
  view_->setCurrentIndex(index);
  view_->scrollTo(index);
  view_->edit(index);
}

void ChatListPanel::startRename(Id chat) {
  clearSearch();
  model_->refresh();
  reveal(chat);
  edit(model_->indexOfChat(chat));
}

void ChatListPanel::deleteChat(Id chat) { model_->deleteChat(chat); }

void ChatListPanel::undoDelete() { model_->undoDelete(); }

void ChatListPanel::focusSearch() {
  search_->setFocus(Qt::ShortcutFocusReason);
  search_->selectAll();
}

bool ChatListPanel::clearSearch() {
  if (search_->text().isEmpty()) return false;
  search_->clear();
  return true;
}

void ChatListPanel::search() {
  const QString words = search_->text().trimmed();
  hits_->setQuery(words);
  if (!words.isEmpty()) return;
  nothing_->hide();
  showModel(model_);
}

void ChatListPanel::activate(const QModelIndex& index) {
  if (!index.isValid()) return;
  const ChatListRow row = chatListRow(index);
  switch (row.kind) {
    case ChatListRow::Kind::kChat:
      Q_EMIT chatChosen(row.id);
      break;
    case ChatListRow::Kind::kHit:
      Q_EMIT messageChosen(row.id, row.message, hits_->query());
      break;
    case ChatListRow::Kind::kSection:
    case ChatListRow::Kind::kFolder:
      model_->setOpen(index, !row.open);
      break;
  }
}

bool ChatListPanel::eventFilter(QObject* watched, QEvent* event) {
  if (watched == view_->viewport() && event->type() == QEvent::MouseButtonRelease) {
    auto* mouse = static_cast<QMouseEvent*>(event);
    const QModelIndex index = view_->indexAt(mouse->position().toPoint());
    if (mouse->button() != Qt::LeftButton || !index.isValid()) return false;
    const ChatListRow row = chatListRow(index);
    QRect line = view_->visualRect(index);
    if (row.kind == ChatListRow::Kind::kSection) line.setTop(line.bottom() - theme_.scaled(32) + 1);
    const bool onButton = delegate_->buttonRect(line).contains(mouse->position().toPoint());
    if (onButton && row.kind == ChatListRow::Kind::kSection &&
        row.section == int(ChatListModel::Section::kFolders)) {
      createFolder({});
    } else if (onButton && (row.kind == ChatListRow::Kind::kChat || row.kind == ChatListRow::Kind::kFolder)) {
      openMenu(index, mouse->globalPosition().toPoint());
    } else {
      activate(index);
    }
    return false;
  }
  // Keys that a name's editor leaves over come here too: its Enter ends the editing and nothing else.
  const bool naming = view_->isAncestorOf(QApplication::focusWidget());
  if (watched == view_ && event->type() == QEvent::KeyPress && !naming) {
    auto* key = static_cast<QKeyEvent*>(event);
    const QModelIndex index = view_->currentIndex();
    if (!index.isValid()) return false;
    const ChatListRow row = chatListRow(index);
    if (key->key() == Qt::Key_Return || key->key() == Qt::Key_Enter || key->key() == Qt::Key_Space) {
      activate(index);
      return true;
    }
    if (key->key() == Qt::Key_Delete && row.kind == ChatListRow::Kind::kChat) {
      Q_EMIT deleteRequested(row.id);
      return true;
    }
    const bool folds = row.kind == ChatListRow::Kind::kSection || row.kind == ChatListRow::Kind::kFolder;
    if (folds && ((key->key() == Qt::Key_Left && row.open) || (key->key() == Qt::Key_Right && !row.open))) {
      activate(index);
      return true;
    }
  }
  return Surface::eventFilter(watched, event);
}

void ChatListPanel::openMenu(const QModelIndex& index, const QPoint& at) {
  QMenu menu(this);
  menu.setObjectName(QStringLiteral("chatListMenu"));
  const auto kind = index.isValid() ? chatListRow(index).kind : ChatListRow::Kind::kSection;
  if (kind == ChatListRow::Kind::kHit) return;
  if (kind == ChatListRow::Kind::kChat) {
    fillChatMenu(menu, index);
  } else if (kind == ChatListRow::Kind::kFolder) {
    fillFolderMenu(menu, index);
  } else {
    connect(menu.addAction(theme_.icon(QStringLiteral("plus")), tr("New folder")), &QAction::triggered, this,
            [this] { createFolder({}); });
  }
  menu.exec(at);
}

void ChatListPanel::fillChatMenu(QMenu& menu, const QModelIndex& index) {
  const ChatListRow row = chatListRow(index);
  const Id id = row.id;
  const QVariant current = index.data(ChatListModel::kFolderRole);
  connect(menu.addAction(theme_.icon(QStringLiteral("edit")), tr("Rename")), &QAction::triggered, this,
          [this, id] { startRename(id); });
  connect(menu.addAction(theme_.icon(QStringLiteral("pin")), row.pinned ? tr("Unpin") : tr("Pin")),
          &QAction::triggered, this, [this, id, pinned = row.pinned] { model_->setPinned(id, !pinned); });
  QMenu* move = menu.addMenu(theme_.icon(QStringLiteral("folder")), tr("Move to folder"));
  move->setObjectName(QStringLiteral("moveMenu"));
  const auto folders = store_.folders();
  if (folders) {
    for (const auto& folder : *folders) {
      QAction* action = move->addAction(QString::fromStdString(folder.name));
      action->setCheckable(true);
      action->setChecked(current.isValid() && current.toLongLong() == folder.id);
      connect(action, &QAction::triggered, this,
              [this, id, target = folder.id] { model_->moveToFolder(id, target); });
    }
    if (!folders->empty()) move->addSeparator();
  }
  if (current.isValid()) {
    connect(move->addAction(tr("No folder")), &QAction::triggered, this,
            [this, id] { model_->moveToFolder(id, std::nullopt); });
  }
  connect(move->addAction(tr("New folder…")), &QAction::triggered, this, [this, id] { createFolder(id); });
  menu.addSeparator();
  connect(menu.addAction(theme_.icon(QStringLiteral("trash")), tr("Delete")), &QAction::triggered, this,
          [this, id] { Q_EMIT deleteRequested(id); });
}

void ChatListPanel::fillFolderMenu(QMenu& menu, const QModelIndex& index) {
  const Id folder = chatListRow(index).id;
  connect(menu.addAction(theme_.icon(QStringLiteral("edit")), tr("Rename")), &QAction::triggered, this,
          [this, folder] { edit(indexOfFolder(folder)); });
  QAction* remove =
      menu.addAction(theme_.icon(QStringLiteral("trash")), tr("Delete the folder, keep its chats"));
  connect(remove, &QAction::triggered, this, [this, folder] { model_->deleteFolder(folder); });
}

void ChatListPanel::createFolder(std::optional<Id> withChat) {
  const auto folder = model_->createFolder(tr("New folder"));
  if (!folder) return;  // the model has said why
  if (withChat) model_->moveToFolder(*withChat, *folder);
  // The folder gets its name in the list itself.
  edit(indexOfFolder(*folder));
}

}  // namespace quern::ui
