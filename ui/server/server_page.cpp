#include "ui/server/server_page.h"

#include <QScrollArea>

#include "ui/server/keys_card.h"
#include "ui/server/requests_card.h"
#include "ui/server/server_cards.h"
#include "ui/widgets/button.h"
#include "ui/widgets/notices.h"

namespace quern::ui {

namespace {

constexpr int kSideWidth = 400;
/// Below this there is no room for two columns.
constexpr int kTwoColumnsFrom = 1000;

}  // namespace

ServerPage::ServerPage(Theme& theme, ServerControl& control, QWidget* parent)
    : Surface(theme, Color::kWindow, {}, parent), theme_(theme), control_(control) {
  setObjectName(QStringLiteral("serverPage"));
  setAccessibleName(tr("Server"));
  auto* inner = new QWidget;
  auto* main = new QWidget(inner);
  side_ = new QWidget(inner);
  auto* mainRows = new QVBoxLayout(main);
  auto* sideRows = new QVBoxLayout(side_);
  for (QVBoxLayout* rows : {mainRows, sideRows}) {
    rows->setContentsMargins(0, 0, 0, 0);
    rows->setSpacing(theme.scaled(16));
  }
  keys_ = new KeysCard(theme, control, main);
  mainRows->addWidget(new AddressCard(theme, control, main));
  mainRows->addWidget(keys_);
  mainRows->addWidget(new RequestsCard(theme, control, main));
  mainRows->addStretch(1);
  sideRows->addWidget(new AccessCard(theme, control, side_));
  sideRows->addWidget(new ActivityCard(theme, control, side_));
  sideRows->addWidget(new CallCard(theme, control, side_));
  sideRows->addStretch(1);
  columns_ = new QBoxLayout(QBoxLayout::LeftToRight, inner);
  columns_->setContentsMargins(theme.scaled(24), theme.scaled(16), theme.scaled(24), theme.scaled(16));
  columns_->setSpacing(theme.scaled(16));
  columns_->addWidget(main, 1);
  columns_->addWidget(side_);
  auto* scroll = new QScrollArea(this);
  scroll->setWidgetResizable(true);
  scroll->setFrameShape(QFrame::NoFrame);
  scroll->setFocusPolicy(Qt::NoFocus);
  scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  scroll->setWidget(inner);
  scroll->viewport()->setAutoFillBackground(false);
  inner->setAutoFillBackground(false);
  banner_ = new Banner(theme, this);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->setSpacing(0);
  layout->addWidget(makeTopBar());
  layout->addWidget(banner_);
  layout->addWidget(scroll, 1);
  connect(&theme_, &Theme::changed, this, &ServerPage::arrange);
  connect(&control_, &ServerControl::changed, this, &ServerPage::refresh);
  connect(&control_, &ServerControl::preferencesChanged, this, &ServerPage::refresh);
  arrange();
  refresh();
}

QWidget* ServerPage::makeTopBar() {
  auto* bar = new Surface(theme_, Color::kWindow, Qt::BottomEdge, this);
  auto* layout = new QHBoxLayout(bar);
  layout->setContentsMargins(theme_.scaled(24), 0, theme_.scaled(24), 1);
  layout->setSpacing(theme_.scaled(12));
  layout->addWidget(new Label(theme_, tr("Server"), TextStyle::kTitle, Color::kText, bar));
  state_ = new Pill(theme_, bar);
  state_->setObjectName(QStringLiteral("serverState"));
  hint_ = new Label(theme_, {}, TextStyle::kSmall, Color::kText2, bar);
  hint_->setObjectName(QStringLiteral("serverHint"));
  hint_->setElided(true);
  restart_ = new Button(theme_, Button::Kind::kSecondary, tr("Restart"), QStringLiteral("refresh"), bar);
  restart_->setObjectName(QStringLiteral("restartServer"));
  restart_->setToolTip(tr("Stop the server and start it with what is chosen now"));
  startStop_ = new Button(theme_, Button::Kind::kPrimary, tr("Start server"), QStringLiteral("play"), bar);
  startStop_->setObjectName(QStringLiteral("startServer"));
  layout->addWidget(state_);
  layout->addWidget(hint_, 1);
  layout->addWidget(restart_);
  layout->addWidget(startStop_);
  connect(restart_, &QPushButton::clicked, &control_, &ServerControl::restart);
  connect(startStop_, &QPushButton::clicked, this, &ServerPage::startOrStop);
  const auto apply = [this, bar] { bar->setFixedHeight(theme_.scaled(56)); };
  connect(&theme_, &Theme::changed, bar, apply);
  apply();
  return bar;
}

void ServerPage::startOrStop() {
  const auto state = control_.state();
  if (state == ServerControl::State::kStarting || state == ServerControl::State::kListening) {
    return control_.stop();
  }
  const LanOptions& wanted = control_.preferences().lan;
  if ((wanted.wholeNetwork || wanted.needsKeys) && control_.keys().empty()) {
    return keys_->askForKey(wanted.wholeNetwork
                                ? tr("Other machines need an API key. Make one, then start the server.")
                                : tr("There is no API key yet. Make one, then start the server."));
  }
  control_.start();
}

void ServerPage::focusFirst() { startStop_->setFocus(Qt::ShortcutFocusReason); }

void ServerPage::refresh() {
  using State = ServerControl::State;
  const State state = control_.state();
  const bool hasModel = !control_.modelName().isEmpty();
  QString hint;
  switch (state) {
    case State::kStopped:
      state_->show(tr("Stopped"), Color::kText2, Color::kPress);
      hint = tr("Serves the model that is loaded in this window");
      break;
    case State::kStarting:
      state_->show(tr("Starting"), Color::kInfo, Color::kInfoBg);
      break;
    case State::kListening:
      if (hasModel && !control_.error()) {
        state_->show(tr("Running"), Color::kOk, Color::kOkBg);
        hint = control_.modelName();
      } else {
        state_->show(tr("Running without a model"), Color::kWarn, Color::kWarnBg);
        hint = tr("Requests are refused until a model is loaded");
      }
      break;
    case State::kDraining:
      state_->show(tr("Finishing answers"), Color::kInfo, Color::kInfoBg);
      break;
    case State::kFailed:
      state_->show(tr("Could not start"), Color::kError, Color::kErrorBg);
      break;
  }
  if (control_.needsRestart()) hint = tr("What you changed holds after a restart");
  hint_->setText(hint);
  hint_->setColor(control_.needsRestart() ? Color::kWarn : Color::kText2);
  const bool runs = state == State::kStarting || state == State::kListening;
  restart_->setVisible(state == State::kListening);
  startStop_->setKind(runs ? Button::Kind::kDanger : Button::Kind::kPrimary);
  startStop_->setText(runs ? tr("Stop server") : tr("Start server"));
  startStop_->setIconName(runs ? QStringLiteral("stop") : QStringLiteral("play"));
  startStop_->setToolTip(runs ? tr("Let answers come to their end, then stop (Ctrl+Shift+S)")
                              : tr("Let other programs use the loaded model (Ctrl+Shift+S)"));
  startStop_->setEnabled(state != State::kDraining);
  const auto error = control_.error();
  const QString sentence = error ? QString::fromStdString(error->message()) : QString();
  // Once it is closed it stays so, until another is there.
  if (sentence == shownError_) return;
  shownError_ = sentence;
  if (error) {
    banner_->show(sentence, QString::fromStdString(error->describe()));
  } else {
    banner_->clear();
  }
}

void ServerPage::resizeEvent(QResizeEvent* event) {
  Surface::resizeEvent(event);
  arrange();
}

void ServerPage::arrange() {
  const bool wide = width() >= theme_.scaled(kTwoColumnsFrom);
  columns_->setDirection(wide ? QBoxLayout::LeftToRight : QBoxLayout::TopToBottom);
  side_->setMinimumWidth(wide ? theme_.scaled(kSideWidth) : 0);
  side_->setMaximumWidth(wide ? theme_.scaled(kSideWidth) : QWIDGETSIZE_MAX);
}

}  // namespace quern::ui
