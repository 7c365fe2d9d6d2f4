#include "ui/server/card.h"

#include <QClipboard>
#include <QGuiApplication>
#include <QPainter>
#include <QTimer>

#include "ui/widgets/button.h"

namespace quern::ui {

Card::Card(Theme& theme, const QString& title, QWidget* parent)
    : QWidget(parent), theme_(theme), header_(new QHBoxLayout), content_(new QVBoxLayout) {
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(theme.scaled(16), theme.scaled(8), theme.scaled(16), theme.scaled(12));
  layout->setSpacing(theme.scaled(4));
  layout->addLayout(header_);
  layout->addLayout(content_);
  header_->setSpacing(theme.scaled(8));
  auto* heading = new Label(theme, title, TextStyle::kBodyMedium, Color::kText, this);
  header_->addWidget(heading, 1);
  content_->setSpacing(theme.scaled(8));
  setAccessibleName(title);
  const auto apply = [this, heading] {
    heading->setMinimumHeight(theme_.scaled(28));
    update();
  };
  connect(&theme_, &Theme::changed, this, apply);
  apply();
}

void Card::addLine() {
  auto* line = new Surface(theme_, Color::kLine, {}, this);
  line->setFixedHeight(1);
  content_->addWidget(line);
}

QWidget* Card::addRow(const QString& text, const QString& help, QWidget* control) {
  addLine();
  auto* holder = new QWidget(this);
  auto* row = new QHBoxLayout(holder);
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(theme_.scaled(16));
  auto* words = new QVBoxLayout;
  words->setSpacing(0);
  words->addWidget(new Label(theme_, text, TextStyle::kBody, Color::kText, holder));
  auto* explanation = new Label(theme_, help, TextStyle::kSmall, Color::kText3, holder);
  explanation->setWordWrap(true);
  words->addWidget(explanation);
  row->addLayout(words, 1);
  row->addWidget(control);
  content_->addWidget(holder);
  return holder;
}

Label* Card::addFigure(const QString& text, const char* name) {
  auto* row = new QHBoxLayout;
  row->setSpacing(theme_.scaled(16));
  row->addWidget(new Label(theme_, text, TextStyle::kSmall, Color::kText2, this), 1);
  auto* figure = new Label(theme_, QStringLiteral("–"), TextStyle::kMonoSmall, Color::kText, this);
  figure->setObjectName(QLatin1String(name));
  row->addWidget(figure);
  content_->addLayout(row);
  return figure;
}

void Card::paintEvent(QPaintEvent* /*event*/) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(QPen(theme_.color(Color::kLine), 1));
  painter.setBrush(theme_.color(Color::kCard));
  painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), 8, 8);
}

Pill::Pill(Theme& theme, QWidget* parent) : QWidget(parent), theme_(theme) {
  setSizePolicy(QSizePolicy::Fixed, QSizePolicy::Fixed);
  connect(&theme_, &Theme::changed, this, [this] {
    updateGeometry();
    update();
  });
}

void Pill::show(const QString& text, Color foreground, Color ground) {
  text_ = text;
  foreground_ = foreground;
  ground_ = ground;
  setAccessibleName(text);
  updateGeometry();
  update();
}

QSize Pill::sizeHint() const {
  const QFontMetrics metrics(theme_.font(TextStyle::kSmall));
  return {metrics.horizontalAdvance(text_) + theme_.scaled(28), theme_.scaled(24)};
}

void Pill::paintEvent(QPaintEvent* /*event*/) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(Qt::NoPen);
  painter.setBrush(theme_.color(ground_));
  painter.drawRoundedRect(rect(), 4, 4);
  painter.setBrush(theme_.color(foreground_));
  const qreal dot = theme_.scaled(6);
  painter.drawEllipse(QRectF(theme_.scaled(8), (height() - dot) / 2, dot, dot));
  painter.setPen(theme_.color(foreground_));
  painter.setFont(theme_.font(TextStyle::kSmall));
  painter.drawText(rect().adjusted(theme_.scaled(19), 0, 0, 0), Qt::AlignVCenter | Qt::AlignLeft, text_);
}

CopyButton::CopyButton(Theme& theme, const char* objectName, const QString& name, QWidget* parent)
    : QWidget(parent) {
  auto* layout = new QHBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  auto* button = makeIconButton(theme, QStringLiteral("copy"), name, {}, this);
  button->setObjectName(QLatin1String(objectName));
  button->setCompact(true);
  layout->addWidget(button);
  connect(button, &QPushButton::clicked, this, [this, button] {
    QGuiApplication::clipboard()->setText(text_);
    button->setIconName(QStringLiteral("check"));
    QTimer::singleShot(2000, button, [button] { button->setIconName(QStringLiteral("copy")); });
  });
}

void CopyButton::setText(const QString& text) {
  text_ = text;
  setEnabled(!text.isEmpty());
}

}  // namespace quern::ui
