#include "ui/widgets/notices.h"

#include <QAccessible>
#include <QClipboard>
#include <QEvent>
#include <QGuiApplication>
#include <QHBoxLayout>
#include <QPainter>
#include <QPlainTextEdit>
#include <QVBoxLayout>
#include <utility>

#include "ui/widgets/button.h"
#include "ui/widgets/surface.h"

namespace quern::ui {

namespace {

// The air above and below a banner, part of the widget so that it goes away with it.
constexpr int kBannerMargin = 8;

/// Screen readers hear what appeared without the focus moving.
void announce(QWidget* widget, const QString& text) {
  widget->setAccessibleName(text);
  QAccessibleEvent event(widget, QAccessible::Alert);
  QAccessible::updateAccessibility(&event);
}

}  // namespace

Toast::Toast(Theme& theme, QWidget* parent)
    : QWidget(parent),
      theme_(theme),
      text_(new Label(theme, {}, TextStyle::kBody, Color::kText, this)),
      button_(new Button(theme, Button::Kind::kGhost, {}, {}, this)) {
  setObjectName(QStringLiteral("toast"));
  text_->setObjectName(QStringLiteral("toastText"));
  button_->setObjectName(QStringLiteral("toastAction"));
  auto* layout = new QHBoxLayout(this);
  layout->setContentsMargins(theme.scaled(16), theme.scaled(8), theme.scaled(8), theme.scaled(8));
  layout->setSpacing(theme.scaled(12));
  layout->addWidget(text_);
  layout->addWidget(button_);
  hide();
  timer_.setSingleShot(true);
  timer_.setInterval(4000);
  connect(&timer_, &QTimer::timeout, this, [this] {
    // Who is about to press the button gets the time to do so.
    if (underMouse() || button_->hasFocus()) {
      timer_.start();
    } else {
      finish(false);
    }
  });
  connect(button_, &QPushButton::clicked, this, [this] { finish(true); });
  parent->installEventFilter(this);
}

void Toast::show(const QString& text, const QString& actionText, std::function<void()> action) {
  if (isVisible()) finish(false);
  text_->setText(text);
  button_->setText(actionText);
  button_->setVisible(!actionText.isEmpty());
  action_ = std::move(action);
  adjustSize();
  place();
  QWidget::show();
  raise();
  timer_.start();
  announce(this, text);
}

void Toast::finish(bool act) {
  timer_.stop();
  hide();
  const auto action = std::exchange(action_, {});
  if (act && action) action();
}

void Toast::place() {
  const int margin = theme_.scaled(16);
  resize(sizeHint());
  move(parentWidget()->width() - width() - margin,
       parentWidget()->height() - height() - theme_.scaled(32) - margin);
}

bool Toast::eventFilter(QObject* watched, QEvent* event) {
  if (event->type() == QEvent::Resize && isVisible()) place();
  return QWidget::eventFilter(watched, event);
}

void Toast::paintEvent(QPaintEvent* /*event*/) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(QPen(theme_.color(Color::kLine2), 1));
  painter.setBrush(theme_.color(Color::kCard));
  painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), 8, 8);
}

Banner::Banner(Theme& theme, QWidget* parent)
    : QWidget(parent),
      theme_(theme),
      icon_(new Label(theme, {}, TextStyle::kBody, Color::kError, this)),
      sentence_(new Label(theme, {}, TextStyle::kBody, Color::kText, this)),
      details_(new Button(theme, Button::Kind::kGhost, tr("Details"), {}, this)),
      copy_(makeIconButton(theme, QStringLiteral("copy"), tr("Copy the details"), {}, this)),
      close_(makeIconButton(theme, QStringLiteral("close"), tr("Close this message"), {}, this)),
      chain_(new QPlainTextEdit(this)) {
  setObjectName(QStringLiteral("banner"));
  sentence_->setObjectName(QStringLiteral("bannerSentence"));
  sentence_->setWordWrap(true);
  sentence_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  details_->setObjectName(QStringLiteral("bannerDetails"));
  details_->setCheckable(true);
  details_->setToolTip(tr("Show what happened, in technical words"));
  copy_->setObjectName(QStringLiteral("bannerCopy"));
  close_->setObjectName(QStringLiteral("bannerClose"));
  chain_->setObjectName(QStringLiteral("bannerChain"));
  chain_->setAccessibleName(tr("Technical details"));
  chain_->setReadOnly(true);
  chain_->setFrameShape(QFrame::NoFrame);
  chain_->setTabChangesFocus(true);

  auto* line = new QHBoxLayout;
  line->setSpacing(theme.scaled(8));
  line->addWidget(icon_, 0, Qt::AlignTop);
  line->addWidget(sentence_, 1);
  line->addWidget(details_, 0, Qt::AlignTop);
  line->addWidget(copy_, 0, Qt::AlignTop);
  line->addWidget(close_, 0, Qt::AlignTop);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(theme.scaled(12), theme.scaled(4 + kBannerMargin), theme.scaled(4),
                             theme.scaled(4 + kBannerMargin));
  layout->addLayout(line);
  layout->addWidget(chain_);
  hide();
  connect(details_, &QPushButton::toggled, this, &Banner::setUnfolded);
  connect(copy_, &QPushButton::clicked, this, [this] {
    QGuiApplication::clipboard()->setText(sentence_->text() + QLatin1Char('\n') + chain_->toPlainText());
  });
  connect(close_, &QPushButton::clicked, this, &Banner::clear);
  const auto apply = [this] {
    const int size = theme_.scaled(16);
    icon_->setFixedSize(size, theme_.scaled(32));
    icon_->setTextFormat(Qt::AutoText);
    icon_->setPixmap(theme_.pixmap(QStringLiteral("error"), Color::kError, size, devicePixelRatioF()));
    chain_->setFont(theme_.font(TextStyle::kMonoSmall));
    chain_->setFixedHeight(theme_.scaled(96));
    sentence_->setMinimumHeight(theme_.scaled(32));
  };
  connect(&theme_, &Theme::changed, this, apply);
  apply();
  setUnfolded(false);
}

void Banner::show(const QString& sentence, const QString& details) {
  sentence_->setText(sentence);
  chain_->setPlainText(details);
  details_->setVisible(!details.isEmpty());
  details_->setChecked(false);
  setUnfolded(false);
  QWidget::show();
  announce(this, sentence);
}

void Banner::clear() {
  hide();
  sentence_->clear();
}

QString Banner::sentence() const { return sentence_->text(); }

void Banner::setUnfolded(bool unfolded) {
  chain_->setVisible(unfolded);
  copy_->setVisible(unfolded);
}

void Banner::paintEvent(QPaintEvent* /*event*/) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(QPen(theme_.color(Color::kError), 1));
  painter.setBrush(theme_.color(Color::kErrorBg));
  const qreal above = theme_.scaled(kBannerMargin) + 0.5;
  painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, above, -0.5, -above), 6, 6);
}

}  // namespace quern::ui
