// The cards of the server's page that show what a ServerControl says and carry wishes to it.
#pragma once

#include "ui/bridge/server_control.h"
#include "ui/server/card.h"

class QPlainTextEdit;
class QSpinBox;

namespace quern::ui {

class Button;
class Switch;

/// Where the server is reached, and whether the way there is encrypted.
class AddressCard : public Card {
  Q_OBJECT
 public:
  AddressCard(Theme& theme, ServerControl& control, QWidget* parent);

 private:
  void refresh();

  ServerControl& control_;
  Label* where_;
  Label* url_;
  CopyButton* copy_;
  Button* open_;
  Label* others_;
  Label* tls_;
  Label* fingerprint_;
  CopyButton* copyFingerprint_;
};

/// Who gets in, on which port, and whether it starts by itself.
class AccessCard : public Card {
  Q_OBJECT
 public:
  AccessCard(Theme& theme, ServerControl& control, QWidget* parent);

 private:
  void refresh();
  void store();

  ServerControl& control_;
  Switch* network_;
  Switch* needsKeys_;
  Switch* tls_;
  QSpinBox* port_;
  Switch* withWindow_;
};

/// What is going on, twice a second.
class ActivityCard : public Card {
  Q_OBJECT
 public:
  ActivityCard(Theme& theme, ServerControl& control, QWidget* parent);

 private:
  void refresh();

  ServerControl& control_;
  Label* model_;
  Label* speed_;
  Label* running_;
  Label* waiting_;
  Label* connections_;
  Label* answered_;
  Label* refused_;
  Label* failed_;
};

/// A first request to copy.
class CallCard : public Card {
  Q_OBJECT
 public:
  CallCard(Theme& theme, ServerControl& control, QWidget* parent);

 private:
  void refresh();

  Theme& theme_;
  ServerControl& control_;
  Label* text_;
  CopyButton* copy_;
};

}  // namespace quern::ui
