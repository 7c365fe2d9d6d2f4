#include "ui/widgets/surface.h"

#include <QFocusEvent>
#include <QHBoxLayout>
#include <QPainter>
#include <QPushButton>
#include <QVBoxLayout>

#include "ui/widgets/button.h"

namespace quern::ui {

Surface::Surface(Theme& theme, Color ground, Qt::Edges edges, QWidget* parent)
    : QWidget(parent), theme_(theme), ground_(ground), edges_(edges) {
  connect(&theme_, &Theme::changed, this, [this] { update(); });
}

void Surface::paintEvent(QPaintEvent* /*event*/) {
  QPainter painter(this);
  painter.fillRect(rect(), theme_.color(ground_));
  const QColor line = theme_.color(Color::kLine);
  if (edges_ & Qt::LeftEdge) painter.fillRect(0, 0, 1, height(), line);
  if (edges_ & Qt::RightEdge) painter.fillRect(width() - 1, 0, 1, height(), line);
  if (edges_ & Qt::TopEdge) painter.fillRect(0, 0, width(), 1, line);
  if (edges_ & Qt::BottomEdge) painter.fillRect(0, height() - 1, width(), 1, line);
}

Label::Label(Theme& theme, const QString& text, TextStyle style, Color color, QWidget* parent)
    : QLabel(text, parent), theme_(theme), style_(style), color_(color) {
  setTextFormat(Qt::PlainText);
  connect(&theme_, &Theme::changed, this, [this] { applyTheme(); });
  applyTheme();
}

void Label::setColor(Color color) {
  color_ = color;
  applyTheme();
}

void Label::setStyle(TextStyle style) {
  style_ = style;
  applyTheme();
}

void Label::setElided(bool elided) {
  elided_ = elided;
  // Preferred may shrink down to the minimum, which is nothing for an elided label.
  updateGeometry();
}

QSize Label::minimumSizeHint() const {
  return elided_ ? QSize(0, QLabel::minimumSizeHint().height()) : QLabel::minimumSizeHint();
}

void Label::applyTheme() {
  setFont(theme_.font(style_));
  QPalette colors = palette();
  colors.setColor(QPalette::WindowText, theme_.color(color_));
  colors.setColor(QPalette::Text, theme_.color(color_));
  setPalette(colors);
  update();
}

void Label::paintEvent(QPaintEvent* event) {
  if (wordWrap() || textInteractionFlags() != Qt::LinksAccessibleByMouse || textFormat() != Qt::PlainText) {
    QLabel::paintEvent(event);
    return;
  }
  QPainter painter(this);
  painter.setFont(theme_.font(style_));
  painter.setPen(theme_.color(isEnabled() ? color_ : Color::kDisabled));
  const QRect area = contentsRect();
  const QString shown =
      elided_ ? painter.fontMetrics().elidedText(text(), Qt::ElideRight, area.width()) : text();
  painter.drawText(area, int(alignment()) | Qt::TextHideMnemonic, shown);
}

namespace {

/// The clickable title of a section: chevron, then words.
class SectionToggle : public QPushButton {
 public:
  SectionToggle(Theme& theme, const QString& title, QWidget* parent)
      : QPushButton(title, parent), theme_(theme) {
    setCheckable(true);
    setChecked(true);
    setAttribute(Qt::WA_Hover);
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    connect(&theme_, &Theme::changed, this, [this] { updateGeometry(); });
  }

  QSize sizeHint() const override { return {theme_.scaled(100), theme_.scaled(28)}; }
  QSize minimumSizeHint() const override { return {theme_.scaled(60), theme_.scaled(28)}; }

 protected:
  void paintEvent(QPaintEvent* /*event*/) override {
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    const int size = theme_.scaled(12);
    painter.drawPixmap(QPoint(0, (height() - size) / 2),
                       theme_.pixmap(isChecked() ? QStringLiteral("down") : QStringLiteral("right"),
                                     underMouse() ? Color::kText : Color::kText2, size, devicePixelRatioF()));
    QFont title = theme_.font(TextStyle::kBodyMedium);
    title.setWeight(QFont::DemiBold);
    painter.setFont(title);
    painter.setPen(theme_.color(Color::kText));
    painter.drawText(rect().adjusted(theme_.scaled(20), 0, 0, 0), Qt::AlignVCenter | Qt::AlignLeft, text());
    if (hasFocus() && ring_) {
      painter.setPen(QPen(theme_.color(Color::kAccent), 2));
      painter.drawRoundedRect(QRectF(rect()).adjusted(1, 1, -1, -1), 4, 4);
    }
  }
  void focusInEvent(QFocusEvent* event) override {
    ring_ = isKeyboardFocus(event->reason());
    QPushButton::focusInEvent(event);
  }

 private:
  Theme& theme_;
  bool ring_ = false;
};

}  // namespace

Section::Section(Theme& theme, const QString& title, QWidget* parent)
    : QWidget(parent),
      theme_(theme),
      header_(new QWidget(this)),
      toggle_(new SectionToggle(theme, title, header_)),
      body_(new QWidget(this)),
      contentLayout_(new QVBoxLayout(body_)) {
  toggle_->setObjectName(QStringLiteral("sectionToggle"));
  auto* headerLayout = new QHBoxLayout(header_);
  headerLayout->setContentsMargins(theme.scaled(16), theme.scaled(6), theme.scaled(16), theme.scaled(4));
  headerLayout->setSpacing(theme.scaled(8));
  headerLayout->addWidget(toggle_, 1);
  contentLayout_->setContentsMargins(theme.scaled(16), 0, theme.scaled(16), theme.scaled(12));
  contentLayout_->setSpacing(0);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->setSpacing(0);
  layout->addWidget(header_);
  layout->addWidget(body_);
  connect(toggle_, &QPushButton::toggled, this, [this](bool open) {
    body_->setVisible(open);
    Q_EMIT toggled(open);
  });
}

void Section::addToHeader(QWidget* widget) { header_->layout()->addWidget(widget); }


void Section::setOpen(bool open) { toggle_->setChecked(open); }

}  // namespace quern::ui
