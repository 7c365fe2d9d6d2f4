// The window: rail, pages, status strip; every keyboard command; what is dropped; what is remembered.
#pragma once

#include <QMainWindow>

#include "ui/chat/chat_page.h"
#include "ui/main_window/shortcuts.h"
#include "ui/settings/settings_page.h"

class QStackedWidget;

namespace quern::ui {

class IconRail;
class ModelCatalogue;
class ServerPage;
class StatusStrip;
class Toast;

class MainWindow : public QMainWindow {
  Q_OBJECT
 public:
  explicit MainWindow(const Services& services);
  /// A model to load in place of the remembered one, once the window is painted.
  void setStartModel(const std::filesystem::path& path) { startModel_ = path; }
  void run(Command command);

 Q_SIGNALS:
  /// The first frame is on the screen; loading begins now.
  void firstPainted();

 protected:
  bool event(QEvent* event) override;
  void closeEvent(QCloseEvent* event) override;
  void dragEnterEvent(QDragEnterEvent* event) override;
  void dropEvent(QDropEvent* event) override;

 private:
  enum Page { kChat, kSettings, kServer };
  void makeShortcuts();
  void showPage(Page page);
  void cyclePane(bool forward);
  void toggleTheme();
  void restoreState();
  void storeState();
  void applyPreferences(const Preferences& preferences);
  void startModel();
  std::filesystem::path modelAtStart() const;

  Services services_;
  Theme& theme_;
  ModelCatalogue* catalogue_;
  Toast* toast_ = nullptr;
  IconRail* rail_;
  QStackedWidget* pages_;
  ChatPage* chat_ = nullptr;
  SettingsPage* settings_ = nullptr;
  ServerPage* server_ = nullptr;  ///< null where the window cannot serve
  StatusStrip* strip_;
  Preferences preferences_;
  std::filesystem::path startModel_;
  bool painted_ = false;
};

}  // namespace quern::ui
