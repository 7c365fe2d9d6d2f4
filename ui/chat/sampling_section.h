// The sampling part of the parameters panel.
#pragma once

#include "engine/sampling/sampler.h"
#include "ui/widgets/surface.h"

class QComboBox;

namespace quern::ui {

class NumberField;
class NumberRow;

class SamplingSection : public Section {
  Q_OBJECT
 public:
  explicit SamplingSection(Theme& theme, QWidget* parent = nullptr);
  void setValues(const engine::sampling::Parameters& sampling, int maxTokens);
  /// What was set with setValues(), with the person's changes.
  engine::sampling::Parameters values() const;
  int maxTokens() const;
  void setContext(int tokens);

 Q_SIGNALS:
  void edited();

 private:
  NumberRow* addRow(const QString& name, const QString& label, const QString& help, double minimum,
                    double maximum, double step, int decimals, bool logarithmic = false);
  void reset();

  Theme& theme_;
  engine::sampling::Parameters base_;
  NumberRow* temperature_;
  NumberRow* topP_;
  NumberRow* minP_;
  NumberRow* topK_;
  NumberRow* repeatPenalty_;
  NumberRow* maxTokens_;
  QComboBox* seedMode_;
  NumberField* seed_;
};

}  // namespace quern::ui
