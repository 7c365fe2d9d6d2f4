#include "ui/settings/settings_page.h"

#include <QButtonGroup>
#include <QComboBox>
#include <QDesktopServices>
#include <QDir>
#include <QHBoxLayout>
#include <QPainter>
#include <QScrollArea>
#include <QSignalBlocker>
#include <QUrl>
#include <QVBoxLayout>

#include "engine/base/places.h"
#include "ui/widgets/button.h"
#include "ui/widgets/combo.h"
#include "ui/widgets/slider.h"
#include "ui/widgets/switch.h"

namespace quern::ui {

namespace {

constexpr int kColumnWidth = 744;
constexpr int kTextStep = 10;

/// A card with a title over rows of "label … control".
class Card : public QWidget {
 public:
  Card(Theme& theme, const QString& title, QWidget* parent)
      : QWidget(parent), theme_(theme), layout_(new QVBoxLayout(this)) {
    layout_->setContentsMargins(theme.scaled(16), theme.scaled(12), theme.scaled(16), theme.scaled(12));
    layout_->setSpacing(theme.scaled(12));
    layout_->addWidget(new Label(theme, title, TextStyle::kSection, Color::kText, this));
  }
  void addRow(const QString& text, const QString& help, QWidget* control,
              TextStyle helpStyle = TextStyle::kSmall) {
    auto* row = new QHBoxLayout;
    row->setSpacing(theme_.scaled(16));
    auto* words = new QVBoxLayout;
    words->setSpacing(0);
    words->addWidget(new Label(theme_, text, TextStyle::kBody, Color::kText, this));
    if (!help.isEmpty()) {
      auto* explanation = new Label(theme_, help, helpStyle, Color::kText3, this);
      explanation->setWordWrap(true);
      words->addWidget(explanation);
    }
    row->addLayout(words, 1);
    row->addWidget(control);
    layout_->addLayout(row);
  }

 protected:
  void paintEvent(QPaintEvent* /*event*/) override {
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(QPen(theme_.color(Color::kLine), 1));
    painter.setBrush(theme_.color(Color::kCard));
    painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), 8, 8);
  }

 private:
  Theme& theme_;
  QVBoxLayout* layout_;
};

}  // namespace

SettingsPage::SettingsPage(Theme& theme, QWidget* parent)
    : Surface(theme, Color::kWindow, {}, parent), theme_(theme) {
  setObjectName(QStringLiteral("settingsPage"));
  setAccessibleName(tr("Settings"));
  auto* inner = new QWidget;
  auto* column = new QWidget(inner);
  auto* stack = new QVBoxLayout(column);
  stack->setContentsMargins(0, theme.scaled(24), 0, theme.scaled(24));
  stack->setSpacing(theme.scaled(16));
  stack->addWidget(new Label(theme, tr("Settings"), TextStyle::kTitle, Color::kText, column));
  stack->addWidget(makeAppearance());
  stack->addWidget(makeModels());
  stack->addWidget(makePlaces());
  stack->addStretch(1);
  auto* centre = new QHBoxLayout(inner);
  centre->setContentsMargins(theme.scaled(24), 0, theme.scaled(24), 0);
  centre->addStretch(1);
  centre->addWidget(column, 100);
  centre->addStretch(1);
  auto* scroll = new QScrollArea(this);
  scroll->setWidgetResizable(true);
  scroll->setFrameShape(QFrame::NoFrame);
  scroll->setFocusPolicy(Qt::NoFocus);
  scroll->setWidget(inner);
  scroll->viewport()->setAutoFillBackground(false);
  inner->setAutoFillBackground(false);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->addWidget(scroll);
  const auto apply = [this, column] { column->setMaximumWidth(theme_.scaled(kColumnWidth)); };
  connect(&theme_, &Theme::changed, this, apply);
  apply();
}

QWidget* SettingsPage::makeAppearance() {
  auto* card = new Card(theme_, tr("Appearance"), this);
  auto* frame = new QWidget(card);
  auto* segments = new QHBoxLayout(frame);
  segments->setContentsMargins(0, 0, 0, 0);
  segments->setSpacing(0);
  modes_ = new QButtonGroup(this);
  const auto addMode = [&](Theme::Mode mode, const char* name, const QString& text) {
    auto* button = new Button(theme_, Button::Kind::kSecondary, text, {}, frame);
    button->setObjectName(QLatin1String(name));
    button->setCheckable(true);
    segments->addWidget(button);
    modes_->addButton(button, int(mode));
  };
  addMode(Theme::Mode::kSystem, "themeSystem", tr("System"));
  addMode(Theme::Mode::kLight, "themeLight", tr("Light"));
  addMode(Theme::Mode::kDark, "themeDark", tr("Dark"));
  card->addRow(tr("Theme"), tr("Ctrl+Shift+L changes between light and dark"), frame);

  auto* size = new QWidget(card);
  auto* sizeLayout = new QHBoxLayout(size);
  sizeLayout->setContentsMargins(0, 0, 0, 0);
  sizeLayout->setSpacing(theme_.scaled(12));
  textSize_ = new Slider(theme_, size);
  textSize_->setObjectName(QStringLiteral("textSize"));
  textSize_->setAccessibleName(tr("Text size in percent"));
  textSize_->setRange(90 / kTextStep, 200 / kTextStep);
  textSize_->setSingleStep(1);
  textSize_->setFixedWidth(200);
  textSizeValue_ = new Label(theme_, {}, TextStyle::kMonoSmall, Color::kText, size);
  sizeLayout->addWidget(textSize_);
  sizeLayout->addWidget(textSizeValue_);
  card->addRow(tr("Text size"), tr("From 90 to 200 %"), size);

  reduceMotion_ = new Switch(theme_, tr("Reduce motion"), card);
  reduceMotion_->setObjectName(QStringLiteral("reduceMotion"));
  card->addRow(tr("Reduce motion"), tr("Panels and switches jump instead of sliding"), reduceMotion_);

  connect(modes_, &QButtonGroup::idClicked, this, [this](int mode) {
    preferences_.mode = Theme::Mode(mode);
    emitChanged();
  });
  connect(textSize_, &QSlider::valueChanged, this, [this](int steps) {
    textSizeValue_->setText(tr("%1 %").arg(steps * kTextStep, 3));
    // While the handle is dragged the whole window would grow under it.
    if (!textSize_->isSliderDown()) {
      preferences_.textPercent = steps * kTextStep;
      emitChanged();
    }
  });
  connect(textSize_, &QSlider::sliderReleased, this, [this] {
    preferences_.textPercent = textSize_->value() * kTextStep;
    emitChanged();
  });
  connect(reduceMotion_, &QCheckBox::toggled, this, [this](bool on) {
    preferences_.reduceMotion = on;
    emitChanged();
  });
  return card;
}

