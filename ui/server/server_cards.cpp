#include "ui/server/server_cards.h"

#include <QDesktopServices>
#include <QLocale>
#include <QSignalBlocker>
#include <QSpinBox>
#include <QUrl>

#include "ui/widgets/button.h"
#include "ui/widgets/switch.h"

namespace quern::ui {

namespace {

QString dash() { return QStringLiteral("–"); }

QString urlOf(const ServerControl& control) {
  const auto& urls = control.status().urls;
  return urls.empty() ? QString() : QString::fromStdString(urls.front());
}

QString grouped(std::uint64_t number) { return QLocale().toString(qulonglong(number)); }

}  // namespace

AddressCard::AddressCard(Theme& theme, ServerControl& control, QWidget* parent)
    : Card(theme, tr("Address"), parent),
      control_(control),
      where_(new Label(theme, {}, TextStyle::kSmall, Color::kText3, this)),
      url_(new Label(theme, {}, TextStyle::kMonoTitle, Color::kText, this)),
      copy_(new CopyButton(theme, "copyAddress", tr("Copy the address"), this)),
      open_(
          makeIconButton(theme, QStringLiteral("external"), tr("Open its chat page in a browser"), {}, this)),
      others_(new Label(theme, {}, TextStyle::kMonoSmall, Color::kText2, this)),
      tls_(new Label(theme, {}, TextStyle::kSmall, Color::kText2, this)),
      fingerprint_(new Label(theme, {}, TextStyle::kMonoSmall, Color::kText3, this)),
      copyFingerprint_(new CopyButton(theme, "copyFingerprint", tr("Copy the fingerprint"), this)) {
  setObjectName(QStringLiteral("addressCard"));
  url_->setObjectName(QStringLiteral("serverUrl"));
  url_->setElided(true);
  others_->setObjectName(QStringLiteral("serverOtherUrls"));
  others_->setElided(true);
  tls_->setWordWrap(true);
  tls_->setObjectName(QStringLiteral("serverTls"));
  fingerprint_->setObjectName(QStringLiteral("serverFingerprint"));
  fingerprint_->setElided(true);
  open_->setObjectName(QStringLiteral("openAddress"));
  open_->setCompact(true);
  auto* line = new QHBoxLayout;
  line->setSpacing(theme.scaled(8));
  line->addWidget(url_);
  line->addWidget(copy_);
  line->addWidget(open_);
  line->addStretch(1);
  auto* prints = new QHBoxLayout;
  prints->setSpacing(theme.scaled(8));
  prints->addWidget(fingerprint_);
  prints->addWidget(copyFingerprint_);
  prints->addStretch(1);
  content()->addWidget(where_);
  content()->addLayout(line);
  content()->addWidget(others_);
  content()->addWidget(tls_);
  content()->addLayout(prints);
  connect(open_, &QPushButton::clicked, this, [this] { QDesktopServices::openUrl(QUrl(urlOf(control_))); });
  connect(&control_, &ServerControl::changed, this, &AddressCard::refresh);
  connect(&control_, &ServerControl::preferencesChanged, this, &AddressCard::refresh);
  refresh();
}

void AddressCard::refresh() {
  const LanStatus& status = control_.status();
  const QString url = urlOf(control_);
  const LanOptions& wanted = control_.preferences().lan;
  const bool listens = status.isListening && !url.isEmpty();
  if (!listens) {
    where_->setText(wanted.wholeNetwork ? tr("For all machines of the network, once it is started")
                                        : tr("For programs on this machine, once it is started"));
  } else {
    where_->setText(url.contains(QStringLiteral("//127.0.0.1")) ? tr("For programs on this machine")
                                                                : tr("For all machines of the network"));
  }
  url_->setText(listens ? url + QStringLiteral("/v1") : tr("Not listening"));
  url_->setColor(listens ? Color::kText : Color::kText3);
  url_->setToolTip(listens ? tr("What programs for OpenAI’s API take as their base URL") : QString());
  copy_->setText(listens ? url + QStringLiteral("/v1") : QString());
  copy_->setVisible(listens);
  open_->setVisible(listens);
  QStringList others;
  for (std::size_t i = 1; i < status.urls.size(); ++i) {
    others.append(QString::fromStdString(status.urls[i]) + QStringLiteral("/v1"));
  }
  others_->setText(others.join(QStringLiteral("   ")));
  others_->setToolTip(others.join(QLatin1Char('\n')));
  others_->setVisible(!others.isEmpty());
  const bool encrypted = !status.fingerprint.empty();
  tls_->setVisible(listens);
  tls_->setText(
      encrypted ? tr("Encrypted with TLS. Other machines trust it once they know %1, or by its fingerprint:")
                      .arg(QString::fromStdString(status.authority.string()))
                : tr("Not encrypted: who listens in on the network can read along. TLS can be switched on."));
  tls_->setVisible(listens && (encrypted || !url.contains(QStringLiteral("//127.0.0.1"))));
  const QString print = QString::fromStdString(status.fingerprint);
  fingerprint_->setText(QStringLiteral("SHA-256 ") + print);
  fingerprint_->setToolTip(print);
  copyFingerprint_->setText(print);
  fingerprint_->setVisible(encrypted);
  copyFingerprint_->setVisible(encrypted);
}

AccessCard::AccessCard(Theme& theme, ServerControl& control, QWidget* parent)
    : Card(theme, tr("Access"), parent), control_(control) {
  setObjectName(QStringLiteral("accessCard"));
  const auto add = [&](const char* name, const QString& text, const QString& help) {
    auto* made = new Switch(theme, text, this);
    made->setObjectName(QLatin1String(name));
    addRow(text, help, made);
    connect(made, &QCheckBox::toggled, this, &AccessCard::store);
    return made;
  };
  network_ =
      add("serverNetwork", tr("Serve on local network"), tr("Off keeps the server on this machine only"));
  needsKeys_ = add("serverNeedsKeys", tr("Require authentication"),
                   tr("Programs on this machine need an API key, too; others always do"));
  tls_ = add("serverTlsSwitch", tr("Encrypt with TLS"), tr("With a certificate that this machine makes"));
  port_ = new QSpinBox(this);
  port_->setObjectName(QStringLiteral("serverPort"));
  port_->setAccessibleName(tr("Port"));
  port_->setToolTip(tr("Port, 1,024 to 65,535"));
  port_->setButtonSymbols(QAbstractSpinBox::NoButtons);
  port_->setRange(1024, 65535);
  port_->setAlignment(Qt::AlignRight);
  port_->setFocusPolicy(Qt::StrongFocus);
  addRow(tr("Port"), tr("Where the server listens"), port_);
  withWindow_ = add("serverWithWindow", tr("Start with the window"), tr("Otherwise only when it is told to"));
  connect(port_, &QSpinBox::editingFinished, this, &AccessCard::store);
  connect(&control_, &ServerControl::preferencesChanged, this, &AccessCard::refresh);
  const auto apply = [this, &theme] {
    port_->setFont(theme.font(TextStyle::kMonoSmall));
    port_->setFixedSize(theme.scaled(72), theme.scaled(28));
  };
  connect(&theme, &Theme::changed, port_, apply);
  apply();
  refresh();
}

void AccessCard::refresh() {
  const ServerPreferences& preferences = control_.preferences();
  const QSignalBlocker one(network_), two(needsKeys_), three(tls_), four(port_), five(withWindow_);
  network_->setChecked(preferences.lan.wholeNetwork);
  needsKeys_->setChecked(preferences.lan.needsKeys);
  tls_->setChecked(preferences.lan.usesTls);
  port_->setValue(preferences.lan.port);
  withWindow_->setChecked(preferences.startsWithWindow);
}

void AccessCard::store() {
  ServerPreferences preferences = control_.preferences();
  preferences.lan.wholeNetwork = network_->isChecked();
  preferences.lan.needsKeys = needsKeys_->isChecked();
  preferences.lan.usesTls = tls_->isChecked();
  preferences.lan.port = std::uint16_t(port_->value());
  preferences.startsWithWindow = withWindow_->isChecked();
  control_.setPreferences(preferences);
}

ActivityCard::ActivityCard(Theme& theme, ServerControl& control, QWidget* parent)
    : Card(theme, tr("Activity"), parent), control_(control) {
  setObjectName(QStringLiteral("activityCard"));
  addLine();
  model_ = addFigure(tr("Model"), "serverModel");
  model_->setElided(true);
  speed_ = addFigure(tr("Tokens per second"), "serverSpeed");
  running_ = addFigure(tr("Requests running"), "serverRunning");
  waiting_ = addFigure(tr("Requests waiting"), "serverWaiting");
  connections_ = addFigure(tr("Connections"), "serverConnections");
  answered_ = addFigure(tr("Answered"), "serverAnswered");
  refused_ = addFigure(tr("Refused"), "serverRefused");
  failed_ = addFigure(tr("Failed"), "serverFailed");
  speed_->setToolTip(tr("Of all answers, also the window’s, over the last second"));
  running_->setToolTip(tr("In the engine, the window’s chat included"));
  waiting_->setToolTip(tr("In the engine, the window’s chat included"));
  refused_->setToolTip(tr("With a status of 4xx: no key, no such model, too many requests …"));
  failed_->setToolTip(tr("With a status of 5xx"));
  connect(&control_, &ServerControl::changed, this, &ActivityCard::refresh);
  refresh();
}

void ActivityCard::refresh() {
  const LanStatus& status = control_.status();
  const bool runs = status.isListening;
  const auto stats = control_.engineStats();
  const QString model = control_.modelName();
  model_->setText(model.isEmpty() ? tr("none is loaded") : model);
  model_->setToolTip(tr("Requests name it so; without a name they get it, too"));
  const bool decodes = runs && stats.decodeTokensPerSecond > 0;
  speed_->setText(decodes ? QLocale().toString(stats.decodeTokensPerSecond, 'f', 1) : dash());
  running_->setText(runs ? grouped(std::uint64_t(std::max(0, stats.running))) : dash());
  waiting_->setText(runs ? grouped(std::uint64_t(std::max(0, stats.waiting))) : dash());
  connections_->setText(runs ? grouped(std::uint64_t(std::max(0, status.connections))) : dash());
  answered_->setText(runs ? grouped(status.succeeded) : dash());
  refused_->setText(runs ? grouped(status.refused) : dash());
  failed_->setText(runs ? grouped(status.failed) : dash());
}

CallCard::CallCard(Theme& theme, ServerControl& control, QWidget* parent)
    : Card(theme, tr("Call it"), parent),
      theme_(theme),
      control_(control),
      text_(new Label(theme, {}, TextStyle::kMonoSmall, Color::kText, this)),
      copy_(new CopyButton(theme, "copyCall", tr("Copy the command"), this)) {
  setObjectName(QStringLiteral("callCard"));
  addToHeader(copy_);
  addLine();
  text_->setObjectName(QStringLiteral("serverCall"));
  text_->setAccessibleName(tr("A command that asks the server"));
  text_->setWordWrap(true);
  text_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  content()->addWidget(text_);
  connect(&control_, &ServerControl::changed, this, &CallCard::refresh);
  connect(&control_, &ServerControl::preferencesChanged, this, &CallCard::refresh);
  refresh();
}

void CallCard::refresh() {
  const LanStatus& status = control_.status();
  const LanOptions& wanted = control_.preferences().lan;
  QString url = urlOf(control_);
  if (url.isEmpty()) {
    url = QStringLiteral("%1://127.0.0.1:%2")
              .arg(wanted.usesTls ? QStringLiteral("https") : QStringLiteral("http"))
              .arg(wanted.port);
  }
  QStringList lines = {QStringLiteral("curl %1/v1/chat/completions").arg(url)};
  if (!status.authority.empty()) {
    lines.append(QStringLiteral("--cacert '%1'").arg(QString::fromStdString(status.authority.string())));
  }
  if (wanted.needsKeys || wanted.wholeNetwork) {
    lines.append(QStringLiteral("-H \"Authorization: Bearer $QUERN_API_KEY\""));
  }
  lines.append(QStringLiteral("-H 'Content-Type: application/json'"));
  lines.append(QStringLiteral("-d '{\"messages\": [{\"role\": \"user\",\n    \"content\": \"Hello\"}]}'"));
  const QString command = lines.join(QStringLiteral(" \\\n  "));
  if (text_->text() != command) text_->setText(command);
  copy_->setText(command);
}

}  // namespace quern::ui
