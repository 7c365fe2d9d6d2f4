// What stands where a chat will be: a greeting, or the one step that leads to a model.
#pragma once

#include "ui/widgets/surface.h"

namespace quern::ui {

class EmptyState : public Surface {
  Q_OBJECT
 public:
  explicit EmptyState(Theme& theme, QWidget* parent = nullptr);
  void showNoModel();
  void showLoading(const QString& modelName, double progress);
  void showReady(const QString& modelName);

 Q_SIGNALS:
  void openFileRequested();

 private:
  void set(const QString& title, const QString& sentence, bool button);

  Theme& theme_;
  QLabel* icon_;
  Label* title_;
  Label* sentence_;
  Button* button_;
};

}  // namespace quern::ui
