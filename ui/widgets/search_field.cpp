#include "ui/widgets/search_field.h"

#include <QKeyEvent>
#include <QPainter>

namespace quern::ui {

SearchField::SearchField(Theme& theme, const QString& placeholder, const QString& shortcutHint,
                         QWidget* parent)
    : QLineEdit(parent), theme_(theme), hint_(shortcutHint) {
  setPlaceholderText(placeholder);
  setAccessibleName(placeholder);
  setToolTip(hint_.isEmpty() ? placeholder : QStringLiteral("%1 (%2)").arg(placeholder, hint_));
  setClearButtonEnabled(true);
  const auto apply = [this] {
    setFont(theme_.font(TextStyle::kBody));
    setFixedHeight(theme_.scaled(32));
    setTextMargins(theme_.scaled(22), 0, 0, 0);
  };
  connect(&theme_, &Theme::changed, this, apply);
  apply();
}

void SearchField::paintEvent(QPaintEvent* event) {
  QLineEdit::paintEvent(event);
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  const int size = theme_.scaled(16);
  painter.drawPixmap(QPoint(theme_.scaled(10), (height() - size) / 2),
                     theme_.pixmap(QStringLiteral("search"), Color::kText2, size, devicePixelRatioF()));
  if (hint_.isEmpty() || !text().isEmpty()) return;
  painter.setFont(theme_.font(TextStyle::kMonoSmall));
  const int textWidth = painter.fontMetrics().horizontalAdvance(hint_);
  const QRectF box(width() - textWidth - theme_.scaled(18), (height() - theme_.scaled(20)) / 2.0,
                   textWidth + theme_.scaled(10), theme_.scaled(20));
  painter.setPen(QPen(theme_.color(Color::kLine2), 1));
  painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), 4, 4);
  painter.setPen(theme_.color(Color::kText3));
  painter.drawText(box, Qt::AlignCenter, hint_);
}

void SearchField::keyPressEvent(QKeyEvent* event) {
  if (event->key() == Qt::Key_Escape) {
    if (text().isEmpty()) {
      Q_EMIT escaped();
    } else {
      clear();
    }
    return;
  }
  if (event->key() == Qt::Key_Down) {
    Q_EMIT steppedDown();
    return;
  }
  QLineEdit::keyPressEvent(event);
}

}  // namespace quern::ui
