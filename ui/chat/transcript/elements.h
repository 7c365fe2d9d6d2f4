// What a message looks like: its blocks with their places. Positions are relative to the message's content.
#pragma once

#include <QRectF>
#include <QString>
#include <memory>
#include <vector>

#include "ui/chat/highlight/highlight.h"
#include "ui/chat/markdown/blocks.h"
#include "ui/chat/transcript/text_box.h"

namespace quern::ui {

/// A box of text that can be selected, and where it stands. In code it moves with the horizontal scroll.
struct PlacedBox {
  std::unique_ptr<TextBox> box;
  QPointF at;
};

/// One laid-out block.
struct Element {
  enum class Kind { kText, kCode, kTable, kRule };
  Kind kind = Kind::kText;
  QRectF rect;
  std::vector<PlacedBox> boxes;
  int quote = 0;
  // Code
  QString language, code;
  qreal scrollX = 0, widest = 0;
  std::vector<HighlightState> states;  ///< at the start of every box of lines
  // Table
  std::vector<qreal> rowTops;
};

/// Blocks that came from one chunk of Markdown; laid out again only when the chunk's text or the width
/// changes.
struct LaidOutChunk {
  QString source;
  qreal width = -1;
  qreal height = 0;
  std::vector<Element> elements;  ///< tops relative to the chunk
  std::vector<Block> blocks;      ///< what the elements were made of: the same ones are taken over
};

/// Lays out a chunk. `previous`: what stood in its place, whose code is taken over where it begins the same.
LaidOutChunk layOutChunk(const Theme& theme, const QString& source, qreal width, TextStyle style,
                         LaidOutChunk* previous);

/// Draws everything of an element but its text's marks: frames, rules, quote bars. `origin`: the chunk's top
/// left.
void drawElementFrame(QPainter& painter, const Theme& theme, const Element& element, QPointF origin,
                      bool copied);
/// Where the Copy button of a code element is, relative to the chunk.
QRectF copyButtonRect(const Theme& theme, const Element& element);
/// The part of a code element in which lines are seen, relative to the chunk.
QRectF codeArea(const Theme& theme, const Element& element);

}  // namespace quern::ui
