// The tokens' switch, 32×16: a check box to screen readers, a sliding knob to the eye.
#pragma once

#include <QCheckBox>

#include "ui/theme/theme.h"

namespace quern::ui {

class Switch : public QCheckBox {
  Q_OBJECT
 public:
  /// `name` is said by screen readers and shown as tooltip; the visible label stands beside the switch.
  Switch(Theme& theme, const QString& name, QWidget* parent = nullptr);
  QSize sizeHint() const override;

 protected:
  void paintEvent(QPaintEvent* event) override;
  bool hitButton(const QPoint& at) const override;
  void focusInEvent(QFocusEvent* event) override;
  void checkStateSet() override;

 private:
  void slide(bool on);

  Theme& theme_;
  qreal knob_ = 0;  ///< 0 off … 1 on
  bool keyboardFocus_ = false;
};

}  // namespace quern::ui
