#include "ui/chat/chat_list_panel.h"

#include <QHBoxLayout>
#include <QKeyEvent>
#include <QListView>
#include <QMenu>
#include <QMouseEvent>
#include <QScrollBar>
#include <QVBoxLayout>

#include "ui/chat/chat_list_delegate.h"
#include "ui/chat/chat_rows.h"
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
      model_(new ChatRows(store, this)),
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
  setTabOrder(search_, view_);

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
    search();
    if (model_->rowCount() > 0) activate(model_->index(0, 0));
  });
  connect(search_, &SearchField::steppedDown, this, [this] {
    view_->setFocus(Qt::ShortcutFocusReason);
    if (!view_->currentIndex().isValid()) view_->setCurrentIndex(model_->index(0, 0));
  });
  connect(view_, &QListView::customContextMenuRequested, this, [this](const QPoint& at) {
    const QModelIndex index = view_->indexAt(at);
    openMenu(index.isValid() ? index : view_->currentIndex(), view_->viewport()->mapToGlobal(at));
  });
  connect(model_, &ChatRows::failed, this, &ChatListPanel::failed);
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
  layout->addWidget(view_, 1);
  const auto apply = [this, header] { header->setFixedHeight(theme_.scaled(56)); };
  connect(&theme_, &Theme::changed, header, apply);
  apply();
  connect(add, &QPushButton::clicked, this, &ChatListPanel::newChatRequested);
  connect(collapse, &QPushButton::clicked, this, &ChatListPanel::collapseRequested);
}

void ChatListPanel::reload() {
  // An open editor would be closed by the reset and lose what was typed.
  if (view_->viewport()->findChild<QWidget*>(QStringLiteral("renameEditor")) != nullptr) return;
  const int scrolled = view_->verticalScrollBar()->value();
  model_->reload();
  view_->verticalScrollBar()->setValue(scrolled);
}

void ChatListPanel::setCurrent(std::optional<Id> chat) {
  delegate_->setCurrentChat(chat);
  if (chat) {
    model_->reveal(*chat);
    const int row = model_->rowOfChat(*chat);
    if (row >= 0) {
      view_->setCurrentIndex(model_->index(row, 0));
      view_->scrollTo(model_->index(row, 0));
    }
  } else {
    view_->setCurrentIndex({});
  }
  view_->viewport()->update();
}

void ChatListPanel::startRename(Id chat) {
  search_->clear();
  model_->reload();
  model_->reveal(chat);
  const int row = model_->rowOfChat(chat);
  if (row < 0) return;
  view_->setCurrentIndex(model_->index(row, 0));
  view_->scrollTo(model_->index(row, 0));
  view_->edit(model_->index(row, 0));
}

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
  model_->setSearch(search_->text().trimmed());
  view_->scrollToTop();
}

void ChatListPanel::activate(const QModelIndex& index) {
  if (!index.isValid()) return;
  const ChatRow row = model_->row(index.row());
  switch (row.kind) {
    case ChatRow::Kind::kChat:
      Q_EMIT chatChosen(row.id);
      break;
    case ChatRow::Kind::kHit:
      Q_EMIT messageChosen(row.id, row.message, model_->search());
      break;
    case ChatRow::Kind::kGroup:
    case ChatRow::Kind::kFolder:
      model_->toggle(index.row());
      view_->setCurrentIndex(model_->index(index.row(), 0));
      break;
    case ChatRow::Kind::kNothing:
      break;
  }
}

bool ChatListPanel::eventFilter(QObject* watched, QEvent* event) {
  if (watched == view_->viewport() && event->type() == QEvent::MouseButtonRelease) {
    auto* mouse = static_cast<QMouseEvent*>(event);
    const QModelIndex index = view_->indexAt(mouse->position().toPoint());
    if (mouse->button() != Qt::LeftButton || !index.isValid()) return false;
    const ChatRow& row = model_->row(index.row());
    QRect line = view_->visualRect(index);
    if (row.kind == ChatRow::Kind::kGroup) line.setTop(line.bottom() - theme_.scaled(32) + 1);
    const bool onButton = delegate_->buttonRect(line).contains(mouse->position().toPoint());
    if (onButton && row.kind == ChatRow::Kind::kGroup && row.id == ChatRows::kFolders) {
      createFolder({});
    } else if (onButton && (row.kind == ChatRow::Kind::kChat || row.kind == ChatRow::Kind::kFolder)) {
      openMenu(index, mouse->globalPosition().toPoint());
    } else {
      activate(index);
    }
    return false;
  }
  if (watched == view_ && event->type() == QEvent::KeyPress) {
    auto* key = static_cast<QKeyEvent*>(event);
    const QModelIndex index = view_->currentIndex();
    if (!index.isValid()) return false;
    const ChatRow& row = model_->row(index.row());
    if (key->key() == Qt::Key_Return || key->key() == Qt::Key_Enter || key->key() == Qt::Key_Space) {
      activate(index);
      return true;
    }
    if (key->key() == Qt::Key_Delete && row.kind == ChatRow::Kind::kChat) {
      Q_EMIT deleteRequested(row.id);
      return true;
    }
    const bool folds = row.kind == ChatRow::Kind::kGroup || row.kind == ChatRow::Kind::kFolder;
    if (folds && ((key->key() == Qt::Key_Left && row.open) || (key->key() == Qt::Key_Right && !row.open))) {
      activate(index);
      return true;
    }
  }
  return Surface::eventFilter(watched, event);
}

