// A run of formatted text, laid out once for a width: what paragraphs, table cells and lines of code are made
// of.
#pragma once

#include <QTextLayout>
#include <memory>
#include <utility>
#include <vector>

#include "ui/chat/markdown/blocks.h"
#include "ui/theme/theme.h"

namespace quern::ui {

/// Characters of a box that are marked (selected, found), and how.
struct Mark {
  int start = 0;
  int length = 0;
  Color background = Color::kSelected;
  Color foreground = Color::kText;
};

class TextBox {
 public:
  struct Style {
    TextStyle text = TextStyle::kReading;
    Color color = Color::kText;
    bool bold = false;
    bool wraps = true;
  };

  TextBox(const Theme& theme, const std::vector<Span>& spans, Style style);
  /// Text whose formats are given: code. Lines are separated by QChar::LineSeparator.
  TextBox(const Theme& theme, const QString& text, QVector<QTextLayout::FormatRange> formats, Style style);

  /// Breaks lines for this width; cheap when it has not changed.
  void layOut(qreal width);
  qreal height() const { return height_; }
  qreal naturalWidth() const { return naturalWidth_; }
  qreal naturalWidthUnwrapped() const;  ///< of the longest line, were there room for it

  void draw(QPainter& painter, QPointF at, const std::vector<Mark>& marks) const;
  QString text() const { return layout_->text(); }
  int positionAt(QPointF point) const;     ///< the nearest one
  bool containsText(QPointF point) const;  ///< there is text at this point
  QString linkAt(QPointF point) const;     ///< empty: none
  qreal lineTop(int character) const;      ///< of the line it stands in
  QRectF caretRect() const;                ///< behind the last character

 private:
  void prepare(const QString& text, QVector<QTextLayout::FormatRange> formats, const Style& style);

  void drawCodeGrounds(QPainter& painter, QPointF at) const;

  const Theme* theme_;
  std::unique_ptr<QTextLayout> layout_;
  std::vector<std::pair<std::pair<int, int>, QString>> links_;
  std::vector<std::pair<int, int>> codes_;  ///< start and length of inline code
  int lineHeight_ = 0;
  bool wraps_ = true;
  qreal width_ = -1;
  qreal height_ = 0;
  qreal naturalWidth_ = 0;
};

}  // namespace quern::ui
