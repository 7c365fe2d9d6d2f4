// Which rows are laid out, and where they are.

#include <QScrollBar>
#include <algorithm>
#include <cmath>
#include <utility>

#include "ui/chat/transcript/transcript_private.h"
#include "ui/widgets/button.h"

namespace quern::ui {
namespace {

constexpr int kColumn = 744;
constexpr int kMargin = 24;
constexpr int kNarrowest = 240;  ///< where there is less room, the rest is cut off
constexpr int kTop = 16;
/// Layouts that are kept beyond the viewport, in viewports on each side: scrolling back must not lay out
/// again.
constexpr qreal kKeptViewports = 3;

/// A guess from the number of characters; what is seen is measured before it is drawn.
qreal estimate(const Theme& theme, const TranscriptItem& item, qreal width) {
  const qreal perLine = std::max<qreal>(10, width / theme.scaled(7));
  const qreal lines = std::ceil(static_cast<qreal>(item.content.size()) / perLine) +
                      static_cast<qreal>(item.content.count(u'\n'));
  return lines * theme.lineHeight(TextStyle::kReading) + theme.scaled(88);
}

}  // namespace

void TranscriptView::Private::rememberPlace() {
  places_.clear();
  lastId_ = 0;
  const int count = std::min(static_cast<int>(rows_.size()), model_->rowCount());
  if (count == 0) return;
  lastId_ = model_->item(count - 1).id;
  if (stick_) return;
  // What is seen first; where another version takes its place, what stands above it.
  const int first = std::max(0, rowAt(offset_));
  const int last = std::min(count - 1, rowAt(offset_ + view_.viewport()->height()));
  for (int row = first; row <= last; ++row) places_.push_back({model_->item(row).id, rowTop(row) - offset_});
  if (first > 0) places_.push_back({model_->item(first - 1).id, rowTop(first - 1) - offset_});
}

void TranscriptView::Private::placeJump() {
  const QSize size = jump_->sizeHint();
  jump_->setGeometry((view_.viewport()->width() - size.width()) / 2,
                     view_.viewport()->height() - size.height() - theme_.scaled(12), size.width(),
                     size.height());
}

void TranscriptView::Private::reset() {
  rows_.clear();
  hoveredRow_ = focusedRow_ = focusedTarget_ = pressedRow_ = copiedRow_ = markedRow_ = -1;
  anchor_ = cursor_ = {};
  matches_.clear();
  currentMatch_ = -1;
  stick_ = false;
  offset_ = 0;
  const int count = model_ == nullptr ? 0 : model_->rowCount();
  const std::vector<Place> places = std::exchange(places_, {});
  if (count > 0) rowsInserted(0, count - 1);
  // A new answer is what its person waits for; else messages that were on the screen stay there.
  const bool isNewAnswer = count > 0 && model_->item(count - 1).id != lastId_ &&
                           model_->item(count - 1).state == engine::store::MessageState::kStreaming;
  for (const Place& place : places) {
    const int row = isNewAnswer ? -1 : model_->rowOf(place.id);
    if (row < 0) continue;
    // Twice: rows above it are measured on the way.
    for (int i = 0; i < 2; ++i) setOffset(rowTop(row) - place.y);
    return;
  }
  scrollToEnd();
}

void TranscriptView::Private::rowsInserted(int first, int last) {
  const qreal width = columnWidth();
  std::vector<Row> made;
  for (int row = first; row <= last; ++row) {
    made.emplace_back();
    made.back().height = estimate(theme_, model_->item(row), width);
  }
  rows_.reserve(rows_.size() + made.size());
  rows_.insert(rows_.begin() + first, std::make_move_iterator(made.begin()),
               std::make_move_iterator(made.end()));
  if (stick_) {
    scrollToEnd();
  } else if (wanted_ >= 0) {
    offset_ = wanted_;
  }
  ensureVisibleLaidOut();
  view_.viewport()->update();
}

void TranscriptView::Private::rowChanged(int row) {
  if (row < 0 || row >= static_cast<int>(rows_.size())) return;
  rows_[static_cast<std::size_t>(row)].known = false;
  ensureVisibleLaidOut();
  view_.viewport()->update();
}

void TranscriptView::Private::lastRowGrew() { rowChanged(static_cast<int>(rows_.size()) - 1); }

void TranscriptView::Private::layOutAll() {
  const int first = rowAt(offset_);
  const qreal within = first >= 0 ? offset_ - rowTop(first) : 0;
  const bool end = stick_;
  const qreal width = columnWidth();
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    rows_[i].layout.reset();
    rows_[i].known = false;
    rows_[i].height = estimate(theme_, model_->item(static_cast<int>(i)), width);
  }
  if (!end && first >= 0) offset_ = rowTop(first) + within;
  stick_ = end;
  placeJump();
  if (end) scrollToEnd();
  ensureVisibleLaidOut();
  view_.viewport()->update();
}

MessageLayout::View TranscriptView::Private::viewOf(int row) const {
  const engine::store::Id id = model_->item(row).id;
  MessageLayout::View shown;
  shown.columnWidth = columnWidth();
  shown.thoughtOpen = openThoughts_.contains(id);
  shown.detailsOpen = openDetails_.contains(id);
  return shown;
}