void ChatListPanel::openMenu(const QModelIndex& index, const QPoint& at) {
  if (!index.isValid()) return;
  QMenu menu(this);
  menu.setObjectName(QStringLiteral("chatListMenu"));
  const ChatRow::Kind kind = model_->row(index.row()).kind;
  if (kind == ChatRow::Kind::kChat) {
    fillChatMenu(menu, index);
  } else if (kind == ChatRow::Kind::kFolder) {
    fillFolderMenu(menu, index);
  } else {
    connect(menu.addAction(theme_.icon(QStringLiteral("plus")), tr("New folder")), &QAction::triggered, this,
            [this] { createFolder({}); });
  }
  menu.exec(at);
}

void ChatListPanel::fillChatMenu(QMenu& menu, const QModelIndex& index) {
  const ChatRow row = model_->row(index.row());
  const auto known = model_->chat(row.id);
  if (!known) return;
  const auto change = [this, id = row.id](auto edit) {
    auto chat = store_.chat(id);
    if (!chat || !*chat) return;
    edit(**chat);
    store_.updateChat(**chat);
    reload();
  };
  connect(menu.addAction(theme_.icon(QStringLiteral("edit")), tr("Rename")), &QAction::triggered, this,
          [this, id = row.id] { startRename(id); });
  connect(menu.addAction(theme_.icon(QStringLiteral("pin")), row.pinned ? tr("Unpin") : tr("Pin")),
          &QAction::triggered, this,
          [change] { change([](engine::store::Chat& chat) { chat.pinned = !chat.pinned; }); });
  QMenu* move = menu.addMenu(theme_.icon(QStringLiteral("folder")), tr("Move to folder"));
  for (const auto& folder : model_->folders()) {
    QAction* action = move->addAction(QString::fromStdString(folder.name));
    action->setCheckable(true);
    action->setChecked(known->folder == folder.id);
    connect(action, &QAction::triggered, this,
            [change, id = folder.id] { change([id](engine::store::Chat& chat) { chat.folder = id; }); });
  }
  if (!model_->folders().empty()) move->addSeparator();
  if (known->folder) {
    connect(move->addAction(tr("No folder")), &QAction::triggered, this,
            [change] { change([](engine::store::Chat& chat) { chat.folder.reset(); }); });
  }
  connect(move->addAction(tr("New folder…")), &QAction::triggered, this,
          [this, id = row.id] { createFolder(id); });
  menu.addSeparator();
  connect(menu.addAction(theme_.icon(QStringLiteral("trash")), tr("Delete")), &QAction::triggered, this,
          [this, id = row.id] { Q_EMIT deleteRequested(id); });
}

void ChatListPanel::fillFolderMenu(QMenu& menu, const QModelIndex& index) {
  const Id folder = model_->row(index.row()).id;
  connect(menu.addAction(theme_.icon(QStringLiteral("edit")), tr("Rename")), &QAction::triggered, this,
          [this, folder] {
            const int row = model_->rowOfFolder(folder);
            if (row < 0) return;
            view_->setCurrentIndex(model_->index(row, 0));
            view_->edit(model_->index(row, 0));
          });
  QAction* remove = menu.addAction(theme_.icon(QStringLiteral("trash")), tr("Delete folder"));
  remove->setToolTip(tr("Its chats stay"));
  connect(remove, &QAction::triggered, this, [this, folder] {
    store_.deleteFolder(folder);
    reload();
  });
}

void ChatListPanel::createFolder(std::optional<Id> withChat) {
  const auto folder = store_.createFolder(tr("New folder").toStdString());
  if (!folder) {
    Q_EMIT failed(tr("The folder was not made."), QString::fromStdString(folder.error().describe()));
    return;
  }
  if (withChat) {
    auto chat = store_.chat(*withChat);
    if (chat && *chat) {
      (*chat)->folder = *folder;
      store_.updateChat(**chat);
    }
  }
  reload();
  const int row = model_->rowOfFolder(*folder);
  if (row < 0) return;
  // The folder gets its name in the list itself.
  view_->setCurrentIndex(model_->index(row, 0));
  view_->scrollTo(model_->index(row, 0));
  view_->edit(model_->index(row, 0));
}

}  // namespace quern::ui
