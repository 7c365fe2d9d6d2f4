#include "ui/chat/context_meter.h"

#include <QLocale>
#include <QPainter>

namespace quern::ui {

namespace {
constexpr int kWarnPercent = 80;
constexpr int kErrorPercent = 95;
}  // namespace

ContextMeter::ContextMeter(Theme& theme, QWidget* parent) : QWidget(parent), theme_(theme) {
  setObjectName(QStringLiteral("contextMeter"));
  setSizePolicy(QSizePolicy::Fixed, QSizePolicy::Fixed);
  connect(&theme_, &Theme::changed, this, [this] {
    updateGeometry();
    update();
  });
  setContext(0, 0);
}

void ContextMeter::setContext(int used, int limit) {
  used_ = used;
  limit_ = limit;
  setVisible(limit > 0);
  setAccessibleName(text());
  const QLocale locale;
  setToolTip(
      percent() >= kErrorPercent
          ? tr("The context is nearly full: start a new chat or raise the context and reload the model.")
          : tr("%1 of %2 tokens of the model's context are used by this chat")
                .arg(locale.toString(used), locale.toString(limit)));
  updateGeometry();
  update();
}

int ContextMeter::percent() const { return limit_ > 0 ? int(qint64(used_) * 100 / limit_) : 0; }

QString ContextMeter::text() const {
  return tr("Context %1 % of %2").arg(QString::number(percent()), QLocale().toString(limit_));
}

QSize ContextMeter::sizeHint() const {
  const QFontMetrics metrics(theme_.font(TextStyle::kSmall));
  return {theme_.scaled(72) + metrics.horizontalAdvance(text()) + 2, theme_.scaled(24)};
}

void ContextMeter::paintEvent(QPaintEvent* /*event*/) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  const qreal barWidth = theme_.scaled(64);
  const qreal barHeight = theme_.scaled(4);
  const QRectF track(0, (height() - barHeight) / 2, barWidth, barHeight);
  painter.setPen(Qt::NoPen);
  painter.setBrush(theme_.color(Color::kPress));
  painter.drawRoundedRect(track, 2, 2);
  const int full = percent();
  const Color color = full >= kErrorPercent  ? Color::kError
                      : full >= kWarnPercent ? Color::kWarn
                                             : Color::kAccent;
  painter.setBrush(theme_.color(color));
  QRectF used = track;
  used.setWidth(barWidth * std::min(100, full) / 100);
  painter.drawRoundedRect(used, 2, 2);
  painter.setFont(theme_.font(TextStyle::kSmall));
  painter.setPen(theme_.color(full >= kWarnPercent ? color : Color::kText2));
  painter.drawText(rect().adjusted(theme_.scaled(72), 0, 0, 0), Qt::AlignVCenter | Qt::AlignLeft, text());
}

}  // namespace quern::ui
