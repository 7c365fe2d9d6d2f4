#include "ui/chat/transcript/text_box.h"

#include <QPainter>
#include <algorithm>
#include <limits>

namespace quern::ui {
namespace {

/// Looking for the end of a word at every line's end takes quadratic time where a word fills hundreds of
/// lines.
bool hasEndlessWord(const QString& text) {
  constexpr int kEndless = 2000;
  if (text.size() < kEndless) return false;
  int run = 0;
  for (const QChar c : text) {
    run = c.isSpace() ? 0 : run + 1;
    if (run >= kEndless) return true;
  }
  return false;
}

}  // namespace

TextBox::TextBox(const Theme& theme, const std::vector<Span>& spans, Style style) : theme_(&theme) {
  QString text;
  QVector<QTextLayout::FormatRange> formats;
  for (const Span& span : spans) {
    QTextCharFormat format;
    format.setForeground(theme.color(style.color));
    if (span.bold || style.bold) format.setFontWeight(QFont::DemiBold);
    if (span.italic || span.math) format.setFontItalic(true);
    if (span.strike) format.setFontStrikeOut(true);
    if (span.code) {
      const QFont mono = theme.font(TextStyle::kMonoReading);
      format.setFontFamilies(mono.families());
      format.setProperty(QTextFormat::FontPixelSize, mono.pixelSize());
      codes_.push_back({static_cast<int>(text.size()), static_cast<int>(span.text.size())});
    }
    if (!span.link.isEmpty()) {
      format.setForeground(theme.color(Color::kAccent));
      format.setFontUnderline(true);
      links_.push_back({{static_cast<int>(text.size()), static_cast<int>(span.text.size())}, span.link});
    }
    formats.push_back({static_cast<int>(text.size()), static_cast<int>(span.text.size()), format});
    text += span.text;
  }
  prepare(text, std::move(formats), style);
}

TextBox::TextBox(const Theme& theme, const QString& text, QVector<QTextLayout::FormatRange> formats,
                 Style style)
    : theme_(&theme) {
  QTextCharFormat plain;
  plain.setForeground(theme.color(style.color));
  formats.prepend({0, static_cast<int>(text.size()), plain});
  prepare(text, std::move(formats), style);
}

void TextBox::prepare(const QString& text, QVector<QTextLayout::FormatRange> formats, const Style& style) {
  QFont font = theme_->font(style.text);
  if (style.bold) font.setWeight(QFont::DemiBold);
  // Code is shown as it is written: no sign for "++" or ">=" that is not in the file.
  if (style.text == TextStyle::kMonoReading) font.setStyleStrategy(QFont::PreferNoShaping);
  layout_ = std::make_unique<QTextLayout>(text, font);
  layout_->setFormats(formats);
  layout_->setCacheEnabled(true);
  wraps_ = style.wraps;
  lineHeight_ = theme_->lineHeight(style.text);
  QTextOption option;
  const auto wrapped =
      hasEndlessWord(text) ? QTextOption::WrapAnywhere : QTextOption::WrapAtWordBoundaryOrAnywhere;
  option.setWrapMode(wraps_ ? wrapped : QTextOption::NoWrap);
  option.setTabStopDistance(4 * QFontMetricsF(font).horizontalAdvance(u' '));
  layout_->setTextOption(option);
}

void TextBox::layOut(qreal width) {
  if (width == width_) return;
  width_ = width;
  qreal y = 0;
  naturalWidth_ = 0;
  layout_->beginLayout();
  while (true) {
    QTextLine line = layout_->createLine();
    if (!line.isValid()) break;
    line.setLineWidth(wraps_ ? width : 1e6);
    // The design's line height, with the text in its middle.
    line.setPosition({0, y + (lineHeight_ - line.height()) / 2});
    naturalWidth_ = std::max(naturalWidth_, line.naturalTextWidth());
    y += lineHeight_;
  }
  layout_->endLayout();
  height_ = y;
}

qreal TextBox::naturalWidthUnwrapped() const {
  return layout_->maximumWidth() > 0 ? layout_->maximumWidth() : naturalWidth_;
}

void TextBox::draw(QPainter& painter, QPointF at, const std::vector<Mark>& marks) const {
  QVector<QTextLayout::FormatRange> ranges;
  for (const Mark& mark : marks) {
    QTextCharFormat format;
    format.setBackground(theme_->color(mark.background));
    format.setForeground(theme_->color(mark.foreground));
    ranges.push_back({mark.start, mark.length, format});
  }
  drawCodeGrounds(painter, at);
  // Lines outside of the clip are not drawn: a message may be far longer than a screen.
  layout_->draw(&painter, at, ranges, painter.clipBoundingRect());
}

/// A rounded ground under inline code, a little wider than its letters.
void TextBox::drawCodeGrounds(QPainter& painter, QPointF at) const {
  if (codes_.empty()) return;
  painter.setPen(Qt::NoPen);
  painter.setBrush(theme_->color(Color::kPress));
  for (const auto& [start, length] : codes_) {
    for (int i = 0; i < layout_->lineCount(); ++i) {
      const QTextLine line = layout_->lineAt(i);
      const int begin = std::max(start, line.textStart());
      const int end = std::min(start + length, line.textStart() + line.textLength());
      if (begin >= end) continue;
      const qreal left = line.cursorToX(begin);
      const qreal right = line.cursorToX(end);
      const qreal inset = lineHeight_ * 0.12;
      painter.drawRoundedRect(QRectF(at.x() + left - 2, at.y() + i * lineHeight_ + inset, right - left + 4,
                                     lineHeight_ - 2 * inset),
                              4, 4);
    }
  }
}

int TextBox::positionAt(QPointF point) const {
  if (layout_->lineCount() == 0) return 0;
  const int line = std::clamp(static_cast<int>(point.y() / lineHeight_), 0, layout_->lineCount() - 1);
  if (point.y() < 0) return 0;
  if (point.y() >= height_) return static_cast<int>(layout_->text().size());
  return layout_->lineAt(line).xToCursor(point.x());
}

bool TextBox::containsText(QPointF point) const {
  if (point.y() < 0 || point.y() >= height_ || layout_->lineCount() == 0) return false;
  const QTextLine line =
      layout_->lineAt(std::min(static_cast<int>(point.y() / lineHeight_), layout_->lineCount() - 1));
  return point.x() >= 0 && point.x() <= line.naturalTextWidth();
}

QString TextBox::linkAt(QPointF point) const {
  if (links_.empty() || !containsText(point)) return {};
  const QTextLine line =
      layout_->lineAt(std::min(static_cast<int>(point.y() / lineHeight_), layout_->lineCount() - 1));
  const int position = line.xToCursor(point.x(), QTextLine::CursorOnCharacter);
  for (const auto& [range, link] : links_) {
    if (position >= range.first && position < range.first + range.second) return link;
  }
  return {};
}

qreal TextBox::lineTop(int character) const {
  const QTextLine line = layout_->lineForTextPosition(character);
  return line.isValid() ? static_cast<qreal>(line.lineNumber()) * lineHeight_ : 0;
}

QRectF TextBox::caretRect() const {
  if (layout_->lineCount() == 0) return {0, 0, 8, static_cast<qreal>(lineHeight_)};
  const QTextLine line = layout_->lineAt(layout_->lineCount() - 1);
  const qreal top = (layout_->lineCount() - 1) * lineHeight_;
  return {line.naturalTextWidth() + 2, top + lineHeight_ * 0.15, 8, lineHeight_ * 0.7};
}

}  // namespace quern::ui
