#include "ui/chat/transcript_view.h"

#include <QContextMenuEvent>
#include <QEvent>
#include <QKeyEvent>
#include <QPainter>
#include <QScrollBar>
#include <algorithm>

#include "ui/chat/transcript/transcript_private.h"
#include "ui/widgets/button.h"

namespace quern::ui {

TranscriptView::Private::Private(TranscriptView& view, Theme& theme) : view_(view), theme_(theme) {
  jump_ = new Button(theme, Button::Kind::kSecondary, TranscriptView::tr("Jump to latest"),
                     QStringLiteral("down"), view.viewport());
  jump_->setObjectName(QStringLiteral("jumpToLatest"));
  jump_->setFocusPolicy(Qt::TabFocus);
  jump_->hide();
  markTimer_.setSingleShot(true);
  copiedTimer_.setSingleShot(true);
  QObject::connect(jump_, &QPushButton::clicked, &view, [this] { scrollToEnd(); });
  QObject::connect(&markTimer_, &QTimer::timeout, &view, [this] {
    markedRow_ = -1;
    view_.viewport()->update();
  });
  QObject::connect(&copiedTimer_, &QTimer::timeout, &view, [this] {
    copiedRow_ = -1;
    view_.viewport()->update();
  });
}

TranscriptView::TranscriptView(Theme& theme, QWidget* parent)
    : QAbstractScrollArea(parent), d_(std::make_unique<Private>(*this, theme)) {
  setFrameShape(QFrame::NoFrame);
  setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  setFocusPolicy(Qt::StrongFocus);
  viewport()->setMouseTracking(true);
  setAccessibleName(tr("Conversation"));
  connect(&theme, &Theme::changed, this, [this] {
    if (d_->model_ != nullptr) d_->layOutAll();
  });
}

TranscriptView::~TranscriptView() = default;

void TranscriptView::setModel(TranscriptModel* model) {
  if (d_->model_ != nullptr) disconnect(d_->model_, nullptr, this, nullptr);
  d_->model_ = model;
  if (model != nullptr) {
    connect(model, &QAbstractItemModel::modelAboutToBeReset, this, [this] { d_->rememberPlace(); });
    connect(model, &QAbstractItemModel::modelReset, this, [this] { d_->reset(); });
    connect(model, &QAbstractItemModel::rowsInserted, this, [this](const QModelIndex&, int first, int last) {
      // Who asks wants to see the answer; who steps through versions wants to stay where they are.
      const bool isComing = d_->model_->item(last).state == engine::store::MessageState::kStreaming;
      if (isComing) d_->stick_ = true;
      d_->rowsInserted(first, last);
    });
    connect(model, &QAbstractItemModel::rowsRemoved, this, [this](const QModelIndex&, int first, int last) {
      d_->rows_.erase(d_->rows_.begin() + first, d_->rows_.begin() + last + 1);
      d_->hoveredRow_ = d_->focusedRow_ = -1;
      d_->anchor_ = d_->cursor_ = {};
      std::erase_if(d_->matches_, [first](const Private::Match& match) { return match.row >= first; });
      d_->currentMatch_ = -1;
      d_->wanted_ = d_->stick_ ? -1 : d_->offset_;
      d_->ensureVisibleLaidOut();
      viewport()->update();
    });
    connect(model, &QAbstractItemModel::dataChanged, this,
            [this](const QModelIndex& from, const QModelIndex& to) {
              for (int row = from.row(); row <= to.row(); ++row) d_->rowChanged(row);
            });
    connect(model, &TranscriptModel::textAppended, this, [this] { d_->lastRowGrew(); });
  }
  d_->reset();
}

int TranscriptView::laidOutRows() const { return d_->laidOutRows(); }

void TranscriptView::scrollToEnd() { d_->scrollToEnd(); }

void TranscriptView::revealMessage(engine::store::Id id, const QString& words) {
  const int row = d_->model_ == nullptr ? -1 : d_->model_->rowOf(id);
  if (row < 0) return;
  if (!words.isEmpty()) d_->words_ = words;
  d_->stick_ = false;
  // Twice: rows above the message are measured on the way, and it moves.
  for (int i = 0; i < 2; ++i) d_->setOffset(d_->rowTop(row) - viewport()->height() / 4.0);
  d_->markedRow_ = row;
  d_->markTimer_.start(1500);
  viewport()->update();
}

int TranscriptView::find(const QString& words) {
  d_->words_ = words;
  d_->matches_.clear();
  d_->currentMatch_ = -1;
  for (int row = 0; d_->model_ != nullptr && !words.isEmpty() && row < d_->model_->rowCount(); ++row) {
    const int count = static_cast<int>(d_->model_->item(row).content.count(words, Qt::CaseInsensitive));
    for (int i = 0; i < count; ++i) d_->matches_.push_back({row, i});
  }
  viewport()->update();
  return static_cast<int>(d_->matches_.size());
}

void TranscriptView::findNext(bool forward) {
  const int count = static_cast<int>(d_->matches_.size());
  if (count == 0) return;
  d_->currentMatch_ = d_->currentMatch_ < 0 ? (forward ? 0 : count - 1)
                                            : (d_->currentMatch_ + (forward ? 1 : count - 1)) % count;
  const Private::Match match = d_->matches_[static_cast<std::size_t>(d_->currentMatch_)];
  d_->foundAt_ = d_->layoutOf(match.row).occurrence(d_->words_, match.occurrence);
  for (int i = 0; i < 2; ++i)
    d_->setOffset(d_->rowTop(match.row) + d_->foundAt_.top - viewport()->height() / 4.0);
}

void TranscriptView::paintEvent(QPaintEvent* event) {
  QPainter painter(viewport());
  d_->paint(painter, event->rect());
}

void TranscriptView::resizeEvent(QResizeEvent* event) {
  QAbstractScrollArea::resizeEvent(event);
  d_->placeJump();
  if (d_->model_ == nullptr) return;
  if (event->size().width() != event->oldSize().width()) {
    d_->layOutAll();
  } else {
    d_->ensureVisibleLaidOut();
  }
}

void TranscriptView::mousePressEvent(QMouseEvent* event) { d_->mousePress(event); }
void TranscriptView::mouseMoveEvent(QMouseEvent* event) { d_->mouseMove(event); }
void TranscriptView::mouseReleaseEvent(QMouseEvent* event) { d_->mouseRelease(event); }
void TranscriptView::mouseDoubleClickEvent(QMouseEvent* event) { d_->mouseDoubleClick(event); }
void TranscriptView::wheelEvent(QWheelEvent* event) { d_->wheel(event); }
void TranscriptView::contextMenuEvent(QContextMenuEvent* event) { d_->menu(event); }

void TranscriptView::keyPressEvent(QKeyEvent* event) {
  if (!d_->key(event)) QAbstractScrollArea::keyPressEvent(event);
}

void TranscriptView::scrollContentsBy(int, int) {
  if (d_->settingBar_) return;
  const int value = verticalScrollBar()->value();
  if (value == 0) return d_->scrollToStart();
  d_->setOffset(value);
}

void TranscriptView::focusInEvent(QFocusEvent* event) {
  QAbstractScrollArea::focusInEvent(event);
  viewport()->update();
}

void TranscriptView::focusOutEvent(QFocusEvent* event) {
  QAbstractScrollArea::focusOutEvent(event);
  viewport()->update();
}

bool TranscriptView::focusNextPrevChild(bool next) {
  return hasFocus() && d_->stepTarget(next) ? true : QAbstractScrollArea::focusNextPrevChild(next);
}

bool TranscriptView::viewportEvent(QEvent* event) {
  if (event->type() == QEvent::Leave && d_->hoveredRow_ >= 0) {
    d_->hoveredRow_ = -1;
    viewport()->update();
  }
  return QAbstractScrollArea::viewportEvent(event);
}

}  // namespace quern::ui
