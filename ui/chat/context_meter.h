// How full the model's context is: a bar and "Context 63 % of 8,192"; warns at 80 %, errs at 95 %.
#pragma once

#include <QWidget>

#include "ui/theme/theme.h"

namespace quern::ui {

class ContextMeter : public QWidget {
  Q_OBJECT
 public:
  explicit ContextMeter(Theme& theme, QWidget* parent = nullptr);
  void setContext(int used, int limit);  ///< limit 0: not known, nothing is shown
  QString text() const;
  QSize sizeHint() const override;

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  int percent() const;

  Theme& theme_;
  int used_ = 0;
  int limit_ = 0;
};

}  // namespace quern::ui
