// The tokens' slider (groove 4, handle 14 with an accent ring) and the row of a form that has one beside a
// number field.
#pragma once

#include <QDoubleSpinBox>
#include <QSlider>
#include <functional>

#include "ui/theme/theme.h"

namespace quern::ui {

class Label;

class Slider : public QSlider {
  Q_OBJECT
 public:
  explicit Slider(Theme& theme, QWidget* parent = nullptr);
  QSize sizeHint() const override;

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void wheelEvent(QWheelEvent* event) override;  ///< left to the panel, so that scrolling changes no value
  void focusInEvent(QFocusEvent* event) override;
  void focusOutEvent(QFocusEvent* event) override;

 private:
  int valueAt(int x) const;

  Theme& theme_;
  bool keyboardFocus_ = false;
};

/// A number field that takes the wheel only while it has the focus, and groups its digits.
class NumberField : public QDoubleSpinBox {
  Q_OBJECT
 public:
  explicit NumberField(Theme& theme, QWidget* parent = nullptr);

 protected:
  void wheelEvent(QWheelEvent* event) override;
};

/// What a number row may hold. With `scale`, the slider moves along that curve instead of linearly.
struct NumberSpec {
  QString objectName;
  QString label;
  QString help;  ///< tooltip
  double minimum = 0;
  double maximum = 1;
  double step = 0.01;
  int decimals = 2;
  bool logarithmic = false;
};

/// Label, slider and number field that say the same number.
class NumberRow : public QWidget {
  Q_OBJECT
 public:
  NumberRow(Theme& theme, NumberSpec spec, QWidget* parent = nullptr);

  double value() const;
  void setValue(double value);  ///< emits nothing
  void setMaximum(double maximum);
  NumberField* field() const { return field_; }

 Q_SIGNALS:
  void edited(double value);  ///< by a person

 private:
  void applyTheme();
  int toSlider(double value) const;
  double fromSlider(int position) const;

  Theme& theme_;
  NumberSpec spec_;
  Label* label_;
  Slider* slider_;
  NumberField* field_;
};

}  // namespace quern::ui
