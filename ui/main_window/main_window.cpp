#include "ui/main_window/main_window.h"

#include <QApplication>
#include <QCloseEvent>
#include <QDragEnterEvent>
#include <QFileInfo>
#include <QHBoxLayout>
#include <QMimeData>
#include <QShortcut>
#include <QStackedWidget>
#include <QTimer>
#include <QUrl>
#include <QVBoxLayout>

#include "engine/gguf/file.h"
#include "engine/hub/library.h"
#include "ui/bridge/app_settings.h"
#include "ui/bridge/model_service.h"
#include "ui/bridge/server_control.h"
#include "ui/chat/model_catalogue.h"
#include "ui/main_window/icon_rail.h"
#include "ui/main_window/status_strip.h"
#include "ui/server/server_page.h"
#include "ui/widgets/notices.h"

namespace quern::ui {

namespace {

namespace fs = std::filesystem;

constexpr char kGeometryKey[] = "window.geometry";

constexpr char kReduceMotionKey[] = "window.reduceMotion";
constexpr char kDefaultModelKey[] = "window.defaultModel";

constexpr char kStarterModel[] = "smollm2";
constexpr int kDefaultWidth = 1440;
constexpr int kDefaultHeight = 900;

std::string setting(engine::store::Store& store, const char* key) {
  const auto value = store.setting(key);
  return value && *value ? **value : std::string();
}

bool isInside(QWidget* widget, QWidget* ancestor) {
  return widget != nullptr && (widget == ancestor || ancestor->isAncestorOf(widget));
}

/// The widget of a pane that Tab would reach first.
QWidget* firstFocus(QWidget* pane) {
  const auto accepts = [](QWidget* widget) {
    return widget->isVisible() && widget->isEnabled() && (widget->focusPolicy() & Qt::TabFocus) != 0;
  };
  if (accepts(pane)) return pane;
  for (QWidget* next = pane->nextInFocusChain(); next != pane; next = next->nextInFocusChain()) {
    if (pane->isAncestorOf(next) && accepts(next)) return next;
  }
  return nullptr;
}

QStringList localFiles(const QMimeData* data) {
  QStringList files;
  for (const QUrl& url : data->urls()) {
    if (url.isLocalFile() && QFileInfo(url.toLocalFile()).isFile()) files.append(url.toLocalFile());
  }
  return files;
}

}  // namespace

MainWindow::MainWindow(const Services& services)
    : services_(services),
      theme_(services.theme),
      catalogue_(new ModelCatalogue(services.settings, this)),
      rail_(new IconRail(theme_, this)),
      pages_(new QStackedWidget(this)),
      strip_(new StatusStrip(theme_, services.models, services.conversation, this)) {
  setObjectName(QStringLiteral("mainWindow"));
  setWindowTitle(tr("Quern"));
  setAcceptDrops(true);
  setMinimumSize(560, 420);
  restoreState();

  auto* root = new QWidget(this);
  auto* rows = new QVBoxLayout(root);
  rows->setContentsMargins(0, 0, 0, 0);
  rows->setSpacing(0);
  auto* columns = new QHBoxLayout;
  columns->setSpacing(0);
  columns->addWidget(rail_);
  columns->addWidget(pages_, 1);
  rows->addLayout(columns, 1);
  rows->addWidget(strip_);
  setCentralWidget(root);
  toast_ = new Toast(theme_, root);

  chat_ = new ChatPage(services_, *catalogue_, *toast_, pages_);
  settings_ = new SettingsPage(theme_, pages_);
  settings_->setPreferences(preferences_);
  pages_->addWidget(chat_);
  pages_->addWidget(settings_);
  rail_->addPage(kChat, QStringLiteral("chat"), tr("Chat"), tr("Ctrl+1"), false);
  if (services_.server != nullptr) {
    server_ = new ServerPage(theme_, *services_.server, pages_);
    pages_->addWidget(server_);
    rail_->addPage(kServer, QStringLiteral("server"), tr("Server"), tr("Ctrl+6"), false);
  }
  rail_->addPage(kSettings, QStringLiteral("settings"), tr("Settings"), tr("Ctrl+,"), true);
  connect(rail_, &IconRail::pageChosen, this, [this](int page) { showPage(Page(page)); });
  connect(settings_, &SettingsPage::changed, this, &MainWindow::applyPreferences);
  connect(settings_, &SettingsPage::failed, this, [this](const QString& sentence, const QString& details) {
    showPage(kChat);
    chat_->showError(sentence, details);
  });
  makeShortcuts();
  showPage(kChat);
}

void MainWindow::makeShortcuts() {
  for (const ShortcutGroup& group : shortcutGroups()) {
    for (const ShortcutInfo& info : group.shortcuts) {
      if (info.command == Command::kNone) continue;
      auto* shortcut = new QShortcut(info.keys, this);
      connect(shortcut, &QShortcut::activated, this, [this, command = info.command] { run(command); });
    }
  }
}

void MainWindow::run(Command command) {
  switch (command) {
    case Command::kNone:
      return;
    case Command::kSettings:
      return showPage(kSettings);
    case Command::kServerPage:
      if (server_ != nullptr) showPage(kServer);
      return;
    case Command::kStartServer:
      if (server_ == nullptr) return;
      showPage(kServer);
      return server_->startOrStop();
    case Command::kNextPane:
      return cyclePane(true);
    case Command::kPreviousPane:
      return cyclePane(false);
    case Command::kToggleTheme:
      return toggleTheme();
    case Command::kShortcuts:
      return (new ShortcutsDialog(theme_, this))->open();
    case Command::kQuit:
      close();
      return;
    case Command::kEscape:
      if (pages_->currentIndex() != kChat) return showPage(kChat);
      chat_->escape();
      return;
    default:
      break;
  }
  // All others act on the chat, so they bring it to the front.
  showPage(kChat);
  switch (command) {
    case Command::kSearch:
      return chat_->focusSearch();
    case Command::kNewChat:
      return chat_->newChat();
    case Command::kChooseModel:
      return chat_->chooseModel();
    case Command::kRegenerate:
      return chat_->regenerate();
    case Command::kEditLast:
      return chat_->editLastQuestion();
    case Command::kPreviousVersion:
      return chat_->stepVersion(-1);
    case Command::kNextVersion:
      return chat_->stepVersion(1);
    case Command::kAttach:
      return chat_->chooseAttachments();
    case Command::kFind:
      return chat_->find();
    case Command::kToggleList:
      return chat_->toggleList();
    case Command::kTogglePanel:
      return chat_->togglePanel();
    case Command::kOpenFile:
      return chat_->openModelFile();
    default:
      return chat_->focusComposer();
  }
}

void MainWindow::showPage(Page page) {
  rail_->setCurrent(page);
  if (pages_->currentIndex() == page) return;
  if (page == kSettings) {
    QStringList names;
    for (const ModelChoice& choice : catalogue_->choices()) {
      if (!choice.sideLoaded) names.append(choice.name);
    }
    settings_->setInstalledModels(names);
    settings_->setPreferences(preferences_);
  }
  pages_->setCurrentIndex(page);
  if (page == kSettings) {
    settings_->focusFirst();
  } else if (page == kServer) {
    server_->focusFirst();
  } else {
    chat_->focusComposer();
  }
}

void MainWindow::cyclePane(bool forward) {
  QList<QWidget*> panes = {rail_};
  if (pages_->currentIndex() == kChat) {
    panes += chat_->panes();
  } else {
    panes += pages_->currentWidget();
  }
  qsizetype current = -1;
  for (qsizetype i = 0; i < panes.size(); ++i) {
    if (isInside(QApplication::focusWidget(), panes[i])) current = i;
  }
  for (qsizetype step = 1; step <= panes.size(); ++step) {
    const qsizetype offset = forward ? step : -step;
    const qsizetype next = ((current + offset) % panes.size() + panes.size()) % panes.size();
    if (QWidget* target = firstFocus(panes[next])) return target->setFocus(Qt::ShortcutFocusReason);
  }
}

void MainWindow::toggleTheme() {
  preferences_.mode = theme_.isDark() ? Theme::Mode::kLight : Theme::Mode::kDark;
  settings_->setPreferences(preferences_);
  applyPreferences(preferences_);
}

void MainWindow::applyPreferences(const Preferences& preferences) {
  preferences_ = preferences;
  theme_.setMode(preferences.mode);
  theme_.setTextPercent(preferences.textPercent);
  theme_.setReduceMotion(preferences.reduceMotion);
  theme_.apply();
  engine::store::Store& store = services_.store;
  services_.settings.setThemeMode(AppSettings::ThemeMode(int(preferences.mode)));
  services_.settings.setTextPercent(preferences.textPercent);
  services_.settings.setKeepsPrompts(preferences.keepPrompts);
  store.setSetting(kReduceMotionKey, preferences.reduceMotion ? "1" : "0");
  store.setSetting(kDefaultModelKey, preferences.defaultModel.toStdString());
}

void MainWindow::restoreState() {
  engine::store::Store& store = services_.store;
  preferences_.mode = Theme::Mode(int(services_.settings.themeMode()));
  preferences_.textPercent = services_.settings.textPercent();
  preferences_.keepPrompts = services_.settings.keepsPrompts();
  preferences_.reduceMotion = setting(store, kReduceMotionKey) == "1";
  preferences_.defaultModel = QString::fromStdString(setting(store, kDefaultModelKey));
  theme_.setMode(preferences_.mode);
  theme_.setTextPercent(preferences_.textPercent);
  theme_.setReduceMotion(preferences_.reduceMotion);
  theme_.apply();
  resize(kDefaultWidth, kDefaultHeight);
  restoreGeometry(QByteArray::fromBase64(QByteArray::fromStdString(setting(store, kGeometryKey))));
}

void MainWindow::storeState() {
  services_.store.setSetting(kGeometryKey, saveGeometry().toBase64().toStdString());
}

bool MainWindow::event(QEvent* event) {
  const bool handled = QMainWindow::event(event);
  // All widgets are painted and flushed in one go, so after this event's turn there is a picture.
  if (!painted_ && (event->type() == QEvent::Paint || event->type() == QEvent::UpdateRequest)) {
    painted_ = true;
    QTimer::singleShot(0, this, [this] {
      Q_EMIT firstPainted();
      chat_->restore();
      startModel();
      if (services_.server != nullptr && services_.server->preferences().startsWithWindow)
        services_.server->start();
    });
  }
  return handled;
}

fs::path MainWindow::modelAtStart() const {
  if (!startModel_.empty()) return startModel_;
  if (!preferences_.defaultModel.isEmpty()) {
    const auto chosen = engine::hub::resolveModel(preferences_.defaultModel.toStdString());
    if (chosen) return *chosen;
  }
  const fs::path last = services_.settings.lastModel();
  std::error_code ignored;
  if (!last.empty() && fs::is_regular_file(last, ignored)) return last;
  if (const auto starter = engine::hub::resolveModel(kStarterModel)) return *starter;
  const auto installed = engine::hub::installedModels();
  return installed && !installed->empty() ? installed->front().path : fs::path();
}

void MainWindow::startModel() {
  const fs::path path = modelAtStart();
  if (!path.empty()) chat_->loadModel(path);
}

void MainWindow::closeEvent(QCloseEvent* event) {
  storeState();
  QMainWindow::closeEvent(event);
}

void MainWindow::dragEnterEvent(QDragEnterEvent* event) {
  if (!localFiles(event->mimeData()).isEmpty()) event->acceptProposedAction();
}

void MainWindow::dropEvent(QDropEvent* event) {
  const QStringList files = localFiles(event->mimeData());
  event->acceptProposedAction();
  showPage(kChat);
  QStringList texts;
  bool loaded = false;
  for (const QString& file : files) {
    const fs::path path = file.toStdString();
    // A file that calls itself a model goes the model's way too, so that its refusal says what is wrong.
    if (!engine::gguf::hasGgufMagic(path) && !file.endsWith(QStringLiteral(".gguf"), Qt::CaseInsensitive)) {
      texts.append(file);
    } else if (!loaded) {
      chat_->loadModel(path);
      loaded = true;
    }
  }
  if (!texts.isEmpty()) chat_->attach(texts);
}

}  // namespace quern::ui
