#include "ui/widgets/switch.h"

#include <QFocusEvent>
#include <QPainter>
#include <QVariantAnimation>

#include "ui/widgets/button.h"

namespace quern::ui {

Switch::Switch(Theme& theme, const QString& name, QWidget* parent) : QCheckBox(parent), theme_(theme) {
  setAccessibleName(name);
  setToolTip(name);
  setSizePolicy(QSizePolicy::Fixed, QSizePolicy::Fixed);
  connect(this, &QCheckBox::toggled, this, &Switch::slide);
  connect(&theme_, &Theme::changed, this, [this] {
    updateGeometry();
    update();
  });
}

QSize Switch::sizeHint() const { return {theme_.scaled(36), theme_.scaled(24)}; }

bool Switch::hitButton(const QPoint& at) const { return rect().contains(at); }

/// Also who blocks this switch's signals sees the knob where it belongs.
void Switch::checkStateSet() {
  QCheckBox::checkStateSet();
  if (!signalsBlocked()) return;
  knob_ = isChecked() ? 1 : 0;
  update();
}

void Switch::slide(bool on) {
  const qreal end = on ? 1 : 0;
  if (theme_.reduceMotion() || !isVisible()) {
    knob_ = end;
    update();
    return;
  }
  auto* motion = new QVariantAnimation(this);
  motion->setDuration(120);
  motion->setStartValue(knob_);
  motion->setEndValue(end);
  connect(motion, &QVariantAnimation::valueChanged, this, [this](const QVariant& value) {
    knob_ = value.toReal();
    update();
  });
  motion->start(QAbstractAnimation::DeleteWhenStopped);
}

void Switch::paintEvent(QPaintEvent* /*event*/) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  const qreal w = theme_.scaled(32);
  const qreal h = theme_.scaled(16);
  const QRectF track((width() - w) / 2, (height() - h) / 2, w, h);
  const bool on = isChecked();
  painter.setPen(on ? Qt::NoPen : QPen(theme_.color(isEnabled() ? Color::kControl : Color::kLine), 1));
  painter.setBrush(theme_.color(!isEnabled() ? Color::kPress : on ? Color::kAccent : Color::kField));
  painter.drawRoundedRect(on ? track : track.adjusted(0.5, 0.5, -0.5, -0.5), h / 2, h / 2);
  const qreal radius = h / 2 - 3;
  const qreal x = track.left() + h / 2 + (w - h) * knob_;
  painter.setPen(Qt::NoPen);
  painter.setBrush(theme_.color(on ? Color::kOnAccent : Color::kText2));
  painter.drawEllipse(QPointF(x, track.center().y()), radius, radius);
  if (keyboardFocus_ && hasFocus()) {
    painter.setPen(QPen(theme_.color(Color::kAccent), 2));
    painter.setBrush(Qt::NoBrush);
    painter.drawRoundedRect(QRectF(rect()).adjusted(1, 1, -1, -1), h / 2, h / 2);
  }
}

void Switch::focusInEvent(QFocusEvent* event) {
  keyboardFocus_ = isKeyboardFocus(event->reason());
  QCheckBox::focusInEvent(event);
}

}  // namespace quern::ui
