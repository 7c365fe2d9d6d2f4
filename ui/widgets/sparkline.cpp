#include "ui/widgets/sparkline.h"

#include <QPainter>
#include <QPainterPath>
#include <algorithm>

namespace quern::ui {

Sparkline::Sparkline(Theme& theme, Color series, int points, QWidget* parent)
    : QWidget(parent), theme_(theme), series_(series), points_(std::size_t(points)) {
  const auto apply = [this] { setFixedSize(theme_.scaled(72), theme_.scaled(20)); };
  connect(&theme_, &Theme::changed, this, apply);
  apply();
}

void Sparkline::push(double value) {
  values_.push_back(value);
  while (values_.size() > points_) values_.pop_front();
  update();
}

void Sparkline::setCeiling(double ceiling) { ceiling_ = ceiling; }

void Sparkline::paintEvent(QPaintEvent* /*event*/) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  const qreal bottom = height() - 1;
  painter.setPen(QPen(theme_.color(Color::kLine2), 1));
  painter.drawLine(QPointF(0, bottom), QPointF(width(), bottom));
  if (values_.size() < 2) return;
  double top = ceiling_;
  for (const double value : values_) top = std::max(top, value);
  if (top <= 0) return;
  const qreal step = qreal(width()) / qreal(points_ - 1);
  qreal x = width() - step * qreal(values_.size() - 1);
  QPainterPath line;
  QPainterPath area;
  area.moveTo(x, bottom);
  for (std::size_t i = 0; i < values_.size(); ++i, x += step) {
    const QPointF point(x, bottom - values_[i] / top * (height() - 3));
    if (i == 0) {
      line.moveTo(point);
    } else {
      line.lineTo(point);
    }
    area.lineTo(point);
  }
  area.lineTo(width(), bottom);
  QColor fill = theme_.color(series_);
  fill.setAlphaF(0.3F);
  painter.fillPath(area, fill);
  painter.setPen(QPen(theme_.color(series_), 1.5));
  painter.drawPath(line);
}

MemoryBar::MemoryBar(Theme& theme, QWidget* parent) : QWidget(parent), theme_(theme) {
  setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
  connect(&theme_, &Theme::changed, this, [this] {
    updateGeometry();
    update();
  });
}

void MemoryBar::setParts(std::vector<Part> parts) {
  parts_ = std::move(parts);
  update();
}

QSize MemoryBar::sizeHint() const { return {theme_.scaled(100), theme_.scaled(8)}; }

void MemoryBar::paintEvent(QPaintEvent* /*event*/) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  QPainterPath frame;
  frame.addRoundedRect(rect(), height() / 2.0, height() / 2.0);
  painter.setClipPath(frame);
  painter.fillRect(rect(), theme_.color(Color::kFree));
  double sum = 0;
  for (const Part& part : parts_) sum += part.amount;
  if (sum <= 0) return;
  qreal x = 0;
  for (const Part& part : parts_) {
    const qreal share = part.amount / sum * width();
    painter.fillRect(QRectF(x, 0, std::max(0.0, share - 1), height()), theme_.color(part.color));
    x += share;
  }
}

}  // namespace quern::ui