QWidget* SettingsPage::makeModels() {
  auto* card = new Card(theme_, tr("Model"), this);
  defaultModel_ = new Combo(theme_, card);
  defaultModel_->setObjectName(QStringLiteral("defaultModel"));
  defaultModel_->setAccessibleName(tr("Model at start"));
  const auto apply = [this] { defaultModel_->setFixedSize(theme_.scaled(220), theme_.scaled(32)); };
  connect(&theme_, &Theme::changed, defaultModel_, apply);
  apply();
  card->addRow(tr("Model at start"), tr("Loaded when the window opens"), defaultModel_);
  keepPrompts_ = new Switch(theme_, tr("Remember what was read"), card);
  keepPrompts_->setObjectName(QStringLiteral("keepPrompts"));
  card->addRow(tr("Remember what was read"),
               tr("Chats go on at once after a restart: up to 1 GiB on disk, removed when switched off "
                  "and with the next start after a chat was deleted"),
               keepPrompts_);
  setInstalledModels({});
  connect(keepPrompts_, &QCheckBox::toggled, this, [this](bool on) {
    preferences_.keepPrompts = on;
    emitChanged();
  });
  connect(defaultModel_, &QComboBox::activated, this, [this](int index) {
    preferences_.defaultModel = defaultModel_->itemData(index).toString();
    emitChanged();
  });
  return card;
}

QWidget* SettingsPage::makePlaces() {
  auto* card = new Card(theme_, tr("Where things are kept"), this);
  const auto add = [&](const char* name, const QString& text, const std::filesystem::path& path) {
    const QString folder = QString::fromStdString(path.string());
    auto* open = new Button(theme_, Button::Kind::kSecondary, tr("Open"), QStringLiteral("external"), card);
    open->setObjectName(QLatin1String(name));
    open->setAccessibleName(tr("Open the folder: %1").arg(text));
    open->setToolTip(tr("Open %1").arg(folder));
    card->addRow(text, folder, open, TextStyle::kMonoSmall);
    connect(open, &QPushButton::clicked, this, [this, folder] {
      if (!QDir().mkpath(folder) || !QDesktopServices::openUrl(QUrl::fromLocalFile(folder))) {
        Q_EMIT failed(tr("No program on this machine opens the folder “%1”.").arg(folder), {});
      }
    });
  };
  add("openData", tr("Chats"), engine::base::dataFolder());
  add("openModels", tr("Models"), engine::base::modelsFolder());
  add("openConfig", tr("Configuration"), engine::base::configFolder());
  add("openCache", tr("Cache"), engine::base::cacheFolder());
  return card;
}

void SettingsPage::setPreferences(const Preferences& preferences) {
  preferences_ = preferences;
  if (QAbstractButton* button = modes_->button(int(preferences.mode))) button->setChecked(true);
  const QSignalBlocker one(textSize_);
  const QSignalBlocker two(reduceMotion_);
  const QSignalBlocker three(keepPrompts_);
  textSize_->setValue(preferences.textPercent / kTextStep);
  textSizeValue_->setText(tr("%1 %").arg(preferences.textPercent, 3));
  reduceMotion_->setChecked(preferences.reduceMotion);
  keepPrompts_->setChecked(preferences.keepPrompts);
  const int index = defaultModel_->findData(preferences.defaultModel);
  defaultModel_->setCurrentIndex(std::max(0, index));
}

void SettingsPage::setInstalledModels(const QStringList& names) {
  const QSignalBlocker blocker(defaultModel_);
  defaultModel_->clear();
  defaultModel_->addItem(tr("The one used last"), QString());
  for (const QString& name : names) defaultModel_->addItem(name, name);
  defaultModel_->setCurrentIndex(std::max(0, defaultModel_->findData(preferences_.defaultModel)));
}

void SettingsPage::focusFirst() {
  if (QAbstractButton* button = modes_->checkedButton()) button->setFocus(Qt::ShortcutFocusReason);
}

void SettingsPage::emitChanged() { Q_EMIT changed(preferences_); }

}  // namespace quern::ui
