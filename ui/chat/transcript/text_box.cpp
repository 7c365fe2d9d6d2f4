#include "ui/chat/transcript/text_box.h"

#include <QPainter>
#include <algorithm>
#include <limits>

namespace quern::ui {
namespace {

/// Words longer than this get places where they may be broken: Qt's line breaking is quadratic in a word's
/// length, and a megabyte of "aaa…" would stop the window for half a minute.
constexpr qsizetype kLongestWord = 500;

QString withBreaks(const QString& text) {
  qsizetype run = 0;
  QString out;
  qsizetype done = 0;
  for (qsizetype i = 0; i < text.size(); ++i) {
    run = text[i].isSpace() ? 0 : run + 1;
    if (run < kLongestWord || text[i].isHighSurrogate()) continue;
    out += QStringView(text).mid(done, i + 1 - done);
    out += TextBox::kBreak;
    done = i + 1;
    run = 0;
  }
  if (done == 0) return text;
  out += QStringView(text).mid(done);
  return out;
}

}  // namespace

TextBox::TextBox(const Theme& theme, const std::vector<Span>& spans, Style style) : theme_(&theme) {
  QString text;
  QVector<QTextLayout::FormatRange> formats;
  for (const Span& span : spans) {
    const QString shown = withBreaks(span.text);
    QTextCharFormat format;
    format.setForeground(theme.color(style.color));
    if (span.bold || style.bold) format.setFontWeight(QFont::DemiBold);
    if (span.italic || span.math) format.setFontItalic(true);
    if (span.strike) format.setFontStrikeOut(true);
    if (span.code) {
      const QFont mono = theme.font(TextStyle::kMonoReading);
      format.setFontFamilies(mono.families());
      format.setProperty(QTextFormat::FontPixelSize, mono.pixelSize());
      format.setBackground(theme.color(Color::kPress));
    }
    if (!span.link.isEmpty()) {
      format.setForeground(theme.color(Color::kAccent));
      format.setFontUnderline(true);
      links_.push_back({{static_cast<int>(text.size()), static_cast<int>(shown.size())}, span.link});
    }
    formats.push_back({static_cast<int>(text.size()), static_cast<int>(shown.size()), format});
    text += shown;
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
  layout_ = std::make_unique<QTextLayout>(text, font);
  layout_->setFormats(formats);
  layout_->setCacheEnabled(true);
  wraps_ = style.wraps;
  lineHeight_ = theme_->lineHeight(style.text);
  QTextOption option;
  option.setWrapMode(wraps_ ? QTextOption::WrapAtWordBoundaryOrAnywhere : QTextOption::NoWrap);
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
  layout_->draw(&painter, at, ranges);
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

QRectF TextBox::caretRect() const {
  if (layout_->lineCount() == 0) return {0, 0, 8, static_cast<qreal>(lineHeight_)};
  const QTextLine line = layout_->lineAt(layout_->lineCount() - 1);
  const qreal top = (layout_->lineCount() - 1) * lineHeight_;
  return {line.naturalTextWidth() + 2, top + lineHeight_ * 0.15, 8, lineHeight_ * 0.7};
}

}  // namespace quern::ui
