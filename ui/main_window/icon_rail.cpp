#include "ui/main_window/icon_rail.h"

#include <QButtonGroup>
#include <QFocusEvent>
#include <QPainter>
#include <QToolButton>
#include <QVBoxLayout>

#include "ui/widgets/button.h"

namespace quern::ui {

namespace {

class RailButton : public QToolButton {
 public:
  RailButton(Theme& theme, QString iconName, const QString& text, QWidget* parent)
      : QToolButton(parent), theme_(theme), iconName_(std::move(iconName)) {
    setText(text);
    setCheckable(true);
    setAttribute(Qt::WA_Hover);
    setFocusPolicy(Qt::StrongFocus);
    connect(&theme_, &Theme::changed, this, [this] { updateGeometry(); });
  }
  QSize sizeHint() const override { return {theme_.scaled(72), theme_.scaled(56)}; }
  QSize minimumSizeHint() const override { return sizeHint(); }

 protected:
  void paintEvent(QPaintEvent* /*event*/) override {
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    const int inset = theme_.scaled(6);
    if (underMouse() || isDown()) {
      painter.setPen(Qt::NoPen);
      painter.setBrush(theme_.color(isDown() ? Color::kPress : Color::kHover));
      painter.drawRoundedRect(rect().adjusted(inset, 2, -inset, -2), 6, 6);
    }
    if (isChecked()) painter.fillRect(0, 0, 3, height(), theme_.color(Color::kAccent));
    const int size = theme_.scaled(20);
    painter.drawPixmap(QPoint((width() - size) / 2, theme_.scaled(9)),
                       theme_.pixmap(iconName_, isChecked() ? Color::kAccent : Color::kText2, size,
                                     devicePixelRatioF()));
    painter.setFont(theme_.font(TextStyle::kCaption));
    painter.setPen(theme_.color(isChecked() ? Color::kText : Color::kText2));
    const int top = theme_.scaled(32);
    painter.drawText(QRect(0, top, width(), theme_.scaled(18)), Qt::AlignCenter, text());
    if (ring_ && hasFocus()) {
      painter.setPen(QPen(theme_.color(Color::kAccent), 2));
      painter.setBrush(Qt::NoBrush);
      painter.drawRoundedRect(QRectF(rect()).adjusted(inset, 2, -inset, -2), 6, 6);
    }
  }
  void focusInEvent(QFocusEvent* event) override {
    ring_ = isKeyboardFocus(event->reason());
    QToolButton::focusInEvent(event);
  }

 private:
  Theme& theme_;
  QString iconName_;
  bool ring_ = false;
};

}  // namespace

IconRail::IconRail(Theme& theme, QWidget* parent)
    : Surface(theme, Color::kRail, Qt::RightEdge, parent),
      theme_(theme),
      group_(new QButtonGroup(this)),
      top_(new QVBoxLayout),
      bottom_(new QVBoxLayout) {
  setObjectName(QStringLiteral("rail"));
  setAccessibleName(tr("Pages"));
  auto* logo = new QLabel(this);
  logo->setAlignment(Qt::AlignCenter);
  logo->setAccessibleName(tr("Quern"));
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, theme.scaled(12));
  layout->setSpacing(0);
  layout->addWidget(logo);
  layout->addLayout(top_);
  layout->addStretch(1);
  layout->addLayout(bottom_);
  const auto apply = [this, logo] {
    setFixedWidth(theme_.scaled(72));
    logo->setFixedSize(theme_.scaled(71), theme_.scaled(64));
    logo->setPixmap(
        theme_.pixmap(QStringLiteral("logo"), Color::kAccent, theme_.scaled(28), devicePixelRatioF()));
  };
  connect(&theme_, &Theme::changed, this, apply);
  apply();
  connect(group_, &QButtonGroup::idClicked, this, &IconRail::pageChosen);
}

void IconRail::addPage(int page, const QString& iconName, const QString& text, const QString& shortcut,
                       bool bottom) {
  auto* button = new RailButton(theme_, iconName, text, this);
  button->setObjectName(QStringLiteral("rail_") + iconName);
  button->setAccessibleName(text);
  button->setToolTip(QStringLiteral("%1 (%2)").arg(text, shortcut));
  group_->addButton(button, page);
  (bottom ? bottom_ : top_)->addWidget(button);
}

void IconRail::setCurrent(int page) {
  if (QAbstractButton* button = group_->button(page)) button->setChecked(true);
}

}  // namespace quern::ui
