#include "ui/chat/top_bar.h"

#include <QHBoxLayout>
#include <QMenu>

#include "ui/chat/model_picker.h"
#include "ui/widgets/button.h"

namespace quern::ui {

TopBar::TopBar(Theme& theme, ModelService& models, ModelCatalogue& catalogue, QWidget* parent)
    : Surface(theme, Color::kWindow, Qt::BottomEdge, parent),
      theme_(theme),
      showList_(makeIconButton(theme, QStringLiteral("sideL"), tr("Show the chat list"), tr("Ctrl+B"), this)),
      newChat_(makeIconButton(theme, QStringLiteral("plus"), tr("New chat"), tr("Ctrl+N"), this)),
      picker_(new ModelPicker(theme, models, catalogue, this)),
      badge_(new DeviceBadge(theme, models, this)),
      find_(makeIconButton(theme, QStringLiteral("search"), tr("Find in this chat"), tr("Ctrl+F"), this)),
      more_(makeIconButton(theme, QStringLiteral("more"), tr("More for this chat"), {}, this)),
      panel_(makeIconButton(theme, QStringLiteral("sideR"), tr("Parameters"), tr("Ctrl+Shift+B"), this)) {
  setObjectName(QStringLiteral("topBar"));
  showList_->setObjectName(QStringLiteral("showListButton"));
  newChat_->setObjectName(QStringLiteral("topNewChatButton"));
  find_->setObjectName(QStringLiteral("findButton"));
  more_->setObjectName(QStringLiteral("moreButton"));
  panel_->setObjectName(QStringLiteral("panelButton"));
  panel_->setCheckable(true);
  auto* left = new QHBoxLayout;
  left->setSpacing(theme.scaled(4));
  left->addWidget(showList_);
  left->addWidget(newChat_);
  left->addStretch(1);
  auto* right = new QHBoxLayout;
  right->setSpacing(theme.scaled(4));
  right->addStretch(1);
  right->addWidget(find_);
  right->addWidget(more_);
  right->addWidget(panel_);
  // Both sides have the same weight, so that the model stands in the middle as long as there is room.
  auto* layout = new QHBoxLayout(this);
  layout->setContentsMargins(theme.scaled(16), 0, theme.scaled(16), 1);
  layout->setSpacing(theme.scaled(12));
  layout->addLayout(left, 1);
  layout->addWidget(picker_);
  layout->addWidget(badge_);
  layout->addLayout(right, 1);
  setListHidden(false);
  const auto apply = [this] { setFixedHeight(theme_.scaled(56)); };
  connect(&theme_, &Theme::changed, this, apply);
  apply();
  connect(showList_, &QPushButton::clicked, this, &TopBar::showListRequested);
  connect(newChat_, &QPushButton::clicked, this, &TopBar::newChatRequested);
  connect(find_, &QPushButton::clicked, this, &TopBar::findRequested);
  connect(more_, &QPushButton::clicked, this, &TopBar::openMenu);
  connect(panel_, &QPushButton::clicked, this, &TopBar::panelToggled);
}

void TopBar::setChatOpen(bool open) {
  chatOpen_ = open;
  find_->setEnabled(open);
}

void TopBar::setListHidden(bool hidden) {
  showList_->setVisible(hidden);
  newChat_->setVisible(hidden);
}

void TopBar::setPanelShown(bool shown) { panel_->setChecked(shown); }

void TopBar::openMenu() {
  QMenu menu(this);
  menu.setObjectName(QStringLiteral("chatMenu"));
  const auto add = [&](const char* name, const QString& icon, const QString& text, bool needsChat,
                       auto signal) {
    QAction* action = menu.addAction(theme_.icon(icon), text);
    action->setObjectName(QLatin1String(name));
    action->setEnabled(!needsChat || chatOpen_);
    connect(action, &QAction::triggered, this, signal);
  };
  add("exportMarkdown", QStringLiteral("doc"), tr("Export as Markdown…"), true,
      &TopBar::exportMarkdownRequested);
  add("exportJson", QStringLiteral("doc"), tr("Export as JSON…"), true, &TopBar::exportJsonRequested);
  add("importChat", QStringLiteral("download"), tr("Import a chat…"), false, &TopBar::importRequested);
  menu.addSeparator();
  add("renameChat", QStringLiteral("edit"), tr("Rename…"), true, &TopBar::renameRequested);
  add("deleteChat", QStringLiteral("trash"), tr("Delete"), true, &TopBar::deleteRequested);
  menu.exec(more_->mapToGlobal(QPoint(more_->width() - menu.sizeHint().width(), more_->height() + 4)));
}

}  // namespace quern::ui
