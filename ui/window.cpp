#include "ui/window.h"

#include <QApplication>
#include <QLibraryInfo>
#include <QLocale>
#include <QMessageBox>
#include <QThreadPool>
#include <QTranslator>

#include "engine/base/places.h"
#include "engine/store/store.h"
#include "ui/bridge/app_settings.h"
#include "ui/bridge/conversation.h"
#include "ui/bridge/model_service.h"
#include "ui/bridge/presets.h"
#include "ui/bridge/server_control.h"
#include "ui/main_window/main_window.h"
#include "ui/theme/theme.h"

namespace quern::ui {

int runWindow(int argc, char** argv, const std::string& file, LanService* lan) {
  QApplication application(argc, argv);
  QApplication::setApplicationName(QStringLiteral("quern"));
  QApplication::setApplicationDisplayName(QStringLiteral("Quern"));
  QApplication::setDesktopFileName(QStringLiteral("quern"));
  QTranslator translator;
  if (translator.load(QLocale(), QStringLiteral("qtbase"), QStringLiteral("_"),
                      QLibraryInfo::path(QLibraryInfo::TranslationsPath))) {
    QApplication::installTranslator(&translator);
  }

  const std::filesystem::path folder = engine::base::dataFolder();
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
  auto store = engine::store::Store::open(folder / "quern.db");
  if (!store) {
    // Without its database the window can keep nothing, so it says why and does not open.
    QMessageBox box(QMessageBox::Critical, QStringLiteral("Quern"),
                    QString::fromStdString(store.error().message()));
    box.setDetailedText(QString::fromStdString(store.error().describe()));
    box.exec();
    return 1;
  }
  AppSettings settings(**store);
  // What was read of a chat goes with it. Whose blocks are whose is not known: all go, and cost only time.
  const auto deleted = (*store)->hasDeleted();
  if (!deleted || *deleted) settings.forgetPrompts();
  (*store)->purgeDeleted();

  Theme theme;
  ModelService models;
  Conversation conversation(**store, models);
  Presets presets(**store);
  // Ends behind the window, which is gone from the screen while answers of the network come to their end.
  std::unique_ptr<ServerControl> server;
  if (lan != nullptr) server = std::make_unique<ServerControl>(**store, models, *lan);
  MainWindow window({theme, **store, models, conversation, settings, presets, server.get()});
  if (!file.empty()) window.setStartModel(file);
  window.show();
  const int code = QApplication::exec();
  // Exports and looks into files still use the store.
  QThreadPool::globalInstance()->waitForDone();
  return code;
}

}  // namespace quern::ui
