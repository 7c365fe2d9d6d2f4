#include <QPainter>
#include <algorithm>

#include "ui/chat/transcript/transcript_private.h"

namespace quern::ui {

std::vector<Mark> TranscriptView::Private::marksFor(int row, int box, const QString& text) const {
  std::vector<Mark> marks;
  if (!words_.isEmpty()) {
    for (qsizetype at = text.indexOf(words_, 0, Qt::CaseInsensitive); at >= 0;
         at = text.indexOf(words_, at + words_.size(), Qt::CaseInsensitive)) {
      const bool current = currentMatch_ >= 0 &&
                           matches_[static_cast<std::size_t>(currentMatch_)].row == row &&
                           foundAt_.box == box && foundAt_.character == at;
      marks.push_back({static_cast<int>(at), static_cast<int>(words_.size()),
                       current ? Color::kAccent : Color::kSelected,
                       current ? Color::kOnAccent : Color::kText});
    }
  }
  const Position from = std::min(anchor_, cursor_);
  const Position to = std::max(anchor_, cursor_);
  if (from.row < 0 || from == to || row < from.row || row > to.row) return marks;
  const Position here{row, box, 0};
  int begin = 0;
  int end = static_cast<int>(text.size());
  if (Position{row, box, end} < from || here > to) return marks;
  if (row == from.row && box == from.box) begin = from.character;
  if (row == from.row && box < from.box) return marks;
  if (row == to.row && box == to.box) end = to.character;
  if (row == to.row && box > to.box) return marks;
  if (end > begin) marks.push_back({begin, end - begin, Color::kAccent, Color::kOnAccent});
  return marks;
}

void TranscriptView::Private::paint(QPainter& painter, const QRect& exposed) {
  painter.fillRect(exposed, theme_.color(Color::kWindow));
  if (model_ == nullptr || rows_.empty()) return;
  painter.setClipRect(exposed);
  const int first = std::max(0, rowAt(offset_ + exposed.top()));
  for (int row = first; row < static_cast<int>(rows_.size()); ++row) {
    const QPointF origin = rowOrigin(row);
    if (origin.y() > exposed.bottom()) break;
    MessageLayout& layout = layoutOf(row);
    if (row == markedRow_) {
      painter.fillRect(QRectF(0, origin.y() - theme_.scaled(8), view_.viewport()->width(), layout.height()),
                       theme_.color(Color::kSelected));
    }
    const bool active = row == hoveredRow_ || (row == focusedRow_ && view_.hasFocus());
    layout.draw(
        painter, origin, active, row == focusedRow_ && view_.hasFocus() ? focusedTarget_ : -1,
        [&](int box) {
          return box < layout.boxCount() ? marksFor(row, box, layout.boxText(box)) : std::vector<Mark>();
        },
        [&](int chunk, int element) {
          return row == copiedRow_ && chunk == copiedChunk_ && element == copiedElement_;
        });
  }
}

}  // namespace quern::ui
