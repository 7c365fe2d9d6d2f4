#include "ui/widgets/slider.h"

#include <QFocusEvent>
#include <QHBoxLayout>
#include <QMouseEvent>
#include <QPainter>
#include <QSignalBlocker>
#include <QWheelEvent>
#include <cmath>

#include "ui/widgets/button.h"
#include "ui/widgets/surface.h"

namespace quern::ui {

namespace {
constexpr int kHandle = 14;
constexpr int kGroove = 4;
// Positions of a slider; fine enough for 0.01 steps over any range of the panel.
constexpr int kPositions = 1000;
}  // namespace

Slider::Slider(Theme& theme, QWidget* parent) : QSlider(Qt::Horizontal, parent), theme_(theme) {
  setAttribute(Qt::WA_Hover);
  setFocusPolicy(Qt::StrongFocus);
  connect(&theme_, &Theme::changed, this, [this] { update(); });
}

QSize Slider::sizeHint() const { return {theme_.scaled(96), theme_.scaled(24)}; }

void Slider::paintEvent(QPaintEvent* /*event*/) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(Qt::NoPen);
  const qreal handle = theme_.scaled(kHandle);
  const qreal groove = theme_.scaled(kGroove);
  const qreal span = width() - handle;
  const qreal share = maximum() > minimum() ? double(value() - minimum()) / (maximum() - minimum()) : 0;
  const qreal x = handle / 2 + span * share;
  const qreal y = height() / 2.0;
  const QColor accent = theme_.color(isEnabled() ? Color::kAccent : Color::kDisabled);
  painter.setBrush(theme_.color(Color::kPress));
  painter.drawRoundedRect(QRectF(0, y - groove / 2, width(), groove), groove / 2, groove / 2);
  painter.setBrush(accent);
  painter.drawRoundedRect(QRectF(0, y - groove / 2, x, groove), groove / 2, groove / 2);
  if (keyboardFocus_ && hasFocus()) {
    painter.setBrush(Qt::NoBrush);
    painter.setPen(QPen(theme_.color(Color::kAccent), 2));
    painter.drawEllipse(QPointF(x, y), handle / 2 + 2, handle / 2 + 2);
  }
  painter.setPen(QPen(accent, 3));
  painter.setBrush(theme_.color(underMouse() && isEnabled() ? Color::kAccentHover : Color::kText));
  painter.drawEllipse(QPointF(x, y), handle / 2 - 1.5, handle / 2 - 1.5);
}

int Slider::valueAt(int x) const {
  const double handle = theme_.scaled(kHandle);
  const double share = (x - handle / 2) / std::max(1.0, width() - handle);
  return minimum() + int(std::lround(std::clamp(share, 0.0, 1.0) * (maximum() - minimum())));
}

void Slider::mousePressEvent(QMouseEvent* event) {
  if (event->button() != Qt::LeftButton) return;
  setSliderDown(true);
  setValue(valueAt(int(event->position().x())));
}

void Slider::mouseMoveEvent(QMouseEvent* event) {
  if (isSliderDown()) setValue(valueAt(int(event->position().x())));
}

void Slider::mouseReleaseEvent(QMouseEvent* /*event*/) { setSliderDown(false); }

void Slider::wheelEvent(QWheelEvent* event) { event->ignore(); }

void Slider::focusInEvent(QFocusEvent* event) {
  keyboardFocus_ = isKeyboardFocus(event->reason());
  QSlider::focusInEvent(event);
}

void Slider::focusOutEvent(QFocusEvent* event) {
  keyboardFocus_ = false;
  QSlider::focusOutEvent(event);
}

NumberField::NumberField(Theme& theme, QWidget* parent) : QDoubleSpinBox(parent) {
  setButtonSymbols(QAbstractSpinBox::NoButtons);
  setAlignment(Qt::AlignRight | Qt::AlignVCenter);
  setGroupSeparatorShown(true);
  setFocusPolicy(Qt::StrongFocus);
  setKeyboardTracking(false);
  const auto apply = [this, &theme] {
    setFont(theme.font(TextStyle::kMonoSmall));
    setFixedSize(theme.scaled(64), theme.scaled(24));  // 131,072 fits
  };
  connect(&theme, &Theme::changed, this, apply);
  apply();
}

