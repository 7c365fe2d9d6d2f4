// API keys: who may use the server. A new key is shown once, to be copied.
#pragma once

#include "ui/bridge/server_control.h"
#include "ui/server/card.h"

class QGridLayout;
class QLineEdit;

namespace quern::ui {

class Button;

class KeysCard : public Card {
  Q_OBJECT
 public:
  KeysCard(Theme& theme, ServerControl& control, QWidget* parent);
  /// Opens the form for a new key; `why` is shown above it.
  void askForKey(const QString& why);

 private:
  void makeForm();
  void makeReveal();
  void refresh();
  void addRow(int row, const LanKey& key);
  void make();

  Theme& theme_;
  ServerControl& control_;
  QWidget* form_;
  Label* why_;
  QLineEdit* name_;
  QWidget* reveal_;
  Label* revealed_;
  Label* key_;
  CopyButton* copy_;
  Label* failure_;
  Label* empty_;
  QWidget* table_ = nullptr;
};

}  // namespace quern::ui
