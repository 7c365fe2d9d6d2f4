#include "ui/chat/parameters_panel.h"

#include <QHBoxLayout>
#include <QInputDialog>
#include <QLocale>
#include <QMenu>
#include <QPlainTextEdit>
#include <QScrollArea>
#include <QSignalBlocker>
#include <QTimer>
#include <QVBoxLayout>

#include "engine/tokenizer/tokenizer.h"
#include "ui/chat/load_section.h"
#include "ui/chat/sampling_section.h"
#include "ui/widgets/button.h"

namespace quern::ui {

namespace {

// Counting waits until the typing rests.
constexpr int kCountDelayMs = 250;

QWidget* makeLine(Theme& theme, QWidget* parent) {
  auto* line = new Surface(theme, Color::kLine, {}, parent);
  line->setFixedHeight(1);
  return line;
}

}  // namespace

ParametersPanel::ParametersPanel(Theme& theme, QWidget* parent)
    : Surface(theme, Color::kPanel, Qt::LeftEdge, parent),
      theme_(theme),
      sampling_(nullptr),
      load_(nullptr),
      countTimer_(new QTimer(this)) {
  setObjectName(QStringLiteral("parametersPanel"));
  setAccessibleName(tr("Parameters"));
  // In the order in which Tab shall reach them.
  QWidget* header = makeHeader();
  auto* inner = new QWidget(this);
  inner->setObjectName(QStringLiteral("parametersContent"));
  QWidget* prompt = makePrompt();
  prompt->setParent(inner);
  sampling_ = new SamplingSection(theme, inner);
  load_ = new LoadSection(theme, inner);
  auto* stack = new QVBoxLayout(inner);
  stack->setContentsMargins(0, 0, 0, 0);
  stack->setSpacing(0);
  stack->addWidget(prompt);
  stack->addWidget(makeLine(theme, inner));
  stack->addWidget(sampling_);
  stack->addWidget(makeLine(theme, inner));
  stack->addWidget(load_);
  stack->addStretch(1);
  auto* scroll = new QScrollArea(this);
  scroll->setObjectName(QStringLiteral("parametersScroll"));
  scroll->setWidgetResizable(true);
  scroll->setFrameShape(QFrame::NoFrame);
  scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  scroll->setFocusPolicy(Qt::NoFocus);
  scroll->setWidget(inner);
  scroll->viewport()->setAutoFillBackground(false);
  inner->setAutoFillBackground(false);

  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(1, 0, 0, 0);
  layout->setSpacing(0);
  layout->addWidget(header);
  layout->addWidget(scroll, 1);
  layout->addWidget(makeFooter());
  const auto apply = [this] {
    setFixedWidth(theme_.scaled(304));
    prompt_->setFont(theme_.font(TextStyle::kSmall));
    prompt_->setFixedHeight(theme_.scaled(96));
  };
  connect(&theme_, &Theme::changed, this, apply);
  apply();

  countTimer_->setSingleShot(true);
  countTimer_->setInterval(kCountDelayMs);
  connect(countTimer_, &QTimer::timeout, this, &ParametersPanel::countTokens);
  // Only counting waits: who types and goes to another chat at once has said what this one is told.
  connect(prompt_, &QPlainTextEdit::textChanged, this, [this] {
    countTimer_->start();
    Q_EMIT systemPromptEdited(prompt_->toPlainText());
  });
  connect(sampling_, &SamplingSection::edited, this, &ParametersPanel::samplingEdited);
  connect(load_, &LoadSection::edited, this, &ParametersPanel::loadOptionsEdited);
}

QWidget* ParametersPanel::makeHeader() {
  auto* header = new Surface(theme_, Color::kPanel, Qt::BottomEdge, this);
  auto* layout = new QHBoxLayout(header);
  layout->setContentsMargins(theme_.scaled(16), 0, theme_.scaled(8), 0);
  layout->addWidget(new Label(theme_, tr("Parameters"), TextStyle::kSection, Color::kText, header));
  layout->addStretch(1);
  presetsButton_ = new Button(theme_, Button::Kind::kGhost, tr("Presets"), {}, header);
  presetsButton_->setObjectName(QStringLiteral("presetsButton"));
  presetsButton_->setChevron(true);
  presetsButton_->setToolTip(tr("Apply or delete a preset"));
  layout->addWidget(presetsButton_);
  header->setFixedHeight(theme_.scaled(56));
  connect(&theme_, &Theme::changed, header, [this, header] { header->setFixedHeight(theme_.scaled(56)); });
  connect(presetsButton_, &QPushButton::clicked, this, &ParametersPanel::showPresets);
  return header;
}

QWidget* ParametersPanel::makePrompt() {
  auto* section = new Section(theme_, tr("System prompt"), this);
  section->setObjectName(QStringLiteral("promptSection"));
  promptTokens_ = new Label(theme_, QStringLiteral("–"), TextStyle::kSmall, Color::kText3, section);
  promptTokens_->setObjectName(QStringLiteral("systemPromptTokens"));
  section->addToHeader(promptTokens_);
  auto* reset = makeIconButton(theme_, QStringLiteral("refresh"), tr("Clear the system prompt"), {}, section);
  reset->setObjectName(QStringLiteral("resetPrompt"));
  reset->setCompact(true);
  section->addToHeader(reset);
  prompt_ = new QPlainTextEdit(section);
  prompt_->setObjectName(QStringLiteral("systemPrompt"));
  prompt_->setAccessibleName(tr("System prompt"));
  prompt_->setToolTip(tr("What the model is told before the first question of this chat"));
  prompt_->setPlaceholderText(tr("What should the model know or be, in this chat?"));
  prompt_->setTabChangesFocus(true);
  section->content()->addWidget(prompt_);
  connect(reset, &QPushButton::clicked, prompt_, &QPlainTextEdit::clear);
  return section;
}

QWidget* ParametersPanel::makeFooter() {
  auto* footer = new Surface(theme_, Color::kPanel, Qt::TopEdge, this);
  auto* layout = new QHBoxLayout(footer);
  layout->setContentsMargins(theme_.scaled(16), theme_.scaled(12), theme_.scaled(16), theme_.scaled(12));
  layout->setSpacing(theme_.scaled(8));
  auto* save = new Button(theme_, Button::Kind::kSecondary, tr("Save as preset"), {}, footer);
  save->setObjectName(QStringLiteral("savePreset"));
  save->setToolTip(tr("Keep system prompt and sampling under a name"));
  save->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
  reload_ = new Button(theme_, Button::Kind::kSecondary, tr("Reload model"), {}, footer);
  reload_->setObjectName(QStringLiteral("reloadModel"));
  reload_->setToolTip(tr("Load the model again with these load parameters"));
  reload_->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
  reload_->setEnabled(false);
  layout->addWidget(save);
  layout->addWidget(reload_);
  connect(save, &QPushButton::clicked, this, &ParametersPanel::savePreset);
  connect(reload_, &QPushButton::clicked, this, &ParametersPanel::reloadRequested);
  return footer;
}

void ParametersPanel::setSystemPrompt(const QString& text) {
  if (prompt_->toPlainText() == text) return;
  const QSignalBlocker blocker(prompt_);
  countTimer_->stop();
  prompt_->setPlainText(text);
  countTokens();
}

QString ParametersPanel::systemPrompt() const { return prompt_->toPlainText(); }

void ParametersPanel::setSampling(const engine::sampling::Parameters& sampling, int maxTokens) {
  sampling_->setValues(sampling, maxTokens);
}

engine::sampling::Parameters ParametersPanel::sampling() const { return sampling_->values(); }

int ParametersPanel::maxTokens() const { return sampling_->maxTokens(); }

void ParametersPanel::setLoadOptions(const engine::scheduler::LoadOptions& options) {
  load_->setValues(options);
}

engine::scheduler::LoadOptions ParametersPanel::loadOptions() const { return load_->values(); }

void ParametersPanel::setEngine(std::shared_ptr<engine::scheduler::Engine> engine) {
  engine_ = std::move(engine);
  load_->setEngine(engine_);
  if (engine_) sampling_->setContext(engine_->options().contextTokens);
  countTokens();
}

void ParametersPanel::setReloadEnabled(bool enabled) { reload_->setEnabled(enabled); }

void ParametersPanel::setPresets(const QStringList& names) { presets_ = names; }

void ParametersPanel::focusFirst() { prompt_->setFocus(Qt::ShortcutFocusReason); }

void ParametersPanel::countTokens() {
  if (!engine_ || !engine_->tokenizer()) {
    promptTokens_->setText(QStringLiteral("–"));
    return;
  }
  const auto tokens =
      engine_->tokenizer()->encode(prompt_->toPlainText().toStdString(), {.parseSpecial = false});
  promptTokens_->setText(tr("%1 tokens").arg(QLocale().toString(qulonglong(tokens.size()))));
}

void ParametersPanel::showPresets() {
  QMenu menu(this);
  menu.setObjectName(QStringLiteral("presetsMenu"));
  for (const QString& name : presets_) {
    connect(menu.addAction(name), &QAction::triggered, this, [this, name] { Q_EMIT presetChosen(name); });
  }
  if (presets_.isEmpty()) menu.addAction(tr("No presets yet"))->setEnabled(false);
  menu.addSeparator();
  connect(menu.addAction(tr("Save as preset…")), &QAction::triggered, this, &ParametersPanel::savePreset);
  if (!presets_.isEmpty()) {
    QMenu* remove = menu.addMenu(tr("Delete"));
    remove->setObjectName(QStringLiteral("deletePresetMenu"));
    for (const QString& name : presets_) {
      connect(remove->addAction(name), &QAction::triggered, this,
              [this, name] { Q_EMIT presetDeleted(name); });
    }
  }
  menu.exec(presetsButton_->mapToGlobal(QPoint(0, presetsButton_->height())));
}

void ParametersPanel::savePreset() {
  bool accepted = false;
  const QString name =
      QInputDialog::getText(this, tr("Save as preset"), tr("Name"), QLineEdit::Normal, {}, &accepted)
          .trimmed();
  if (accepted && !name.isEmpty()) Q_EMIT presetSaved(name);
}

}  // namespace quern::ui
