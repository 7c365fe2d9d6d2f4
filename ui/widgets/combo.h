// A combo box with the tokens' chevron, which leaves the wheel to the panel that it stands in.
#pragma once

#include <QComboBox>

#include "ui/theme/theme.h"

namespace quern::ui {

class Combo : public QComboBox {
  Q_OBJECT
 public:
  explicit Combo(Theme& theme, QWidget* parent = nullptr);

 protected:
  void paintEvent(QPaintEvent* event) override;
  void wheelEvent(QWheelEvent* event) override;

 private:
  Theme& theme_;
};

}  // namespace quern::ui
