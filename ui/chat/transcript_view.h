// Draws a chat: virtualised (only rows near the viewport are laid out), streaming Markdown whose finished
// blocks are frozen, hover actions, versions, selection and copy. UI thread only.
#pragma once

#include <QAbstractScrollArea>
#include <QUrl>
#include <memory>

#include "engine/store/store.h"
#include "ui/theme/theme.h"

namespace quern::ui {

class TranscriptModel;

class TranscriptView : public QAbstractScrollArea {
  Q_OBJECT
 public:
  explicit TranscriptView(Theme& theme, QWidget* parent = nullptr);
  ~TranscriptView() override;
  void setModel(TranscriptModel* model);  ///< not owned
  /// Scrolls to a message and marks it for a moment (a search result).
  void revealMessage(engine::store::Id id, const QString& words = {});
  /// Find within the chat (Ctrl+F): number of matches; next() and previous() step through them.
  int find(const QString& words);
  void findNext(bool forward);

  /// Rows whose text is laid out at the moment: what virtualisation bounds.
  int laidOutRows() const;
  /// Goes to the newest message and stays there while text comes.
  void scrollToEnd();

 Q_SIGNALS:
  void copyRequested(engine::store::Id id);  ///< the whole message as Markdown
  void editRequested(engine::store::Id id);
  void regenerateRequested(engine::store::Id id);
  void branchRequested(engine::store::Id id);
  void continueRequested(engine::store::Id id);
  void deleteRequested(engine::store::Id id);
  void versionRequested(engine::store::Id id, int delta);  ///< −1 or +1
  void linkActivated(const QUrl& url);

 protected:
  void paintEvent(QPaintEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void mouseDoubleClickEvent(QMouseEvent* event) override;
  void wheelEvent(QWheelEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  void contextMenuEvent(QContextMenuEvent* event) override;
  void scrollContentsBy(int dx, int dy) override;
  void focusInEvent(QFocusEvent* event) override;
  void focusOutEvent(QFocusEvent* event) override;
  bool focusNextPrevChild(bool next) override;
  bool viewportEvent(QEvent* event) override;

 private:
  class Private;
  std::unique_ptr<Private> d_;
};

}  // namespace quern::ui
