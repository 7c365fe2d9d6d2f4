// A line edit with the search icon at its left and, while it is empty, the shortcut that leads to it.
#pragma once

#include <QLineEdit>

#include "ui/theme/theme.h"

namespace quern::ui {

class SearchField : public QLineEdit {
  Q_OBJECT
 public:
  SearchField(Theme& theme, const QString& placeholder, const QString& shortcutHint,
              QWidget* parent = nullptr);

 Q_SIGNALS:
  void escaped();      ///< Esc in the empty field
  void steppedDown();  ///< the down arrow: into the results

 protected:
  void paintEvent(QPaintEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;

 private:
  Theme& theme_;
  QString hint_;
};

}  // namespace quern::ui