void NumberField::wheelEvent(QWheelEvent* event) {
  if (hasFocus()) {
    QDoubleSpinBox::wheelEvent(event);
  } else {
    event->ignore();
  }
}

NumberRow::NumberRow(Theme& theme, NumberSpec spec, QWidget* parent)
    : QWidget(parent),
      theme_(theme),
      spec_(std::move(spec)),
      label_(new Label(theme, spec_.label, TextStyle::kSmall, Color::kText2, this)),
      slider_(new Slider(theme, this)),
      field_(new NumberField(theme, this)) {
  setObjectName(spec_.objectName + QStringLiteral("Row"));
  auto* layout = new QHBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->setSpacing(theme_.scaled(12));
  layout->addWidget(label_);
  layout->addWidget(slider_, 1);
  layout->addWidget(field_);

  field_->setObjectName(spec_.objectName);
  field_->setAccessibleName(spec_.label);
  field_->setDecimals(spec_.decimals);
  field_->setRange(spec_.minimum, spec_.maximum);
  field_->setSingleStep(spec_.step);
  slider_->setObjectName(spec_.objectName + QStringLiteral("Slider"));
  slider_->setAccessibleName(tr("%1, slider").arg(spec_.label));
  slider_->setRange(0, kPositions);
  label_->setBuddy(field_);
  setToolTip(spec_.help);
  // One arrow key is one step of the number, a Page key ten.
  const int single =
      spec_.logarithmic
          ? kPositions / 50
          : std::max(1, int(std::lround(kPositions * spec_.step / (spec_.maximum - spec_.minimum))));
  slider_->setSingleStep(single);
  slider_->setPageStep(single * 10);

  connect(slider_, &QSlider::valueChanged, this, [this](int position) {
    const double value = fromSlider(position);
    const QSignalBlocker blocker(field_);
    field_->setValue(value);
    Q_EMIT edited(field_->value());
  });
  connect(field_, &QDoubleSpinBox::valueChanged, this, [this](double number) {
    const QSignalBlocker blocker(slider_);
    slider_->setValue(toSlider(number));
    Q_EMIT edited(number);
  });
  connect(&theme_, &Theme::changed, this, [this] { applyTheme(); });
  applyTheme();
}

void NumberRow::applyTheme() {
  label_->setFixedWidth(theme_.scaled(96));
  setFixedHeight(theme_.scaled(32));
}

double NumberRow::value() const { return field_->value(); }

void NumberRow::setValue(double value) {
  const QSignalBlocker one(field_);
  const QSignalBlocker two(slider_);
  field_->setValue(value);
  slider_->setValue(toSlider(field_->value()));
}

void NumberRow::setMaximum(double maximum) {
  const double before = value();
  spec_.maximum = std::max(spec_.minimum + spec_.step, maximum);
  const QSignalBlocker blocker(field_);
  field_->setMaximum(spec_.maximum);
  setValue(before);
}

int NumberRow::toSlider(double value) const {
  const double low = spec_.minimum;
  const double high = spec_.maximum;
  if (!spec_.logarithmic) return int(std::lround((value - low) / (high - low) * kPositions));
  return int(std::lround(std::log((value - low) + 1) / std::log(high - low + 1) * kPositions));
}

double NumberRow::fromSlider(int position) const {
  const double low = spec_.minimum;
  const double high = spec_.maximum;
  const double share = double(position) / kPositions;
  const double raw =
      spec_.logarithmic ? std::expm1(std::log(high - low + 1) * share) + low : low + (high - low) * share;
  return std::clamp(std::round(raw / spec_.step) * spec_.step, low, high);
}

}  // namespace quern::ui
