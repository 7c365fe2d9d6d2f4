// ChatPage: where its panels stand, and what the list and the parameters ask for.

#include <QResizeEvent>
#include <QVariantAnimation>

#include "ui/bridge/conversation.h"
#include "ui/bridge/model_service.h"
#include "ui/chat/chat_list_panel.h"
#include "ui/chat/chat_page.h"
#include "ui/chat/composer.h"
#include "ui/chat/parameters_panel.h"
#include "ui/chat/top_bar.h"
#include "ui/chat/transcript_view.h"
#include "ui/widgets/notices.h"

namespace quern::ui {

namespace {

using engine::store::Id;

// Below these widths of the window a panel lies over the chat instead of beside it.
constexpr int kPanelBesideFrom = 1120;
constexpr int kListBesideFrom = 880;
constexpr int kListWidth = 248;
constexpr int kPanelWidth = 304;
constexpr int kSlideMs = 160;
constexpr char kListShownKey[] = "window.listShown";
constexpr char kPanelShownKey[] = "window.panelShown";

}  // namespace

bool ChatPage::isListOverlay() const { return window()->width() < theme_.scaled(kListBesideFrom); }

bool ChatPage::isPanelOverlay() const { return window()->width() < theme_.scaled(kPanelBesideFrom); }

void ChatPage::resizeEvent(QResizeEvent* event) {
  Surface::resizeEvent(event);
  // Where a panel stops fitting beside the chat it goes away; where it fits again it comes back, unless it
  // was closed by hand.
  const bool listOverlay = isListOverlay();
  const bool panelOverlay = isPanelOverlay();
  if (panelOverlay != narrowPanel_) {
    narrowPanel_ = panelOverlay;
    panelShown_ = !panelOverlay && panelWanted_;
    panelShare_ = panelShown_ ? 1 : 0;
  }
  if (listOverlay != narrowList_) {
    narrowList_ = listOverlay;
    listShown_ = !listOverlay && listWanted_;
    listShare_ = listShown_ ? 1 : 0;
  }
  arrange();
}

void ChatPage::arrange() {
  const int listWidth = theme_.scaled(kListWidth);
  const int panelWidth = theme_.scaled(kPanelWidth);
  const int listEdge = int(listWidth * listShare_);
  const int panelEdge = int(panelWidth * panelShare_);
  const int left = isListOverlay() ? 0 : listEdge;
  const int right = isPanelOverlay() ? 0 : panelEdge;
  list_->setVisible(listEdge > 0);
  panel_->setVisible(panelEdge > 0);
  list_->setGeometry(listEdge - listWidth, 0, listWidth, height());
  panel_->setGeometry(width() - panelEdge, 0, panelWidth, height());
  column_->setGeometry(left, 0, std::max(0, width() - left - right), height());
  if (isListOverlay()) list_->raise();
  if (isPanelOverlay()) panel_->raise();
  topBar_->setListHidden(!listShown_);
  topBar_->setPanelShown(panelShown_);
}

void ChatPage::slide(qreal& share, QPointer<QVariantAnimation>& motion, bool shown) {
  const qreal end = shown ? 1 : 0;
  delete motion;
  if (theme_.reduceMotion() || !isVisible()) {
    share = end;
    arrange();
    return;
  }
  motion = new QVariantAnimation(this);
  motion->setDuration(kSlideMs);
  motion->setEasingCurve(QEasingCurve::OutCubic);
  motion->setStartValue(share);
  motion->setEndValue(end);
  connect(motion, &QVariantAnimation::valueChanged, this, [this, &share](const QVariant& value) {
    share = value.toReal();
    arrange();
  });
  motion->start(QAbstractAnimation::DeleteWhenStopped);
}

void ChatPage::setListShown(bool shown) {
  if (shown == listShown_) return;
  listShown_ = shown;
  if (!isListOverlay()) {
    listWanted_ = shown;
    services_.store.setSetting(kListShownKey, shown ? "1" : "0");
  }
  if (!shown && list_->isAncestorOf(window()->focusWidget())) composer_->focusEditor();
  slide(listShare_, listMotion_, shown);
}

void ChatPage::setPanelShown(bool shown) {
  if (shown == panelShown_) return;
  panelShown_ = shown;
  if (!isPanelOverlay()) {
    panelWanted_ = shown;
    services_.store.setSetting(kPanelShownKey, shown ? "1" : "0");
  }
  if (!shown && panel_->isAncestorOf(window()->focusWidget())) composer_->focusEditor();
  slide(panelShare_, panelMotion_, shown);
}

void ChatPage::restorePanels() {
  const auto wasShown = [this](const char* key) {
    const auto value = services_.store.setting(key);
    return !(value && *value && **value == "0");
  };
  listWanted_ = listShown_ = wasShown(kListShownKey);
  panelWanted_ = panelShown_ = wasShown(kPanelShownKey);
  listShare_ = listShown_ ? 1 : 0;
  panelShare_ = panelShown_ ? 1 : 0;
}

void ChatPage::connectList() {
  connect(list_, &ChatListPanel::newChatRequested, this, &ChatPage::newChat);
  connect(list_, &ChatListPanel::collapseRequested, this, &ChatPage::toggleList);
  connect(list_, &ChatListPanel::chatChosen, this, [this](Id chat) {
    openChat(chat);
    if (isListOverlay()) setListShown(false);
  });
  connect(list_, &ChatListPanel::messageChosen, this, [this](Id chat, Id message, const QString& words) {
    openChat(chat);
    if (message != 0) {
      // The message that was found may be on a branch that is not shown.
      services_.store.setLeaf(chat, message);
      services_.conversation.open(chat);
      transcript_->revealMessage(message, words);
    }
    if (isListOverlay()) setListShown(false);
  });
  connect(list_, &ChatListPanel::chatRenamed, this, &ChatPage::showTitle);
  connect(list_, &ChatListPanel::deleteRequested, this, &ChatPage::deleteChat);
  connect(list_, &ChatListPanel::failed, this, &ChatPage::showError);
}

void ChatPage::deleteChat(Id chat) {
  const bool open = services_.conversation.chat() == chat;
  if (open) services_.conversation.startNew();
  list_->deleteChat(chat);
  toast_.show(tr("Chat deleted"), tr("Undo"), [this, chat, open] {
    list_->undoDelete();
    if (open) openChat(chat);
  });
}

}  // namespace quern::ui
