// The one push button of the window, painted from the tokens: primary, secondary, ghost and danger; text,
// icon or both.
#pragma once

#include <QPushButton>

#include "ui/theme/theme.h"

namespace quern::ui {

/// Painted by itself, so that hover, press, disabled and keyboard focus look the same on every surface.
class Button : public QPushButton {
  Q_OBJECT
 public:
  enum class Kind { kPrimary, kSecondary, kGhost, kDanger };
  /// `iconName` is a file of resources/icons without ".svg", or empty.
  Button(Theme& theme, Kind kind, const QString& text, const QString& iconName, QWidget* parent = nullptr);

  void setKind(Kind kind);
  void setIconName(const QString& name);
  /// 24 high instead of 32.
  void setCompact(bool compact);
  /// A chevron at the right end, for buttons that open a menu.
  void setChevron(bool chevron);

  QSize sizeHint() const override;
  QSize minimumSizeHint() const override;

 protected:
  void paintEvent(QPaintEvent* event) override;
  void focusInEvent(QFocusEvent* event) override;
  void focusOutEvent(QFocusEvent* event) override;

 private:
  QColor fill() const;
  QColor foreground() const;

  Theme& theme_;
  Kind kind_;
  QString iconName_;
  bool compact_ = false;
  bool chevron_ = false;
  bool keyboardFocus_ = false;
};

/// A ghost button that is only an icon: `name` becomes its accessible name and, with the shortcut, its
/// tooltip.
Button* makeIconButton(Theme& theme, const QString& iconName, const QString& name, const QString& shortcut,
                       QWidget* parent);

/// Whether focus that arrived for this reason shows its ring: Tab, shortcuts and code, never the mouse.
bool isKeyboardFocus(Qt::FocusReason reason);

}  // namespace quern::ui
