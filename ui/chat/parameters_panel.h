// The right panel: system prompt, sampling, load parameters, presets. It holds what is on the screen and says
// when a person changed it; keeping and applying is its owner's work.
#pragma once

#include <QStringList>

#include "engine/sampling/sampler.h"
#include "engine/scheduler/engine.h"
#include "ui/widgets/surface.h"

class QPlainTextEdit;
class QScrollArea;

namespace quern::ui {

class Button;
class LoadSection;
class SamplingSection;

class ParametersPanel : public Surface {
  Q_OBJECT
 public:
  explicit ParametersPanel(Theme& theme, QWidget* parent = nullptr);

  void setSystemPrompt(const QString& text);
  QString systemPrompt() const;
  void setSampling(const engine::sampling::Parameters& sampling, int maxTokens);
  engine::sampling::Parameters sampling() const;
  int maxTokens() const;  ///< -1: until the model ends
  void setLoadOptions(const engine::scheduler::LoadOptions& options);
  engine::scheduler::LoadOptions loadOptions() const;
  /// The loaded model, for token counts, ranges and the estimate; null where none is.
  void setEngine(std::shared_ptr<engine::scheduler::Engine> engine);
  void setReloadEnabled(bool enabled);
  void setPresets(const QStringList& names);
  void focusFirst();

 Q_SIGNALS:
  void systemPromptEdited(const QString& text);
  void samplingEdited();
  void loadOptionsEdited();
  void reloadRequested();
  void presetChosen(const QString& name);
  void presetSaved(const QString& name);
  void presetDeleted(const QString& name);

 private:
  QWidget* makeHeader();
  QWidget* makePrompt();
  QWidget* makeFooter();
  void countTokens();
  void showPresets();
  void savePreset();

  Theme& theme_;
  Button* presetsButton_ = nullptr;
  QPlainTextEdit* prompt_ = nullptr;
  Label* promptTokens_ = nullptr;
  SamplingSection* sampling_;
  LoadSection* load_;
  Button* reload_ = nullptr;
  QTimer* countTimer_;
  QStringList presets_;
  std::shared_ptr<engine::scheduler::Engine> engine_;
};

}  // namespace quern::ui
