// The settings page: appearance, the model at start, where things are kept.
#pragma once

#include <QStringList>

#include "ui/widgets/surface.h"

class QButtonGroup;
class QComboBox;
class QSpinBox;

namespace quern::ui {

class Slider;
class Switch;

/// What a person decides about the window. `defaultModel` is an installed name; empty: the one used last.
struct Preferences {
  Theme::Mode mode = Theme::Mode::kSystem;
  int textPercent = 100;
  bool reduceMotion = false;
  QString defaultModel;
  bool keepPrompts = false;  ///< beginnings of chats on disk
};

class SettingsPage : public Surface {
  Q_OBJECT
 public:
  explicit SettingsPage(Theme& theme, QWidget* parent = nullptr);
  void setPreferences(const Preferences& preferences);
  void setInstalledModels(const QStringList& names);
  void focusFirst();

 Q_SIGNALS:
  void changed(const Preferences& preferences);
  void failed(const QString& sentence, const QString& details);

 private:
  QWidget* makeAppearance();
  QWidget* makeModels();
  QWidget* makePlaces();
  void emitChanged();

  Theme& theme_;
  Preferences preferences_;
  QButtonGroup* modes_ = nullptr;
  Slider* textSize_ = nullptr;
  Label* textSizeValue_ = nullptr;
  Switch* reduceMotion_ = nullptr;
  QComboBox* defaultModel_ = nullptr;
  Switch* keepPrompts_ = nullptr;
};

}  // namespace quern::ui
