#include "ui/chat/sampling_section.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QSignalBlocker>
#include <QVBoxLayout>

#include "ui/widgets/button.h"
#include "ui/widgets/combo.h"
#include "ui/widgets/slider.h"

namespace quern::ui {

namespace {
// A double holds whole numbers up to 2^53, so the field shows seeds up to there exactly.
constexpr double kMaxSeed = 9007199254740991.0;
constexpr int kDefaultMaxTokens = 1024;
}  // namespace

SamplingSection::SamplingSection(Theme& theme, QWidget* parent)
    : Section(theme, tr("Sampling"), parent), theme_(theme) {
  setObjectName(QStringLiteral("samplingSection"));
  auto* resetButton = makeIconButton(theme, QStringLiteral("refresh"), tr("Reset sampling"), {}, this);
  resetButton->setObjectName(QStringLiteral("resetSampling"));
  resetButton->setCompact(true);
  addToHeader(resetButton);
  temperature_ = addRow(QStringLiteral("temperature"), tr("Temperature"),
                        tr("How freely words are chosen. 0 always takes the likeliest."), 0, 2, 0.05, 2);
  topP_ =
      addRow(QStringLiteral("topP"), tr("Top-p"),
             tr("Keeps the likeliest words up to this share of probability. 1 is off."), 0.01, 1, 0.01, 2);
  minP_ = addRow(QStringLiteral("minP"), tr("Min-p"),
                 tr("Drops words less likely than this share of the likeliest. 0 is off."), 0, 1, 0.01, 2);
  topK_ =
      addRow(QStringLiteral("topK"), tr("Top-k"), tr("Keeps this many words. 0 is off."), 0, 200, 1, 0, true);
  repeatPenalty_ = addRow(QStringLiteral("repeatPenalty"), tr("Repeat penalty"),
                          tr("Makes words that were just used less likely. 1 is off."), 1, 2, 0.01, 2);
  maxTokens_ = addRow(QStringLiteral("maxTokens"), tr("Max tokens"), tr("The longest answer, in tokens."), 1,
                      8192, 1, 0, true);

  auto* row = new QWidget(this);
  auto* layout = new QHBoxLayout(row);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->setSpacing(theme.scaled(12));
  auto* label = new Label(theme, tr("Seed"), TextStyle::kSmall, Color::kText2, row);
  seedMode_ = new Combo(theme, row);
  seedMode_->setObjectName(QStringLiteral("seedMode"));
  seedMode_->setAccessibleName(tr("Seed"));
  seedMode_->setToolTip(tr("The same seed and the same question give the same answer"));
  seedMode_->addItems({tr("Random each time"), tr("Fixed")});
  seed_ = new NumberField(theme, row);
  seed_->setObjectName(QStringLiteral("seed"));
  seed_->setAccessibleName(tr("Seed number"));
  seed_->setDecimals(0);
  seed_->setRange(0, kMaxSeed);
  seed_->setGroupSeparatorShown(false);
  seed_->hide();
  layout->addWidget(label);
  layout->addWidget(seedMode_, 1);
  layout->addWidget(seed_);
  content()->addWidget(row);
  const auto apply = [this, row, label] {
    row->setFixedHeight(theme_.scaled(32));
    label->setFixedWidth(theme_.scaled(96));
    seedMode_->setFont(theme_.font(TextStyle::kSmall));
    seedMode_->setFixedHeight(theme_.scaled(24));
    seed_->setFixedWidth(theme_.scaled(72));
  };
  connect(&theme_, &Theme::changed, this, apply);
  apply();
  connect(resetButton, &QPushButton::clicked, this, &SamplingSection::reset);
  connect(seedMode_, &QComboBox::currentIndexChanged, this, [this](int mode) {
    seed_->setVisible(mode == 1);
    Q_EMIT edited();
  });
  connect(seed_, &QDoubleSpinBox::valueChanged, this, [this] { Q_EMIT edited(); });
  setValues({}, kDefaultMaxTokens);
}

NumberRow* SamplingSection::addRow(const QString& name, const QString& label, const QString& help,
                                   double minimum, double maximum, double step, int decimals,
                                   bool logarithmic) {
  auto* row = new NumberRow(theme_, {name, label, help, minimum, maximum, step, decimals, logarithmic}, this);
  content()->addWidget(row);
  connect(row, &NumberRow::edited, this, [this] { Q_EMIT edited(); });
  return row;
}

void SamplingSection::setValues(const engine::sampling::Parameters& sampling, int maxTokens) {
  base_ = sampling;
  temperature_->setValue(double(sampling.temperature));
  topP_->setValue(double(sampling.topP));
  minP_->setValue(double(sampling.minP));
  topK_->setValue(sampling.topK);
  repeatPenalty_->setValue(double(sampling.repeatPenalty));
  maxTokens_->setValue(maxTokens > 0 ? maxTokens : kDefaultMaxTokens);
  const QSignalBlocker one(seedMode_);
  const QSignalBlocker two(seed_);
  seedMode_->setCurrentIndex(sampling.randomSeed ? 0 : 1);
  seed_->setValue(double(sampling.seed));
  seed_->setVisible(!sampling.randomSeed);
}

engine::sampling::Parameters SamplingSection::values() const {
  engine::sampling::Parameters values = base_;
  values.temperature = float(temperature_->value());
  values.topP = float(topP_->value());
  values.minP = float(minP_->value());
  values.topK = std::int32_t(topK_->value());
  values.repeatPenalty = float(repeatPenalty_->value());
  values.randomSeed = seedMode_->currentIndex() == 0;
  values.seed = std::uint64_t(seed_->value());
  return values;
}

int SamplingSection::maxTokens() const { return int(maxTokens_->value()); }

void SamplingSection::setContext(int tokens) { maxTokens_->setMaximum(tokens); }

void SamplingSection::reset() {
  setValues({}, kDefaultMaxTokens);
  Q_EMIT edited();
}

}  // namespace quern::ui
