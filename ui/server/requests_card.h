// The requests that ended last.
#pragma once

#include "ui/bridge/server_control.h"
#include "ui/server/card.h"

class QTableWidget;

namespace quern::ui {

class RequestsCard : public Card {
  Q_OBJECT
 public:
  RequestsCard(Theme& theme, ServerControl& control, QWidget* parent);

 protected:
  void resizeEvent(QResizeEvent* event) override;

 private:
  void applyTheme();
  void refresh(bool anew);
  void fillRow(int row, const LanRequest& request);

  Theme& theme_;
  ServerControl& control_;
  QTableWidget* table_;
  Label* empty_;
  std::vector<LanRequest> shown_;
};

}  // namespace quern::ui
