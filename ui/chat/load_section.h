// The load part of the parameters panel: what takes effect when the model is loaded again, and the memory it
// will take.
#pragma once

#include <memory>

#include "engine/scheduler/engine.h"
#include "ui/widgets/surface.h"

class QComboBox;

namespace quern::ui {

class MemoryBar;
class NumberRow;

class LoadSection : public Section {
  Q_OBJECT
 public:
  explicit LoadSection(Theme& theme, QWidget* parent = nullptr);
  void setValues(const engine::scheduler::LoadOptions& options);
  engine::scheduler::LoadOptions values() const;
  void setEngine(std::shared_ptr<engine::scheduler::Engine> engine);
  /// True when what is shown is not what the model was loaded with.
  bool needsReload() const;

 Q_SIGNALS:
  void edited();

 private:
  NumberRow* addRow(const QString& name, const QString& label, const QString& help, double minimum,
                    double maximum, double step, bool logarithmic);
  void changed();
  void estimate();
  void reset();

  Theme& theme_;
  std::shared_ptr<engine::scheduler::Engine> engine_;
  engine::scheduler::LoadOptions base_;
  Button* resetButton_;
  Label* badge_;
  NumberRow* context_;
  NumberRow* threads_;
  NumberRow* batch_;
  QComboBox* kvType_;
  MemoryBar* bar_;
  Label* legend_;
  Label* total_;
};

}  // namespace quern::ui
