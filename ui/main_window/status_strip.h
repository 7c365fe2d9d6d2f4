// The strip at the window's foot: the model and what it does, and figures that were measured: tokens/s,
// bandwidth against the limit, memory, CPU. "–" stands for what is not known.
#pragma once

#include <QTimer>

#include "ui/main_window/process_usage.h"
#include "ui/widgets/surface.h"

namespace quern::ui {

class Conversation;
class ModelService;
class Sparkline;

class StatusStrip : public Surface {
  Q_OBJECT
 public:
  StatusStrip(Theme& theme, ModelService& models, Conversation& conversation, QWidget* parent = nullptr);

 protected:
  void resizeEvent(QResizeEvent* event) override;

 private:
  void sample();
  void showState();

  Theme& theme_;
  ModelService& models_;
  Conversation& conversation_;
  ProcessUsage usage_;
  Label* dot_;
  Label* model_;
  Label* state_;
  Sparkline* speedLine_;
  Label* speed_;
  Sparkline* bandwidthLine_;
  Label* bandwidth_;
  Label* bandwidthOf_;
  Label* memory_;
  Label* cpu_;
  QTimer timer_;
  int tick_ = 0;
  int tokens_ = 0;
};

}  // namespace quern::ui
