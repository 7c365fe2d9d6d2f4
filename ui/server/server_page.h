// The server's page: serves the model that the window has loaded to other programs and machines.
#pragma once

#include "ui/bridge/server_control.h"
#include "ui/widgets/surface.h"

class QBoxLayout;

namespace quern::ui {

class Banner;
class Button;
class KeysCard;
class Pill;

class ServerPage : public Surface {
  Q_OBJECT
 public:
  ServerPage(Theme& theme, ServerControl& control, QWidget* parent = nullptr);
  void startOrStop();
  void focusFirst();

 protected:
  void resizeEvent(QResizeEvent* event) override;

 private:
  QWidget* makeTopBar();
  void refresh();
  void arrange();

  Theme& theme_;
  ServerControl& control_;
  Pill* state_ = nullptr;
  Label* hint_ = nullptr;
  Button* restart_ = nullptr;
  Button* startStop_ = nullptr;
  Banner* banner_ = nullptr;
  KeysCard* keys_ = nullptr;
  QBoxLayout* columns_ = nullptr;
  QWidget* side_ = nullptr;
  QString shownError_;
};

}  // namespace quern::ui
