#include "ui/chat/transcript/elements.h"

#include <QCoreApplication>
#include <QPainter>
#include <QPainterPath>
#include <algorithm>
#include <numeric>

namespace quern::ui {
namespace {

/// Lines of code in one box: while code streams in, only the last box is laid out again.
constexpr int kCodeBoxLines = 32;

constexpr int kIndent = 20;
constexpr int kQuoteIndent = 16;
constexpr int kBlockGap = 8;
constexpr int kCodeHeader = 32;
constexpr int kCodePadding = 12;
constexpr int kCellPadding = 8;

TextBox::Style headingStyle(int level) {
  if (level == 1) return {TextStyle::kTitle, Color::kText, true, true};
  if (level <= 3) return {TextStyle::kSection, Color::kText, true, true};
  return {TextStyle::kReading, Color::kText, true, true};
}

class Builder {
 public:
  Builder(const Theme& theme, qreal width, TextStyle style, LaidOutChunk* previous)
      : theme_(theme), width_(width), style_(style), previous_(previous) {}

  LaidOutChunk build(const QString& source) {
    LaidOutChunk chunk;
    chunk.source = source;
    chunk.width = width_;
    std::vector<Block> blocks = parseMarkdown(source);
    bool same = previous_ != nullptr;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      const Block& block = blocks[i];
      // What stands before the place that grows is where it was.
      same = same && i < previous_->blocks.size() && previous_->blocks[i] == block;
      if (same) {
        chunk.elements.push_back(std::move(previous_->elements[i]));
        y_ = chunk.elements.back().rect.bottom();
        continue;
      }
      if (i > 0) y_ += theme_.scaled(gap(blocks[i - 1], block));
      left_ = theme_.scaled(block.indent * kIndent + block.quote * kQuoteIndent);
      Element element;
      element.quote = block.quote;
      switch (block.kind) {
        case Block::Kind::kCode:
          code(block, element, i);
          break;
        case Block::Kind::kTable:
          table(block, element, i);
          break;
        case Block::Kind::kRule:
          element.kind = Element::Kind::kRule;
          element.rect = {left_, y_, width_ - left_, static_cast<qreal>(theme_.scaled(9))};
          break;
        default:
          text(block, element);
      }
      y_ = element.rect.bottom();
      chunk.elements.push_back(std::move(element));
    }
    chunk.height = y_;
    chunk.blocks = std::move(blocks);
    return chunk;
  }

 private:
  static int gap(const Block& before, const Block& block) {
    if (block.kind == Block::Kind::kHeading) return 2 * kBlockGap;
    if (!block.marker.isEmpty() && before.indent > 0) return 2;
    return kBlockGap;
  }

  PlacedBox& place(Element& element, std::unique_ptr<TextBox> box, QPointF at) {
    element.boxes.push_back({std::move(box), at});
    return element.boxes.back();
  }

  void text(const Block& block, Element& element) {
    TextBox::Style style =
        block.kind == Block::Kind::kHeading ? headingStyle(block.level) : TextBox::Style{style_};
    if (block.quote > 0) style.color = Color::kText2;
    const qreal left = left_ + (block.kind == Block::Kind::kMath ? theme_.scaled(16) : 0);
    auto box = std::make_unique<TextBox>(theme_, block.spans, style);
    box->layOut(std::max<qreal>(40, width_ - left));
    const qreal height = std::max<qreal>(box->height(), theme_.lineHeight(style_));
    if (!block.marker.isEmpty()) {
      auto marker = std::make_unique<TextBox>(
          theme_, std::vector<Span>{{block.marker, false, false, false, false, false, {}}},
          TextBox::Style{style_, Color::kText2});
      marker->layOut(theme_.scaled(kIndent) * 2);
      const qreal x = left_ - theme_.scaled(6) - marker->naturalWidth();
      place(element, std::move(marker), {x, y_});
    }
    place(element, std::move(box), {left, y_});
    element.rect = {left_, y_, width_ - left_, height};
  }