MessageLayout& TranscriptView::Private::layoutOf(int row) {
  Row& at = rows_[static_cast<std::size_t>(row)];
  if (!at.layout) {
    at.layout = std::make_unique<MessageLayout>(theme_);
    at.known = false;
  }
  if (!at.known) {
    const qreal before = at.height;
    at.height = at.layout->update(model_->item(row), viewOf(row));
    at.known = true;
    // What is measured above the viewport must not move what is in it.
    if (!stick_ && at.height != before && rowTop(row) + before <= offset_) offset_ += at.height - before;
  }
  return *at.layout;
}

void TranscriptView::Private::ensureVisibleLaidOut() {
  if (rows_.empty() || view_.viewport()->height() <= 0) return updateScrollBar();
  // Measuring rows moves the ones below. The first row whose height was known stays in its place, or the end
  // does while we stick to it.
  for (int round = 0; round < 8; ++round) {
    if (stick_) offset_ = std::max<qreal>(0, contentHeight() - view_.viewport()->height());
    const int first = std::max(0, rowAt(offset_));
    qreal y = rowTop(first) - offset_;
    int anchor = first;
    qreal anchorY = y;
    for (qreal top = y; anchor < static_cast<int>(rows_.size()) && top < view_.viewport()->height();
         ++anchor) {
      const Row& row = rows_[static_cast<std::size_t>(anchor)];
      anchorY = top;
      if (row.known || row.layout) break;
      top += row.height;
    }
    if (anchor == static_cast<int>(rows_.size()) || anchorY >= view_.viewport()->height()) {
      anchor = first;
      anchorY = y;
    }
    bool changed = false;
    for (int row = first; row < static_cast<int>(rows_.size()) && y < view_.viewport()->height(); ++row) {
      const qreal before = rows_[static_cast<std::size_t>(row)].height;
      layoutOf(row);
      changed = changed || rows_[static_cast<std::size_t>(row)].height != before;
      y += rows_[static_cast<std::size_t>(row)].height;
    }
    if (!stick_) offset_ = rowTop(anchor) - anchorY;
    if (!changed) break;
  }
  const qreal kept = kKeptViewports * view_.viewport()->height();
  qreal top = theme_.scaled(kTop);
  for (Row& row : rows_) {
    if (row.layout &&
        (top + row.height < offset_ - kept || top > offset_ + view_.viewport()->height() + kept))
      row.layout.reset();
    top += row.height;
  }
  updateScrollBar();
}

qreal TranscriptView::Private::rowTop(int row) const {
  qreal top = theme_.scaled(kTop);
  for (int i = 0; i < row; ++i) top += rows_[static_cast<std::size_t>(i)].height;
  return top;
}

int TranscriptView::Private::rowAt(qreal y) const {
  qreal top = theme_.scaled(kTop);
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    top += rows_[i].height;
    if (y < top) return static_cast<int>(i);
  }
  return static_cast<int>(rows_.size()) - 1;
}

qreal TranscriptView::Private::contentHeight() const {
  return rowTop(static_cast<int>(rows_.size())) + theme_.scaled(8);
}

void TranscriptView::Private::updateScrollBar() {
  QScrollBar* bar = view_.verticalScrollBar();
  settingBar_ = true;
  const int page = view_.viewport()->height();
  const int most = std::max(0, static_cast<int>(std::ceil(contentHeight())) - page);
  offset_ = std::clamp<qreal>(offset_, 0, most);
  bar->setPageStep(page);
  bar->setSingleStep(theme_.scaled(40));
  bar->setRange(0, most);
  bar->setValue(static_cast<int>(std::lround(offset_)));
  settingBar_ = false;
  const bool far = !rows_.empty() && !isAtEnd();
  if (jump_->isVisible() != far) jump_->setVisible(far);
}

bool TranscriptView::Private::isAtEnd() const {
  return offset_ >= contentHeight() - view_.viewport()->height() - theme_.scaled(32);
}

void TranscriptView::Private::scrollToEnd() {
  stick_ = true;
  wanted_ = -1;
  offset_ = std::max<qreal>(0, contentHeight() - view_.viewport()->height());
  ensureVisibleLaidOut();
  view_.viewport()->update();
}

void TranscriptView::Private::setOffset(qreal offset) {
  offset_ = std::clamp<qreal>(offset, 0, std::max<qreal>(0, contentHeight() - view_.viewport()->height()));
  stick_ = isAtEnd();
  wanted_ = -1;
  ensureVisibleLaidOut();
  view_.viewport()->update();
}

void TranscriptView::Private::scrollToStart() {
  // Twice: rows that are measured now would push the others down otherwise.
  for (int i = 0; i < 2; ++i) setOffset(0);
}

qreal TranscriptView::Private::columnWidth() const {
  const qreal room = view_.viewport()->width() - 2 * theme_.scaled(kMargin);
  return std::clamp<qreal>(room, theme_.scaled(kNarrowest), theme_.scaled(kColumn));
}

QPointF TranscriptView::Private::rowOrigin(int row) const {
  const qreal column = columnWidth();
  // In the middle of the whole view, so that the column stands over the composer whether there is a bar or
  // not.
  return {std::floor((view_.width() - column) / 2), std::floor(rowTop(row) - offset_)};
}

int TranscriptView::Private::laidOutRows() const {
  return static_cast<int>(
      std::count_if(rows_.begin(), rows_.end(), [](const Row& row) { return row.layout != nullptr; }));
}

}  // namespace quern::ui
