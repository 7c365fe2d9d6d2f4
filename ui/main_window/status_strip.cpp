#include "ui/main_window/status_strip.h"

#include <QHBoxLayout>
#include <QLocale>

#include "ui/bridge/conversation.h"
#include "ui/bridge/model_service.h"
#include "ui/widgets/sparkline.h"

namespace quern::ui {

namespace {

// Charts move 4 times a second over the last 60 s; figures change twice a second.
constexpr int kSampleMs = 250;
constexpr int kPoints = 240;
constexpr int kLinesFrom = 880;
constexpr double kGiga = 1e9;
constexpr double kMebi = 1024.0 * 1024.0;

QString unknown() { return QStringLiteral("–"); }

}  // namespace

StatusStrip::StatusStrip(Theme& theme, ModelService& models, Conversation& conversation, QWidget* parent)
    : Surface(theme, Color::kRail, Qt::TopEdge, parent),
      theme_(theme),
      models_(models),
      conversation_(conversation),
      dot_(new Label(theme, QStringLiteral("●"), TextStyle::kCaption, Color::kText3, this)),
      model_(new Label(theme, {}, TextStyle::kSmall, Color::kText2, this)),
      state_(new Label(theme, {}, TextStyle::kSmall, Color::kText3, this)),
      speedLine_(new Sparkline(theme, Color::kSeries1, kPoints, this)),
      speed_(new Label(theme, unknown(), TextStyle::kMonoSmall, Color::kText, this)),
      bandwidthLine_(new Sparkline(theme, Color::kSeries2, kPoints, this)),
      bandwidth_(new Label(theme, unknown(), TextStyle::kMonoSmall, Color::kText, this)),
      bandwidthOf_(new Label(theme, tr("GB/s"), TextStyle::kSmall, Color::kText3, this)),
      memory_(new Label(theme, unknown(), TextStyle::kMonoSmall, Color::kText, this)),
      cpu_(new Label(theme, unknown(), TextStyle::kMonoSmall, Color::kText, this)) {
  setObjectName(QStringLiteral("statusStrip"));
  setAccessibleName(tr("Status"));
  model_->setObjectName(QStringLiteral("statusModel"));
  model_->setElided(true);
  state_->setObjectName(QStringLiteral("statusState"));
  speed_->setObjectName(QStringLiteral("statusSpeed"));
  bandwidth_->setObjectName(QStringLiteral("statusBandwidth"));
  memory_->setObjectName(QStringLiteral("statusMemory"));
  cpu_->setObjectName(QStringLiteral("statusCpu"));
  speedLine_->setAccessibleName(tr("Tokens per second, last 60 seconds"));
  bandwidthLine_->setAccessibleName(tr("Memory bandwidth of decoding, last 60 seconds"));
  speed_->setToolTip(tr("Tokens decoded per second, over the last second"));
  bandwidth_->setToolTip(
      tr("Bytes of the model that decoding reads per second, of what this machine's memory can deliver"));
  memory_->setToolTip(tr("Memory of this process that is resident"));
  cpu_->setToolTip(tr("Processor time of this process; 100 % is one core"));

  auto* layout = new QHBoxLayout(this);
  layout->setContentsMargins(theme.scaled(16), 1, theme.scaled(16), 0);
  layout->setSpacing(theme.scaled(8));
  const auto divider = [&] {
    layout->addSpacing(theme.scaled(6));
    auto* line = new Surface(theme, Color::kLine2, {}, this);
    line->setFixedSize(1, theme.scaled(16));
    layout->addWidget(line);
    layout->addSpacing(theme.scaled(6));
  };
  layout->addWidget(dot_);
  layout->addWidget(model_);
  divider();
  layout->addWidget(state_);
  layout->addStretch(1);
  layout->addWidget(speedLine_);
  layout->addWidget(speed_);
  layout->addWidget(new Label(theme, tr("tok/s"), TextStyle::kSmall, Color::kText3, this));
  divider();
  layout->addWidget(bandwidthLine_);
  layout->addWidget(bandwidth_);
  layout->addWidget(bandwidthOf_);
  divider();
  layout->addWidget(memory_);
  layout->addWidget(new Label(theme, tr("MiB used"), TextStyle::kSmall, Color::kText3, this));
  divider();
  layout->addWidget(new Label(theme, tr("CPU"), TextStyle::kSmall, Color::kText3, this));
  layout->addWidget(cpu_);

  const auto apply = [this] { setFixedHeight(theme_.scaled(32)); };
  connect(&theme_, &Theme::changed, this, apply);
  apply();
  connect(&models_, &ModelService::stateChanged, this, &StatusStrip::showState);
  connect(&models_, &ModelService::progressChanged, this, &StatusStrip::showState);
  connect(&conversation_, &Conversation::generatingChanged, this, [this] {
    tokens_ = 0;
    showState();
  });
  connect(&conversation_, &Conversation::liveStats, this,
          [this](double, int tokens, double) { tokens_ = tokens; });
  timer_.setInterval(kSampleMs);
  connect(&timer_, &QTimer::timeout, this, &StatusStrip::sample);
  timer_.start();
  showState();
}

void StatusStrip::resizeEvent(QResizeEvent* event) {
  Surface::resizeEvent(event);
  // Where it gets tight the lines go first; the figures stay.
  speedLine_->setVisible(width() >= theme_.scaled(kLinesFrom));
  bandwidthLine_->setVisible(width() >= theme_.scaled(kLinesFrom));
}

void StatusStrip::showState() {
  const QLocale locale;
  const auto state = models_.state();
  model_->setText(state == ModelService::State::kNone ? tr("No model") : models_.modelName());
  if (const auto engine = models_.engine()) {
    model_->setText(QStringLiteral("%1 · %2").arg(models_.modelName(),
                                                  QString::fromStdString(engine->info().quantization)));
  }
  switch (state) {
    case ModelService::State::kNone:
      dot_->setColor(Color::kText3);
      state_->setText(tr("Choose a model"));
      break;
    case ModelService::State::kLoading:
      dot_->setColor(Color::kInfo);
      state_->setText(tr("Loading · %1 %").arg(int(models_.progress() * 100)));
      break;
    case ModelService::State::kFailed:
      dot_->setColor(Color::kError);
      state_->setText(tr("Could not be loaded"));
      break;
    case ModelService::State::kReady:
      dot_->setColor(Color::kOk);
      if (conversation_.isGenerating()) {
        state_->setText(tokens_ > 0 ? tr("Generating · %1 tokens").arg(locale.toString(tokens_))
                                    : tr("Reading the question"));
      } else {
        state_->setText(tr("Ready"));
      }
      break;
  }
}

void StatusStrip::sample() {
  if (!isVisible() || window()->isMinimized()) return;
  const QLocale locale;
  const bool figures = tick_++ % 2 == 0;
  const auto engine = models_.engine();
  if (engine) {
    const auto stats = engine->stats();
    speedLine_->push(stats.decodeTokensPerSecond);
    bandwidthLine_->setCeiling(stats.bandwidthLimit);
    bandwidthLine_->push(stats.readBytesPerSecond);
    if (figures) {
      // Idle is not a speed of zero: nothing is being measured then.
      const bool decoding = stats.decodeTokensPerSecond > 0;
      speed_->setText(decoding ? locale.toString(stats.decodeTokensPerSecond, 'f', 1) : unknown());
      bandwidth_->setText(decoding ? locale.toString(stats.readBytesPerSecond / kGiga, 'f', 1) : unknown());
      bandwidthOf_->setText(stats.bandwidthLimit > 0
                                ? tr("of %1 GB/s").arg(locale.toString(stats.bandwidthLimit / kGiga, 'f', 1))
                                : tr("GB/s"));
      const QString latest = tr("latest %1, limit %2").arg(bandwidth_->text(), bandwidthOf_->text());
      bandwidthLine_->setAccessibleDescription(latest);
      speedLine_->setAccessibleDescription(tr("latest %1 tokens per second").arg(speed_->text()));
    }
  } else if (figures) {
    speed_->setText(unknown());
    bandwidth_->setText(unknown());
    bandwidthOf_->setText(tr("GB/s"));
  }
  if (!figures) return;
  const auto resident = ProcessUsage::residentBytes();
  memory_->setText(resident ? locale.toString(double(*resident) / kMebi, 'f', 0) : unknown());
  const auto cpu = usage_.cpuPercent();
  cpu_->setText(cpu ? tr("%1 %").arg(locale.toString(*cpu, 'f', 0)) : unknown());
  showState();
}

}  // namespace quern::ui
