#include "ui/server/keys_card.h"

#include <QDateTime>
#include <QGridLayout>
#include <QLineEdit>
#include <QLocale>
#include <QPainter>
#include <QTimer>

#include "ui/widgets/button.h"

namespace quern::ui {

namespace {

constexpr int kLongestName = 64;
/// How long "Revoke" waits for the second press.
constexpr int kSureMs = 4000;

QString dateText(std::int64_t unixMs) {
  return QLocale().toString(QDateTime::fromMSecsSinceEpoch(unixMs).date(), QLocale::ShortFormat);
}

}  // namespace

KeysCard::KeysCard(Theme& theme, ServerControl& control, QWidget* parent)
    : Card(theme, tr("API keys"), parent),
      theme_(theme),
      control_(control),
      failure_(new Label(theme, {}, TextStyle::kSmall, Color::kError, this)),
      empty_(new Label(theme, tr("There are no keys yet. Other machines need one to get in."),
                       TextStyle::kSmall, Color::kText3, this)) {
  setObjectName(QStringLiteral("keysCard"));
  auto* add = new Button(theme, Button::Kind::kSecondary, tr("New key"), QStringLiteral("plus"), this);
  add->setObjectName(QStringLiteral("newKey"));
  add->setToolTip(tr("Make an API key for a person or a program"));
  add->setCompact(true);
  addToHeader(add);
  failure_->setObjectName(QStringLiteral("keyFailure"));
  failure_->setWordWrap(true);
  failure_->hide();
  empty_->setWordWrap(true);
  empty_->setObjectName(QStringLiteral("noKeys"));
  makeForm();
  makeReveal();
  content()->addWidget(failure_);
  content()->addWidget(empty_);
  connect(add, &QPushButton::clicked, this, [this] { askForKey({}); });
  connect(&control_, &ServerControl::keysChanged, this, &KeysCard::refresh);
  connect(&control_, &ServerControl::keyAdded, this, [this](const QString& name, const QString& key) {
    form_->hide();
    failure_->hide();
    revealed_->setText(tr("The key of “%1”. It is shown this once only.").arg(name));
    key_->setText(key);
    copy_->setText(key);
    reveal_->show();
  });
  connect(&control_, &ServerControl::keyFailed, this,
          [this](const QString& sentence, const QString& details) {
            failure_->setText(sentence);
            failure_->setToolTip(details);
            failure_->show();
          });
  refresh();
}

void KeysCard::makeForm() {
  form_ = new QWidget(this);
  auto* rows = new QVBoxLayout(form_);
  rows->setContentsMargins(0, 0, 0, 0);
  rows->setSpacing(theme_.scaled(8));
  why_ = new Label(theme_, {}, TextStyle::kSmall, Color::kWarn, form_);
  why_->setObjectName(QStringLiteral("whyKey"));
  why_->setWordWrap(true);
  name_ = new QLineEdit(form_);
  name_->setObjectName(QStringLiteral("keyName"));
  name_->setAccessibleName(tr("Whose key it is"));
  name_->setToolTip(tr("Whose key it is"));
  name_->setPlaceholderText(tr("Whose is it? For example: editor-plugin"));
  name_->setMaxLength(kLongestName);
  auto* make = new Button(theme_, Button::Kind::kPrimary, tr("Make key"), {}, form_);
  make->setObjectName(QStringLiteral("makeKey"));
  make->setToolTip(tr("Make the key and show it"));
  make->setEnabled(false);
  auto* cancel = new Button(theme_, Button::Kind::kGhost, tr("Cancel"), {}, form_);
  cancel->setObjectName(QStringLiteral("cancelKey"));
  cancel->setToolTip(tr("Make no key"));
  auto* line = new QHBoxLayout;
  line->setSpacing(theme_.scaled(8));
  line->addWidget(name_, 1);
  line->addWidget(make);
  line->addWidget(cancel);
  rows->addWidget(why_);
  rows->addLayout(line);
  content()->addWidget(form_);
  form_->hide();
  const auto apply = [this] { name_->setFixedHeight(theme_.scaled(32)); };
  connect(&theme_, &Theme::changed, name_, apply);
  apply();
  connect(name_, &QLineEdit::textChanged, make,
          [make](const QString& text) { make->setEnabled(!text.trimmed().isEmpty()); });
  connect(name_, &QLineEdit::returnPressed, this, &KeysCard::make);
  connect(make, &QPushButton::clicked, this, &KeysCard::make);
  connect(cancel, &QPushButton::clicked, this, [this] { form_->hide(); });
}

void KeysCard::makeReveal() {
  reveal_ = new Surface(theme_, Color::kOkBg, {}, this);
  auto* rows = new QVBoxLayout(reveal_);
  rows->setContentsMargins(theme_.scaled(12), theme_.scaled(8), theme_.scaled(8), theme_.scaled(8));
  rows->setSpacing(theme_.scaled(4));
  revealed_ = new Label(theme_, {}, TextStyle::kSmall, Color::kText, reveal_);
  revealed_->setObjectName(QStringLiteral("revealedName"));
  revealed_->setWordWrap(true);
  key_ = new Label(theme_, {}, TextStyle::kMonoSmall, Color::kText, reveal_);
  key_->setObjectName(QStringLiteral("revealedKey"));
  key_->setAccessibleName(tr("The new key"));
  key_->setElided(true);
  copy_ = new CopyButton(theme_, "copyKey", tr("Copy the key"), reveal_);
  auto* done = new Button(theme_, Button::Kind::kGhost, tr("Done"), {}, reveal_);
  done->setObjectName(QStringLiteral("keyDone"));
  done->setToolTip(tr("Hide the key for good"));
  done->setCompact(true);
  auto* line = new QHBoxLayout;
  line->setSpacing(theme_.scaled(8));
  line->addWidget(key_);
  line->addWidget(copy_);
  line->addWidget(done);
  line->addStretch(1);
  rows->addWidget(revealed_);
  rows->addLayout(line);
  content()->addWidget(reveal_);
  reveal_->hide();
  connect(done, &QPushButton::clicked, this, [this] {
    reveal_->hide();
    key_->clear();
    copy_->setText({});
  });
}

void KeysCard::askForKey(const QString& why) {
  why_->setText(why);
  why_->setVisible(!why.isEmpty());
  failure_->hide();
  form_->show();
  name_->clear();
  name_->setFocus(Qt::OtherFocusReason);
}

void KeysCard::make() {
  const QString name = name_->text().trimmed();
  if (!name.isEmpty()) control_.addKey(name);
}

void KeysCard::refresh() {
  // A new table in place of the old: keys change when a person changes them, and are few.
  delete table_;
  table_ = new QWidget(this);
  table_->setObjectName(QStringLiteral("keysTable"));
  auto* grid = new QGridLayout(table_);
  grid->setContentsMargins(0, 0, 0, 0);
  grid->setHorizontalSpacing(theme_.scaled(24));
  grid->setVerticalSpacing(theme_.scaled(6));
  for (int column = 0; column < 4; ++column) grid->setColumnStretch(column, column < 2 ? 3 : 2);
  int column = 0;
  for (const QString& heading : {tr("Name"), tr("Key"), tr("Created"), tr("Expires")}) {
    grid->addWidget(new Label(theme_, heading, TextStyle::kSmall, Color::kText3, table_), 0, column++);
  }
  int row = 1;
  for (const LanKey& key : control_.keys()) addRow(row++, key);
  table_->setVisible(row > 1);
  empty_->setVisible(row == 1);
  content()->addWidget(table_);
}

void KeysCard::addRow(int row, const LanKey& key) {
  auto* grid = qobject_cast<QGridLayout*>(table_->layout());
  const QString name = QString::fromStdString(key.name);
  auto* named = new Label(theme_, name, TextStyle::kBodyMedium, Color::kText, table_);
  named->setElided(true);
  grid->addWidget(named, row, 0);
  grid->addWidget(new Label(theme_, QStringLiteral("qk-%1-…").arg(QString::fromStdString(key.id)),
                            TextStyle::kMonoSmall, Color::kText2, table_),
                  row, 1);
  grid->addWidget(new Label(theme_, dateText(key.createdMs), TextStyle::kSmall, Color::kText2, table_), row,
                  2);
  grid->addWidget(new Label(theme_, key.expiresMs ? dateText(*key.expiresMs) : tr("never"), TextStyle::kSmall,
                            Color::kText2, table_),
                  row, 3);
  auto* revoke = new Button(theme_, Button::Kind::kGhost, tr("Revoke"), {}, table_);
  revoke->setObjectName(QStringLiteral("revoke_") + name);
  revoke->setAccessibleName(tr("Revoke the key of “%1”").arg(name));
  revoke->setToolTip(tr("Make this key useless, at once and for good"));
  revoke->setCompact(true);
  grid->addWidget(revoke, row, 4, Qt::AlignRight);
  connect(revoke, &QPushButton::clicked, this, [this, revoke, id = QString::fromStdString(key.id)] {
    if (revoke->property("sure").toBool()) return control_.revokeKey(id);
    revoke->setProperty("sure", true);
    revoke->setKind(Button::Kind::kDanger);
    revoke->setText(tr("Really revoke"));
    QTimer::singleShot(kSureMs, revoke, [revoke] {
      revoke->setProperty("sure", false);
      revoke->setKind(Button::Kind::kGhost);
      revoke->setText(tr("Revoke"));
    });
  });
}

}  // namespace quern::ui
