// Mouse, wheel, keys and menu of the transcript.

#include <QApplication>
#include <QClipboard>
#include <QContextMenuEvent>
#include <QKeyEvent>
#include <QMenu>
#include <QMouseEvent>
#include <QScrollBar>
#include <QToolTip>
#include <QWheelEvent>
#include <algorithm>

#include "ui/chat/transcript/transcript_private.h"

namespace quern::ui {

TranscriptView::Private::Position TranscriptView::Private::positionAt(QPointF point) {
  if (rows_.empty()) return {};
  const int row = std::max(0, rowAt(offset_ + point.y()));
  const auto [box, character] = layoutOf(row).positionAt(point - rowOrigin(row));
  return {row, box, character};
}

void TranscriptView::Private::mousePress(QMouseEvent* event) {
  if (event->button() != Qt::LeftButton || rows_.empty()) return;
  const int row = std::max(0, rowAt(offset_ + event->position().y()));
  const QPointF inside = event->position() - rowOrigin(row);
  MessageLayout& layout = layoutOf(row);
  pressedRow_ = row;
  pressedTarget_ = layout.targetAt(inside);
  pressedLink_ = pressedTarget_ < 0 ? layout.linkAt(inside) : QString();
  focusedTarget_ = -1;
  focusedRow_ = -1;
  if (pressedTarget_ >= 0) return;
  const Position at = positionAt(event->position());
  if (!event->modifiers().testFlag(Qt::ShiftModifier) || anchor_.row < 0) anchor_ = at;
  cursor_ = at;
  selecting_ = true;
  view_.viewport()->update();
}

void TranscriptView::Private::mouseMove(QMouseEvent* event) {
  if (rows_.empty()) return;
  if (selecting_) {
    cursor_ = positionAt(event->position());
    if (event->position().y() < 0) setOffset(offset_ - theme_.scaled(20));
    if (event->position().y() > view_.viewport()->height()) setOffset(offset_ + theme_.scaled(20));
    view_.viewport()->update();
    return;
  }
  const int row = rowAt(offset_ + event->position().y());
  const QPointF inside = event->position() - rowOrigin(row);
  MessageLayout& layout = layoutOf(row);
  const int target = layout.targetAt(inside);
  if (row != hoveredRow_) {
    hoveredRow_ = row;
    view_.viewport()->update();
  }
  const bool isLink = target < 0 && !layout.linkAt(inside).isEmpty();
  view_.viewport()->setCursor(target >= 0 || isLink   ? Qt::PointingHandCursor
                              : layout.isText(inside) ? Qt::IBeamCursor
                                                      : Qt::ArrowCursor);
  view_.viewport()->setToolTip(target >= 0 ? layout.targets()[static_cast<std::size_t>(target)].name
                                           : layout.detailsAt(inside));
}

void TranscriptView::Private::mouseRelease(QMouseEvent* event) {
  selecting_ = false;
  if (event->button() != Qt::LeftButton || pressedRow_ < 0 || pressedRow_ >= static_cast<int>(rows_.size()))
    return;
  const int row = pressedRow_;
  const QPointF inside = event->position() - rowOrigin(row);
  MessageLayout& layout = layoutOf(row);
  const int target = layout.targetAt(inside);
  pressedRow_ = -1;
  if (target >= 0 && target == pressedTarget_) {
    const Target pressed = layout.targets()[static_cast<std::size_t>(target)];
    activate(row, pressed);
  } else if (!pressedLink_.isEmpty() && anchor_ == cursor_ && layout.linkAt(inside) == pressedLink_) {
    Q_EMIT view_.linkActivated(QUrl(pressedLink_));
  }
}

void TranscriptView::Private::mouseDoubleClick(QMouseEvent* event) {
  if (rows_.empty()) return;
  // The second of two quick clicks on a button is a click of its own.
  const int under = std::max(0, rowAt(offset_ + event->position().y()));
  if (layoutOf(under).targetAt(event->position() - rowOrigin(under)) >= 0) return mousePress(event);
  const Position at = positionAt(event->position());
  const QString text = layoutOf(at.row).boxCount() > at.box ? layoutOf(at.row).boxText(at.box) : QString();
  int begin = at.character;
  int end = at.character;
  while (begin > 0 && text[begin - 1].isLetterOrNumber()) --begin;
  while (end < text.size() && text[end].isLetterOrNumber()) ++end;
  anchor_ = {at.row, at.box, begin};
  cursor_ = {at.row, at.box, end};
  view_.viewport()->update();
}

void TranscriptView::Private::wheel(QWheelEvent* event) {
  QPointF delta = event->pixelDelta();
  if (delta.isNull()) delta = QPointF(event->angleDelta()) / 120.0 * 3 * theme_.scaled(20);
  if (event->modifiers().testFlag(Qt::ShiftModifier) && delta.x() == 0) delta = {delta.y(), 0};
  if (delta.x() != 0 && !rows_.empty()) {
    const int row = rowAt(offset_ + event->position().y());
    if (Element* code = layoutOf(row).codeAt(event->position() - rowOrigin(row))) {
      const qreal most = std::max<qreal>(0, code->widest + theme_.scaled(24) - code->rect.width());
      code->scrollX = std::clamp<qreal>(code->scrollX - delta.x(), 0, most);
      view_.viewport()->update();
    }
  }
  if (delta.y() != 0) setOffset(offset_ - delta.y());
  event->accept();
}

void TranscriptView::Private::activate(int row, const Target& target) {
  const TranscriptItem item = model_->item(row);
  using Kind = Target::Kind;
  switch (target.kind) {
    case Kind::kCopy:
      Q_EMIT view_.copyRequested(item.id);
      break;
    case Kind::kEdit:
      Q_EMIT view_.editRequested(item.id);
      break;
    case Kind::kRegenerate:
    case Kind::kRetry:
      Q_EMIT view_.regenerateRequested(item.id);
      break;
    case Kind::kBranch:
      Q_EMIT view_.branchRequested(item.id);
      break;
    case Kind::kContinue:
      Q_EMIT view_.continueRequested(item.id);
      break;
    case Kind::kDelete:
      Q_EMIT view_.deleteRequested(item.id);
      break;
    case Kind::kPrevious:
      Q_EMIT view_.versionRequested(item.id, -1);
      break;
    case Kind::kNext:
      Q_EMIT view_.versionRequested(item.id, 1);
      break;
    case Kind::kCopyCode:
      QApplication::clipboard()->setText(layoutOf(row).codeOf(target));
      copiedRow_ = row;
      copiedChunk_ = target.chunk;
      copiedElement_ = target.element;
      copiedTimer_.start(2000);
      break;
    case Kind::kThought:
    case Kind::kDetails: {
      QSet<engine::store::Id>& open = target.kind == Kind::kThought ? openThoughts_ : openDetails_;
      if (!open.remove(item.id)) open.insert(item.id);
      stick_ = false;  // what was clicked stays under the pointer
      rowChanged(row);
      stick_ = isAtEnd();
      break;
    }
  }
  view_.viewport()->update();
}

/// Moves the keyboard's focus to the next thing that can be pressed; false at the ends, so that Tab leaves
/// the view.
bool TranscriptView::Private::stepTarget(bool forward) {
  if (rows_.empty()) return false;
  int row = focusedRow_;
  int target = focusedTarget_;
  if (row < 0) {
    row =
        forward ? std::max(0, rowAt(offset_)) : std::max(0, rowAt(offset_ + view_.viewport()->height() - 1));
    target = forward ? -1 : static_cast<int>(layoutOf(row).targets().size());
  }
  while (row >= 0 && row < static_cast<int>(rows_.size())) {
    target += forward ? 1 : -1;
    if (target >= 0 && target < static_cast<int>(layoutOf(row).targets().size())) {
      focusedRow_ = row;
      focusedTarget_ = target;
      const qreal top = rowTop(row) + layoutOf(row).targets()[static_cast<std::size_t>(target)].rect.top();
      if (top < offset_ || top + theme_.scaled(40) > offset_ + view_.viewport()->height()) {
        setOffset(top - view_.viewport()->height() / 2.0);
      }
      view_.setAccessibleDescription(layoutOf(row).targets()[static_cast<std::size_t>(target)].name);
      view_.viewport()->update();
      return true;
    }
    row += forward ? 1 : -1;
    if (row < 0 || row >= static_cast<int>(rows_.size())) break;
    target = forward ? -1 : static_cast<int>(layoutOf(row).targets().size());
  }
  focusedRow_ = focusedTarget_ = -1;
  view_.viewport()->update();
  return false;
}

bool TranscriptView::Private::key(QKeyEvent* event) {
  const qreal page = view_.viewport()->height() * 0.9;
  if (event->matches(QKeySequence::Copy)) {
    copySelection();
    return true;
  }
  if (event->matches(QKeySequence::SelectAll) && !rows_.empty()) {
    const int last = static_cast<int>(rows_.size()) - 1;
    anchor_ = {0, 0, 0};
    cursor_ = {last, 1 << 20, 1 << 30};
    view_.viewport()->update();
    return true;
  }
  switch (event->key()) {
    case Qt::Key_Up:
      setOffset(offset_ - theme_.scaled(40));
      return true;
    case Qt::Key_Down:
      setOffset(offset_ + theme_.scaled(40));
      return true;
    case Qt::Key_PageUp:
      setOffset(offset_ - page);
      return true;
    case Qt::Key_PageDown:
      setOffset(offset_ + page);
      return true;
    case Qt::Key_Home:
      scrollToStart();
      return true;
    case Qt::Key_End:
      scrollToEnd();
      return true;
    case Qt::Key_Return:
    case Qt::Key_Enter:
    case Qt::Key_Space:
      if (focusedRow_ < 0 || focusedTarget_ < 0 ||
          focusedTarget_ >= static_cast<int>(layoutOf(focusedRow_).targets().size()))
        return false;
      activate(focusedRow_,
               Target(layoutOf(focusedRow_).targets()[static_cast<std::size_t>(focusedTarget_)]));
      return true;
    default:
      return false;
  }
}

void TranscriptView::Private::menu(QContextMenuEvent* event) {
  if (rows_.empty()) return;
  const int row = event->reason() == QContextMenuEvent::Keyboard && focusedRow_ >= 0
                      ? focusedRow_
                      : std::max(0, rowAt(offset_ + event->pos().y()));
  QMenu menu(&view_);
  if (anchor_.row >= 0 && anchor_ != cursor_) {
    menu.addAction(tr("Copy selection"), &view_, [this] { copySelection(); });
    menu.addSeparator();
  }
  const std::vector<Target> targets = layoutOf(row).targets();
  const engine::store::Id id = model_->item(row).id;
  for (const Target& target : targets) {
    if (target.kind == Target::Kind::kCopyCode) continue;
    menu.addAction(theme_.icon(target.icon), target.name, &view_, [this, id, target] {
      // Rows may have come and gone while the menu was open.
      const int now = model_->rowOf(id);
      if (now >= 0) activate(now, target);
    });
  }
  menu.exec(event->globalPos());
}

QString TranscriptView::Private::selectedText() const {
  const Position from = std::min(anchor_, cursor_);
  const Position to = std::max(anchor_, cursor_);
  if (from.row < 0 || from == to) return {};
  QString all;
  auto* self = const_cast<Private*>(this);
  for (int row = from.row; row <= std::min(to.row, static_cast<int>(rows_.size()) - 1); ++row) {
    // Rows that are far away are laid out only to be read, and not kept.
    MessageLayout passing(theme_);
    if (!rows_[static_cast<std::size_t>(row)].layout) passing.update(model_->item(row), viewOf(row));
    const MessageLayout& layout = rows_[static_cast<std::size_t>(row)].layout ? self->layoutOf(row) : passing;
    for (int box = row == from.row ? from.box : 0; box < layout.boxCount() && (row < to.row || box <= to.box);
         ++box) {
      const QString text = layout.boxText(box);
      const int begin = row == from.row && box == from.box ? from.character : 0;
      const int end = row == to.row && box == to.box ? to.character : static_cast<int>(text.size());
      if (!all.isEmpty()) all += u'\n';
      all += text.mid(begin, end - begin);
    }
  }
  all.replace(QChar::LineSeparator, u'\n');
  return all;
}

void TranscriptView::Private::copySelection() const {
  const QString text = selectedText();
  if (!text.isEmpty()) QApplication::clipboard()->setText(text);
}

}  // namespace quern::ui
