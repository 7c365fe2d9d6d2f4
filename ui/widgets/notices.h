// What the window tells a person by itself: a toast that goes away, a banner that stays until it is closed.
#pragma once

#include <QTimer>
#include <QWidget>
#include <functional>

#include "ui/theme/theme.h"

class QPlainTextEdit;

namespace quern::ui {

class Button;
class Label;

/// Bottom right over its parent, 4 s; may offer one action ("Undo"). Never for errors that need action.
class Toast : public QWidget {
  Q_OBJECT
 public:
  Toast(Theme& theme, QWidget* parent);
  /// Shows `text`, in place of what is shown. `action` is run when its button is pressed.
  void show(const QString& text, const QString& actionText = {}, std::function<void()> action = {});
  void place();

 protected:
  void paintEvent(QPaintEvent* event) override;
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void finish(bool act);

  Theme& theme_;
  Label* text_;
  Button* button_;
  QTimer timer_;
  std::function<void()> action_;
};

/// One sentence about something that failed, with "Details" that unfolds the technical chain.
class Banner : public QWidget {
  Q_OBJECT
 public:
  explicit Banner(Theme& theme, QWidget* parent = nullptr);
  void show(const QString& sentence, const QString& details);
  void clear();
  QString sentence() const;

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  void setUnfolded(bool unfolded);

  Theme& theme_;
  Label* icon_;
  Label* sentence_;
  Button* details_;
  Button* copy_;
  Button* close_;
  QPlainTextEdit* chain_;
};

}  // namespace quern::ui
