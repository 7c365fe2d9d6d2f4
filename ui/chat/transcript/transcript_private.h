// What the transcript view keeps: which rows are laid out, how high the others are thought to be, what is
// selected.
#pragma once

#include <QElapsedTimer>
#include <QPoint>
#include <QSet>
#include <QTimer>
#include <memory>
#include <optional>
#include <vector>

#include "ui/chat/transcript/message_layout.h"
#include "ui/chat/transcript_model.h"
#include "ui/chat/transcript_view.h"

class QContextMenuEvent;

namespace quern::ui {

class Button;

class TranscriptView::Private {
 public:
  Private(TranscriptView& view, Theme& theme);

  /// A place in the text: row, box, character.
  struct Position {
    int row = -1;
    int box = 0;
    int character = 0;
    auto operator<=>(const Position&) const = default;
  };

  // Rows (transcript_rows.cpp)
  void reset();
  void rememberPlace();  ///< before reset(): messages that stay keep their place on the screen
  void placeJump();
  void rowsInserted(int first, int last);
  void rowChanged(int row);
  void lastRowGrew();
  void layOutAll();             ///< width, theme or text size changed
  void ensureVisibleLaidOut();  ///< lays out what is seen; the first row that is seen stays where it is
  qreal rowTop(int row) const;
  int rowAt(qreal y) const;  ///< y from the content's top
  qreal contentHeight() const;
  qreal columnWidth() const;
  MessageLayout& layoutOf(int row);
  MessageLayout::View viewOf(int row) const;
  void updateScrollBar();
  bool isAtEnd() const;
  void scrollToEnd();
  void setOffset(qreal offset);
  void scrollToStart();  ///< to the very top, whatever is measured on the way
  qreal offset() const { return offset_; }
  QPointF rowOrigin(int row) const;  ///< in the viewport
  int laidOutRows() const;

  // Painting (transcript_paint.cpp)
  void paint(QPainter& painter, const QRect& exposed);
  std::vector<Mark> marksFor(int row, int box, const QString& text) const;

  // A person's hands (transcript_input.cpp)
  void mousePress(QMouseEvent* event);
  void mouseMove(QMouseEvent* event);
  void mouseRelease(QMouseEvent* event);
  void mouseDoubleClick(QMouseEvent* event);
  void wheel(QWheelEvent* event);
  bool key(QKeyEvent* event);
  void menu(QContextMenuEvent* event);
  void activate(int row, const Target& target);
  bool stepTarget(bool forward);
  Position positionAt(QPointF point);
  QString selectedText() const;
  void copySelection() const;

  TranscriptView& view_;
  Theme& theme_;
  TranscriptModel* model_ = nullptr;
  Button* jump_ = nullptr;

  struct Row {
    qreal height = 0;
    bool known = false;  ///< the height is measured, not estimated
    std::unique_ptr<MessageLayout> layout;
  };
  std::vector<Row> rows_;
  struct Place {
    engine::store::Id id;
    qreal y;  ///< of the row's top in the viewport
  };
  std::vector<Place> places_;
  engine::store::Id lastId_ = 0;
  qreal offset_ = 0;   ///< of the content above the viewport
  qreal wanted_ = -1;  ///< the offset before rows went, for when others take their place; −1: none
  bool stick_ = true;  ///< stay at the end while text comes
  bool settingBar_ = false;
  QSet<engine::store::Id> openThoughts_, openDetails_;

  int hoveredRow_ = -1;
  int focusedRow_ = -1;
  int focusedTarget_ = -1;
  int pressedRow_ = -1;
  int pressedTarget_ = -1;
  QString pressedLink_;
  bool selecting_ = false;
  Position anchor_, cursor_;

  QString words_;
  struct Match {
    int row;
    int occurrence;
  };
  std::vector<Match> matches_;
  int currentMatch_ = -1;
  MessageLayout::Found foundAt_;  ///< the current match in its row
  int markedRow_ = -1;
  QTimer markTimer_, copiedTimer_;
  int copiedRow_ = -1, copiedChunk_ = -1, copiedElement_ = -1;
};

}  // namespace quern::ui
