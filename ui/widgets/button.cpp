#include "ui/widgets/button.h"

#include <QFocusEvent>
#include <QPainter>

namespace quern::ui {

namespace {
// Beside words an icon is 16, alone it is 20.
constexpr int kInlineIcon = 16;
constexpr int kLoneIcon = 20;
}  // namespace

bool isKeyboardFocus(Qt::FocusReason reason) {
  return reason == Qt::TabFocusReason || reason == Qt::BacktabFocusReason ||
         reason == Qt::ShortcutFocusReason || reason == Qt::OtherFocusReason;
}

Button::Button(Theme& theme, Kind kind, const QString& text, const QString& iconName, QWidget* parent)
    : QPushButton(text, parent), theme_(theme), kind_(kind), iconName_(iconName) {
  setAttribute(Qt::WA_Hover);
  setSizePolicy(QSizePolicy::Fixed, QSizePolicy::Fixed);
  connect(&theme_, &Theme::changed, this, [this] {
    updateGeometry();
    update();
  });
}

void Button::setKind(Kind kind) {
  kind_ = kind;
  update();
}

void Button::setIconName(const QString& name) {
  iconName_ = name;
  updateGeometry();
  update();
}

void Button::setCompact(bool compact) {
  compact_ = compact;
  updateGeometry();
}

void Button::setChevron(bool chevron) {
  chevron_ = chevron;
  updateGeometry();
}

QSize Button::sizeHint() const {
  const int height = theme_.scaled(compact_ ? 24 : 32);
  const int icon = theme_.scaled(kInlineIcon);
  if (text().isEmpty()) return {height, height};
  const QFontMetrics metrics(theme_.font(TextStyle::kBodyMedium));
  int width = metrics.horizontalAdvance(text()) + theme_.scaled(compact_ ? 16 : 28);
  if (!iconName_.isEmpty()) width += icon + theme_.scaled(8);
  if (chevron_) width += icon + theme_.scaled(6);
  return {width, height};
}

QSize Button::minimumSizeHint() const { return sizeHint(); }

QColor Button::fill() const {
  const bool hovered = isEnabled() && underMouse();
  const bool pressed = isEnabled() && (isDown() || isChecked());
  switch (kind_) {
    case Kind::kPrimary:
      if (!isEnabled()) return theme_.color(Color::kPress);
      if (isDown()) return theme_.color(Color::kAccentPress);
      return theme_.color(hovered ? Color::kAccentHover : Color::kAccent);
    case Kind::kSecondary:
    case Kind::kDanger:
      if (pressed) return theme_.color(Color::kPress);
      return theme_.color(hovered ? Color::kHover : Color::kCard);
    case Kind::kGhost:
      if (pressed) return theme_.color(Color::kPress);
      return hovered ? theme_.color(Color::kHover) : QColor(Qt::transparent);
  }
  return {};
}

QColor Button::foreground() const {
  if (!isEnabled()) return theme_.color(Color::kDisabled);
  if (kind_ == Kind::kPrimary) return theme_.color(Color::kOnAccent);
  if (kind_ == Kind::kDanger) return theme_.color(Color::kError);
  return theme_.color(Color::kText);
}

void Button::paintEvent(QPaintEvent* /*event*/) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  const qreal radius = theme_.scaled(compact_ ? 4 : 6);
  painter.setPen(Qt::NoPen);
  painter.setBrush(fill());
  painter.drawRoundedRect(rect(), radius, radius);
  const bool ring = keyboardFocus_ && hasFocus();
  if (ring) {
    // On the accent itself the ring takes the text's colour, else nobody would see it.
    painter.setPen(QPen(theme_.color(kind_ == Kind::kPrimary ? Color::kText : Color::kAccent), 2));
    painter.setBrush(Qt::NoBrush);
    painter.drawRoundedRect(QRectF(rect()).adjusted(1, 1, -1, -1), radius - 1, radius - 1);
  } else if (kind_ == Kind::kSecondary || kind_ == Kind::kDanger) {
    painter.setPen(QPen(theme_.color(isEnabled() ? Color::kLine2 : Color::kLine), 1));
    painter.setBrush(Qt::NoBrush);
    painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), radius, radius);
  }

  const int icon = theme_.scaled(text().isEmpty() && !compact_ ? kLoneIcon : kInlineIcon);
  const qreal ratio = devicePixelRatioF();
  const auto drawIcon = [&](const QString& name, QPoint at, int size) {
    Color tint = isChecked() ? Color::kText : Color::kText2;
    if (kind_ == Kind::kPrimary) tint = Color::kOnAccent;
    if (kind_ == Kind::kDanger) tint = Color::kError;
    if (!isEnabled()) tint = Color::kDisabled;
    painter.drawPixmap(at, theme_.pixmap(name, tint, size, ratio));
  };
  if (text().isEmpty()) {
    drawIcon(iconName_, {(width() - icon) / 2, (height() - icon) / 2}, icon);
    return;
  }
  QFont font = theme_.font(compact_ ? TextStyle::kSmall : TextStyle::kBodyMedium);
  painter.setFont(font);
  const QFontMetrics metrics(font);
  int content = metrics.horizontalAdvance(text());
  if (!iconName_.isEmpty()) content += icon + theme_.scaled(8);
  if (chevron_) content += icon + theme_.scaled(6);
  int x = std::max(theme_.scaled(8), (width() - content) / 2);
  if (!iconName_.isEmpty()) {
    drawIcon(iconName_, {x, (height() - icon) / 2}, icon);
    x += icon + theme_.scaled(8);
  }
  painter.setPen(foreground());
  const int right = width() - theme_.scaled(8) - (chevron_ ? icon + theme_.scaled(6) : 0);
  const QString shown = metrics.elidedText(text(), Qt::ElideRight, std::max(0, right - x) + 4);
  painter.drawText(QRect(x, 0, right - x + 4, height()),
                   Qt::AlignVCenter | Qt::AlignLeft | Qt::TextHideMnemonic, shown);
  if (chevron_) {
    x += metrics.horizontalAdvance(shown) + theme_.scaled(6);
    drawIcon(QStringLiteral("down"), {x, (height() - icon) / 2}, icon);
  }
}

void Button::focusInEvent(QFocusEvent* event) {
  keyboardFocus_ = isKeyboardFocus(event->reason());
  QPushButton::focusInEvent(event);
}

void Button::focusOutEvent(QFocusEvent* event) {
  keyboardFocus_ = false;
  QPushButton::focusOutEvent(event);
}

Button* makeIconButton(Theme& theme, const QString& iconName, const QString& name, const QString& shortcut,
                       QWidget* parent) {
  auto* button = new Button(theme, Button::Kind::kGhost, {}, iconName, parent);
  button->setAccessibleName(name);
  button->setToolTip(shortcut.isEmpty() ? name : QStringLiteral("%1 (%2)").arg(name, shortcut));
  return button;
}

}  // namespace quern::ui