  void code(const Block& block, Element& element, std::size_t index) {
    element.kind = Element::Kind::kCode;
    element.language = block.language;
    element.code = block.code;
    const qreal top = y_ + theme_.scaled(kCodeHeader + kCodePadding);
    const qreal x = left_ + theme_.scaled(kCodePadding);
    std::size_t reused = 0;
    Element* old =
        previous_ != nullptr && index < previous_->elements.size() ? &previous_->elements[index] : nullptr;
    const QStringList lines = block.code.split(u'\n');
    HighlightState state;
    if (old != nullptr && old->kind == Element::Kind::kCode && old->language == block.language &&
        block.code.startsWith(old->code)) {
      // Every box but the last is as it was.
      reused = old->boxes.empty() ? 0 : old->boxes.size() - 1;
      for (std::size_t i = 0; i < reused; ++i) {
        place(element, std::move(old->boxes[i].box), {x, top + lineTop(static_cast<int>(i) * kCodeBoxLines)});
        element.states.push_back(old->states[i]);
      }
      if (reused < old->states.size()) state = old->states[reused];
      element.scrollX = old->scrollX;
      element.widest = old->widest;
    }
    const Language& language = languageFor(block.language);
    for (int first = static_cast<int>(reused) * kCodeBoxLines; first < lines.size(); first += kCodeBoxLines) {
      element.states.push_back(state);
      QVector<QTextLayout::FormatRange> formats;
      QString text;
      for (int i = first; i < std::min<int>(first + kCodeBoxLines, static_cast<int>(lines.size())); ++i) {
        if (i > first) text += QChar::LineSeparator;
        for (const HighlightRun& run : highlightLine(language, lines[i], state)) {
          QTextCharFormat format;
          format.setForeground(theme_.color(run.color));
          formats.push_back({static_cast<int>(text.size()) + run.start, run.length, format});
        }
        text += lines[i];
      }
      auto box =
          std::make_unique<TextBox>(theme_, text, std::move(formats),
                                    TextBox::Style{TextStyle::kMonoReading, Color::kText, false, false});
      box->layOut(1);
      element.widest = std::max(element.widest, box->naturalWidth());
      place(element, std::move(box), {x, top + lineTop(first)});
    }
    const qreal height =
        lineTop(static_cast<int>(lines.size())) + theme_.scaled(kCodeHeader + 2 * kCodePadding);
    element.rect = {left_, y_, width_ - left_, height};
  }

  qreal lineTop(int line) const {
    return static_cast<qreal>(line) * theme_.lineHeight(TextStyle::kMonoReading);
  }

  /// The cell's box of the layout before, if it says the same; null otherwise. Rows are filled up to the same
  /// number of columns.
  std::unique_ptr<TextBox> oldCell(std::size_t index, std::size_t row, std::size_t column,
                                   std::size_t columns, const Cell& cell) {
    if (previous_ == nullptr || index >= previous_->blocks.size()) return nullptr;
    const Block& old = previous_->blocks[index];
    if (old.kind != Block::Kind::kTable || row >= old.rows.size() || column >= old.rows[row].size() ||
        old.rows[row][column] != cell)
      return nullptr;
    std::size_t oldColumns = 0;
    for (const auto& cells : old.rows) oldColumns = std::max(oldColumns, cells.size());
    if (oldColumns != columns) return nullptr;
    return std::move(previous_->elements[index].boxes[row * columns + column].box);
  }

  void table(const Block& block, Element& element, std::size_t index) {
    element.kind = Element::Kind::kTable;
    std::size_t columns = 0;
    for (const auto& row : block.rows) columns = std::max(columns, row.size());
    if (columns == 0) return text({}, element);
    std::vector<std::vector<std::unique_ptr<TextBox>>> boxes;
    std::vector<qreal> widths(columns, 0);
    for (std::size_t r = 0; r < block.rows.size(); ++r) {
      boxes.emplace_back();
      for (std::size_t c = 0; c < columns; ++c) {
        const Cell cell = c < block.rows[r].size() ? block.rows[r][c] : Cell();
        std::unique_ptr<TextBox> box = oldCell(index, r, c, columns, cell);
        if (!box) {
          box = std::make_unique<TextBox>(
              theme_, cell, TextBox::Style{style_, r == 0 ? Color::kText2 : Color::kText, r == 0});
          box->layOut(1e5);
        }
        widths[c] = std::max(widths[c], box->naturalWidthUnwrapped() + 1);
        boxes.back().push_back(std::move(box));
      }
    }
    fit(widths, width_ - left_ - theme_.scaled(2 * kCellPadding) * static_cast<qreal>(columns));
    qreal y = y_;
    for (std::size_t r = 0; r < boxes.size(); ++r) {
      element.rowTops.push_back(y);
      qreal x = left_;
      qreal height = theme_.lineHeight(style_);
      for (std::size_t c = 0; c < columns; ++c) {
        TextBox& box = *boxes[r][c];
        box.layOut(widths[c]);
        const Qt::Alignment align = c < block.alignments.size() ? block.alignments[c] : Qt::AlignLeft;
        const qreal spare = std::max<qreal>(0, widths[c] - box.naturalWidth());
        const qreal shift = align == Qt::AlignRight ? spare : align == Qt::AlignHCenter ? spare / 2 : 0;
        height = std::max(height, box.height());
        place(element, std::move(boxes[r][c]),
              {x + theme_.scaled(kCellPadding) + shift, y + theme_.scaled(4)});
        x += widths[c] + theme_.scaled(2 * kCellPadding);
      }
      y += height + theme_.scaled(8);
      element.rect = {left_, y_, x - left_, y - y_};
    }
  }

