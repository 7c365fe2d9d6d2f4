// The composer's text field: grows from 1 to 8 lines, Enter sends, Shift+Enter breaks the line.
#pragma once

#include <QPlainTextEdit>

#include "ui/theme/theme.h"

namespace quern::ui {

class ComposerEdit : public QPlainTextEdit {
  Q_OBJECT
 public:
  explicit ComposerEdit(Theme& theme, QWidget* parent = nullptr);

 Q_SIGNALS:
  void submitted();
  void upInEmpty();
  void escaped();
  void focusMoved();
  void filesDropped(const QStringList& paths);

 protected:
  void keyPressEvent(QKeyEvent* event) override;
  void focusInEvent(QFocusEvent* event) override;
  void focusOutEvent(QFocusEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  bool canInsertFromMimeData(const QMimeData* source) const override;
  void insertFromMimeData(const QMimeData* source) override;

 private:
  void fit();

  Theme& theme_;
};

}  // namespace quern::ui
