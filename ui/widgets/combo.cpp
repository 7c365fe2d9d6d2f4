#include "ui/widgets/combo.h"

#include <QPainter>
#include <QWheelEvent>

namespace quern::ui {

Combo::Combo(Theme& theme, QWidget* parent) : QComboBox(parent), theme_(theme) {
  setFocusPolicy(Qt::StrongFocus);
  connect(&theme_, &Theme::changed, this, [this] { update(); });
}

void Combo::paintEvent(QPaintEvent* event) {
  QComboBox::paintEvent(event);
  QPainter painter(this);
  const int size = theme_.scaled(14);
  painter.drawPixmap(QPoint(width() - size - theme_.scaled(6), (height() - size) / 2),
                     theme_.pixmap(QStringLiteral("down"), isEnabled() ? Color::kText2 : Color::kDisabled,
                                   size, devicePixelRatioF()));
}

void Combo::wheelEvent(QWheelEvent* event) { event->ignore(); }

}  // namespace quern::ui