  /// Narrows the widest columns until all fit.
  static void fit(std::vector<qreal>& widths, qreal available) {
    const qreal all = std::accumulate(widths.begin(), widths.end(), 0.0);
    if (all <= available || all <= 0) return;
    const qreal fair = available / static_cast<qreal>(widths.size());
    qreal small = 0;
    qreal large = 0;
    for (const qreal width : widths) (width <= fair ? small : large) += width;
    for (qreal& width : widths) {
      if (width > fair) width = std::max<qreal>(32, width * std::max<qreal>(1, available - small) / large);
    }
  }

  const Theme& theme_;
  qreal width_;
  TextStyle style_;
  LaidOutChunk* previous_;
  qreal y_ = 0;
  qreal left_ = 0;
};

}  // namespace

LaidOutChunk layOutChunk(const Theme& theme, const QString& source, qreal width, TextStyle style,
                         LaidOutChunk* previous) {
  if (previous != nullptr && previous->width != width) previous = nullptr;
  return Builder(theme, width, style, previous).build(source);
}

QRectF copyButtonRect(const Theme& theme, const Element& element) {
  const qreal width = theme.scaled(84);
  return {element.rect.right() - width - theme.scaled(4), element.rect.top() + theme.scaled(4), width,
          static_cast<qreal>(theme.scaled(24))};
}

QRectF codeArea(const Theme& theme, const Element& element) {
  return element.rect.adjusted(1, theme.scaled(kCodeHeader), -1, -1);
}

void drawElementFrame(QPainter& painter, const Theme& theme, const Element& element, QPointF origin,
                      bool copied) {
  const QRectF rect = element.rect.translated(origin);
  for (int depth = 0; depth < element.quote; ++depth) {
    const qreal x = origin.x() + theme.scaled(depth * kQuoteIndent);
    painter.fillRect(
        QRectF(x, rect.top() - theme.scaled(4), theme.scaled(3), rect.height() + theme.scaled(8)),
        theme.color(Color::kLine2));
  }
  switch (element.kind) {
    case Element::Kind::kRule:
      painter.fillRect(QRectF(rect.left(), rect.center().y(), rect.width(), 1), theme.color(Color::kLine2));
      return;
    case Element::Kind::kTable:
      for (std::size_t i = 1; i < element.rowTops.size(); ++i) {
        painter.fillRect(QRectF(rect.left(), origin.y() + element.rowTops[i], rect.width(), 1),
                         theme.color(i == 1 ? Color::kLine2 : Color::kLine));
      }
      return;
    case Element::Kind::kText:
      return;
    case Element::Kind::kCode:
      break;
  }
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(theme.color(Color::kLine2));
  painter.setBrush(theme.color(Color::kCode));
  painter.drawRoundedRect(rect.adjusted(0.5, 0.5, -0.5, -0.5), 8, 8);
  const QRectF header(rect.left() + 1, rect.top() + 1, rect.width() - 2, theme.scaled(kCodeHeader) - 1);
  QPainterPath top;
  top.setFillRule(Qt::WindingFill);
  top.addRoundedRect(header, 7, 7);
  top.addRect(header.adjusted(0, header.height() / 2, 0, 0));
  painter.setPen(Qt::NoPen);
  painter.fillPath(top.simplified(), theme.color(Color::kCard));
  painter.fillRect(QRectF(header.left(), header.bottom(), header.width(), 1), theme.color(Color::kLine2));
  painter.setFont(theme.font(TextStyle::kSmall));
  painter.setPen(theme.color(Color::kText2));
  const QString title = element.language.isEmpty() ? QCoreApplication::translate("TranscriptView", "Code")
                                                   : languageTitle(element.language);
  painter.drawText(header.adjusted(theme.scaled(kCodePadding), 0, -theme.scaled(100), 0),
                   Qt::AlignVCenter | Qt::AlignLeft,
                   painter.fontMetrics().elidedText(title, Qt::ElideRight,
                                                    static_cast<int>(header.width()) - theme.scaled(120)));
  const QRectF button = copyButtonRect(theme, element).translated(origin);
  const QString label = copied ? QCoreApplication::translate("TranscriptView", "Copied")
                               : QCoreApplication::translate("TranscriptView", "Copy");
  const int icon = theme.scaled(16);
  const int textWidth = painter.fontMetrics().horizontalAdvance(label);
  const qreal left = button.right() - theme.scaled(8) - textWidth;
  painter.drawText(QRectF(left, button.top(), textWidth + 2, button.height()), Qt::AlignVCenter, label);
  painter.drawPixmap(QPointF(left - icon - theme.scaled(6), button.center().y() - icon / 2.0),
                     theme.pixmap(copied ? QStringLiteral("check") : QStringLiteral("copy"), Color::kText2,
                                  icon, painter.device()->devicePixelRatioF()));
}

}  // namespace quern::ui
