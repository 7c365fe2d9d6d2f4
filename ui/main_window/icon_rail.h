// The rail at the left edge: one button a page that exists.
#pragma once

#include <QList>

#include "ui/widgets/surface.h"

class QButtonGroup;
class QVBoxLayout;

namespace quern::ui {

class IconRail : public Surface {
  Q_OBJECT
 public:
  explicit IconRail(Theme& theme, QWidget* parent = nullptr);
  /// Adds a page's button; `bottom` puts it at the rail's lower end.
  void addPage(int page, const QString& iconName, const QString& text, const QString& shortcut, bool bottom);
  void setCurrent(int page);

 Q_SIGNALS:
  void pageChosen(int page);

 private:
  Theme& theme_;
  QButtonGroup* group_;
  QVBoxLayout* top_;
  QVBoxLayout* bottom_;
};

}  // namespace quern::ui
