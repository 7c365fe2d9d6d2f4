#include "ui/chat/load_section.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QLocale>
#include <QSignalBlocker>
#include <QVBoxLayout>
#include <thread>

#include "engine/runtime/kv_type.h"
#include "ui/widgets/button.h"
#include "ui/widgets/combo.h"
#include "ui/widgets/slider.h"
#include "ui/widgets/sparkline.h"

namespace quern::ui {

namespace {

using engine::runtime::KvCacheType;
using engine::scheduler::LoadOptions;

constexpr int kMaxContext = 131072;
constexpr int kDefaultContext = 8192;
constexpr int kMaxBatch = 4096;
constexpr double kMebi = 1024.0 * 1024.0;

/// Bytes that one cached number takes, its part of a scale included.
double bytesPerElement(KvCacheType type) { return engine::runtime::kvTypeInfo(type).bytesOf32 / 32.0; }

int processors() { return std::max(1, int(std::thread::hardware_concurrency())); }

/// A legend as rich text: a square in the part's colour, then its name and MiB.
QString legendText(const Theme& theme, const std::vector<MemoryBar::Part>& parts) {
  QString html;
  for (const auto& part : parts) {
    html += QStringLiteral("<span style='color:%1'>■</span> %2 %3&nbsp;&nbsp;&nbsp;")
                .arg(theme.color(part.color).name(), part.label,
                     QLocale().toString(part.amount / kMebi, 'f', part.amount < 10 * kMebi ? 1 : 0));
  }
  return html;
}

}  // namespace

LoadSection::LoadSection(Theme& theme, QWidget* parent)
    : Section(theme, tr("Load"), parent),
      theme_(theme),
      resetButton_(makeIconButton(theme, QStringLiteral("refresh"), tr("Reset load parameters"), {}, this)),
      badge_(new Label(theme, tr("Reload to apply"), TextStyle::kCaption, Color::kWarn, this)) {
  setObjectName(QStringLiteral("loadSection"));
  badge_->setObjectName(QStringLiteral("reloadBadge"));
  resetButton_->setObjectName(QStringLiteral("resetLoad"));
  resetButton_->setCompact(true);
  badge_->hide();
  addToHeader(badge_);
  addToHeader(resetButton_);
  context_ =
      addRow(QStringLiteral("contextTokens"), tr("Context"),
             tr("Tokens that a chat may hold, question and answer together."), 256, kDefaultContext, 1, true);
  threads_ = addRow(QStringLiteral("threads"), tr("Threads"), tr("Processor threads that compute."), 1,
                    std::max(2, processors()), 1, false);
  batch_ = addRow(QStringLiteral("batchTokens"), tr("Batch"),
                  tr("Tokens of a question that are read in one step."), 32, kMaxBatch, 1, true);

  auto* row = new QWidget(this);
  auto* layout = new QHBoxLayout(row);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->setSpacing(theme.scaled(12));
  auto* label = new Label(theme, tr("KV cache"), TextStyle::kSmall, Color::kText2, row);
  kvType_ = new Combo(theme, row);
  kvType_->setObjectName(QStringLiteral("kvType"));
  kvType_->setAccessibleName(tr("KV cache type"));
  kvType_->setToolTip(
      tr("How keys and values are kept: Q8_0 takes about half the memory of F16, Q4_0 a quarter"));
  kvType_->addItem(QStringLiteral("F16"), int(KvCacheType::kF16));
  kvType_->addItem(QStringLiteral("Q8_0"), int(KvCacheType::kQ8_0));
  kvType_->addItem(QStringLiteral("Q4_0"), int(KvCacheType::kQ4_0));
  kvType_->addItem(QStringLiteral("F32"), int(KvCacheType::kF32));
  layout->addWidget(label);
  layout->addWidget(kvType_, 1);
  content()->addWidget(row);

  bar_ = new MemoryBar(theme, this);
  bar_->setObjectName(QStringLiteral("memoryBar"));
  legend_ = new Label(theme, {}, TextStyle::kCaption, Color::kText2, this);
  legend_->setTextFormat(Qt::RichText);
  legend_->setObjectName(QStringLiteral("memoryLegend"));
  total_ = new Label(theme, QStringLiteral("–"), TextStyle::kMonoSmall, Color::kText, this);
  total_->setObjectName(QStringLiteral("memoryTotal"));
  auto* sum = new QHBoxLayout;
  sum->addWidget(new Label(theme, tr("Estimated memory"), TextStyle::kSmall, Color::kText2, this));
  sum->addStretch(1);
  sum->addWidget(total_);
  content()->addSpacing(theme.scaled(8));
  content()->addWidget(bar_);
  content()->addSpacing(theme.scaled(8));
  content()->addWidget(legend_);
  content()->addSpacing(theme.scaled(4));
  content()->addLayout(sum);

  const auto apply = [this, row, label] {
    row->setFixedHeight(theme_.scaled(32));
    label->setFixedWidth(theme_.scaled(96));
    kvType_->setFont(theme_.font(TextStyle::kSmall));
    kvType_->setFixedHeight(theme_.scaled(24));
    estimate();
  };
  setValues({});
  connect(&theme_, &Theme::changed, this, apply);
  apply();
  connect(resetButton_, &QPushButton::clicked, this, &LoadSection::reset);
  connect(kvType_, &QComboBox::currentIndexChanged, this, &LoadSection::changed);
}

NumberRow* LoadSection::addRow(const QString& name, const QString& label, const QString& help, double minimum,
                               double maximum, double step, bool logarithmic) {
  auto* row = new NumberRow(theme_, {name, label, help, minimum, maximum, step, 0, logarithmic}, this);
  content()->addWidget(row);
  connect(row, &NumberRow::edited, this, &LoadSection::changed);
  return row;
}

void LoadSection::setValues(const LoadOptions& options) {
  base_ = options;
  const QSignalBlocker blocker(kvType_);
  context_->setValue(options.contextTokens > 0 ? options.contextTokens : kDefaultContext);
  threads_->setValue(options.threads > 0 ? options.threads : processors());
  batch_->setValue(options.batchTokens);
  kvType_->setCurrentIndex(kvType_->findData(int(options.kvType)));
  badge_->setVisible(needsReload());
  estimate();
}

LoadOptions LoadSection::values() const {
  LoadOptions options = base_;
  options.contextTokens = std::int32_t(context_->value());
  options.threads = std::int32_t(threads_->value());
  options.batchTokens = std::int32_t(batch_->value());
  options.kvType = KvCacheType(kvType_->currentData().toInt());
  return options;
}

void LoadSection::setEngine(std::shared_ptr<engine::scheduler::Engine> engine) {
  engine_ = std::move(engine);
  if (engine_) {
    const int trained = engine_->info().trainedContext;
    context_->setMaximum(trained > 0 ? std::min(trained, kMaxContext) : kMaxContext);
    setValues(engine_->options());
  }
  estimate();
}

bool LoadSection::needsReload() const {
  if (!engine_) return false;
  const LoadOptions now = engine_->options();
  const LoadOptions wanted = values();
  return now.contextTokens != wanted.contextTokens || now.threads != wanted.threads ||
         now.batchTokens != wanted.batchTokens || now.kvType != wanted.kvType;
}

void LoadSection::changed() {
  badge_->setVisible(needsReload());
  estimate();
  Q_EMIT edited();
}

void LoadSection::estimate() {
  if (!engine_) {
    bar_->setParts({});
    legend_->setText(tr("Known when a model is loaded"));
    total_->setText(QStringLiteral("–"));
    return;
  }
  // What the loaded model takes is known; the cache grows with the context and the bytes of its numbers, the
  // work buffers with the batch.
  const auto memory = engine_->stats().memory;
  const LoadOptions now = engine_->options();
  const LoadOptions wanted = values();
  const double kv = double(memory.kvBytes) * wanted.contextTokens / std::max(1, now.contextTokens) *
                    bytesPerElement(wanted.kvType) / bytesPerElement(now.kvType);
  const double work = double(memory.workBytes) * wanted.batchTokens / std::max(1, now.batchTokens);
  std::vector<MemoryBar::Part> parts = {{tr("Weights"), double(memory.weightBytes), Color::kSeries1},
                                        {tr("KV"), kv, Color::kSeries2},
                                        {tr("Work"), work, Color::kSeries3}};
  legend_->setText(legendText(theme_, parts));
  const double sum = double(memory.weightBytes) + kv + work;
  total_->setText(tr("%1 MiB").arg(QLocale().toString(sum / kMebi, 'f', 0)));
  bar_->setAccessibleName(tr("Estimated memory"));
  bar_->setAccessibleDescription(tr("Weights %1, KV cache %2, work %3 MiB")
                                     .arg(QLocale().toString(double(memory.weightBytes) / kMebi, 'f', 0),
                                          QLocale().toString(kv / kMebi, 'f', 0),
                                          QLocale().toString(work / kMebi, 'f', 0)));
  bar_->setToolTip(bar_->accessibleDescription());
  bar_->setParts(std::move(parts));
}

void LoadSection::reset() {
  LoadOptions defaults;
  const int trained = engine_ ? engine_->info().trainedContext : 0;
  if (trained > 0) defaults.contextTokens = std::min(trained, kDefaultContext);
  setValues(defaults);
  Q_EMIT edited();
}

}  // namespace quern::ui
