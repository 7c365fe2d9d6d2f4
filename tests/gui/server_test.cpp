// The window's server over a service that listens nowhere: what is told to it and when, and the page's
// clicks.

#include <QAbstractButton>
#include <QApplication>
#include <QCheckBox>
#include <QClipboard>
#include <QLabel>
#include <QLineEdit>
#include <algorithm>

#include "tests/gui/bridge_fixture.h"
#include "tests/gui/fake_lan.h"
#include "tests/gui/hands.h"
#include "ui/bridge/app_settings.h"
#include "ui/bridge/presets.h"
#include "ui/bridge/server_control.h"
#include "ui/main_window/main_window.h"

namespace quern::ui {
namespace {

using State = ServerControl::State;
using Told = std::vector<std::string>;
using test::spinUntil;

class Server : public test::BridgeTest {
 protected:
  ~Server() override {
    window_.reset();
    control_.reset();
  }
  void open(bool load = true) {
    start(load);
    control_ = std::make_unique<ServerControl>(*store_, *models_, lan_);
  }
  void openWindow() {
    open(false);
    settings_ = std::make_unique<AppSettings>(*store_);
    presets_ = std::make_unique<Presets>(*store_);
    window_ = std::make_unique<MainWindow>(
        Services{theme_, *store_, *models_, *conversation_, *settings_, *presets_, control_.get()});
    window_->setStartModel("/models/fake.gguf");
    window_->resize(1440, 900);
    window_->show();
    ASSERT_TRUE(QTest::qWaitForWindowExposed(window_.get()));
    window_->activateWindow();
    ASSERT_TRUE(spinUntil([this] { return models_->state() == ModelService::State::kReady; }));
  }
  template <class T = QWidget>
  T* find(const char* name) {
    T* found = window_->findChild<T*>(QString::fromLatin1(name));
    EXPECT_NE(found, nullptr) << name;
    return found;
  }
  bool reaches(State state) {
    return spinUntil([&] { return control_->state() == state; });
  }
  bool hears(const std::string& what) {
    return spinUntil([&] {
      const Told told = lan_.told();
      return std::find(told.begin(), told.end(), what) != told.end();
    });
  }

  test::FakeLan lan_;
  std::unique_ptr<ServerControl> control_;
  Theme theme_;
  std::unique_ptr<AppSettings> settings_;
  std::unique_ptr<Presets> presets_;
  std::unique_ptr<MainWindow> window_;
};

TEST_F(Server, ServesTheEngineThatIsLoadedAndFollowsTheNext) {
  open();
  EXPECT_EQ(control_->state(), State::kStopped);
  control_->start();
  ASSERT_TRUE(reaches(State::kListening));
  ASSERT_TRUE(spinUntil([this] { return lan_.offered() == models_->engine().get(); }));
  models_->load("/models/next.gguf", {});
  ASSERT_TRUE(hears("offer next"));
  EXPECT_EQ(lan_.told(), (Told{"start", "offer fake", "withdraw", "offer next"}));
  EXPECT_EQ(lan_.offered(), models_->engine().get());
  models_->unload();
  ASSERT_TRUE(spinUntil([this] { return lan_.offered() == nullptr; }));
  EXPECT_EQ(control_->state(), State::kListening);
  EXPECT_TRUE(control_->modelName().isEmpty());
}

TEST_F(Server, GivesTheOldModelBackBeforeTheNextIsLoaded) {
  open();
  auto shared = models_->engine();
  const std::weak_ptr<engine::scheduler::Engine> old = shared;
  engine_.reset();
  std::atomic<bool> wasGone = false;
  loader_ = [&](const auto&) -> Made {
    wasGone = old.expired();
    return std::shared_ptr<engine::scheduler::Engine>(std::make_shared<test::FakeEngine>());
  };
  models_->load("/models/next.gguf", {});
  EXPECT_FALSE(spinUntil([this] { return models_->state() != ModelService::State::kLoading; }, 100));
  shared.reset();
  ASSERT_TRUE(spinUntil([this] { return models_->state() == ModelService::State::kReady; }));
  EXPECT_TRUE(wasGone);
}

TEST_F(Server, ThatIsStoppedHearsNothingOfModels) {
  open();
  models_->load("/models/next.gguf", {});
  ASSERT_TRUE(spinUntil([this] { return models_->state() == ModelService::State::kReady; }));
  EXPECT_TRUE(lan_.told().empty());
}

TEST_F(Server, StoppedWhileItStartsStaysStopped) {
  open();
  lan_.hold();
  control_->start();
  ASSERT_TRUE(hears("start"));
  control_->stop();
  EXPECT_EQ(control_->state(), State::kDraining);
  lan_.release();
  ASSERT_TRUE(reaches(State::kStopped));
  EXPECT_EQ(lan_.told().back(), "stop");
}

TEST_F(Server, SaysWhyItCouldNotStartAndTriesAgain) {
  open();
  lan_.failure = engine::base::Error(engine::base::ErrorCode::kBusy, "Port 8080 is taken.");
  control_->start();
  ASSERT_TRUE(reaches(State::kFailed));
  EXPECT_EQ(control_->error()->message(), "Port 8080 is taken.");
  lan_.failure.reset();
  control_->start();
  ASSERT_TRUE(reaches(State::kListening));
  EXPECT_FALSE(control_->error());
}

TEST_F(Server, PreferencesAreKeptAndHoldAfterARestart) {
  open();
  control_->start();
  ASSERT_TRUE(reaches(State::kListening));
  ServerPreferences preferences;
  preferences.lan.port = 9123;
  preferences.lan.usesTls = true;
  control_->setPreferences(preferences);
  EXPECT_TRUE(control_->needsRestart());
  control_->restart();
  ASSERT_TRUE(
      spinUntil([this] { return !control_->needsRestart() && control_->state() == State::kListening; }));
  EXPECT_EQ(control_->status().urls.front(), "https://127.0.0.1:9123");
  control_.reset();
  EXPECT_EQ(lan_.told().back(), "stop");
  control_ = std::make_unique<ServerControl>(*store_, *models_, lan_);
  EXPECT_EQ(control_->preferences(), preferences);
  EXPECT_EQ(control_->state(), State::kStopped);
}

TEST_F(Server, StartsAndStopsByClicks) {
  openWindow();
  window_->run(Command::kServerPage);
  test::click(*find<>("startServer"));
  ASSERT_TRUE(reaches(State::kListening));
  EXPECT_EQ(find<QLabel>("serverUrl")->text(), QStringLiteral("http://127.0.0.1:8080/v1"));
  test::click(*find<>("copyAddress"));
  EXPECT_EQ(QGuiApplication::clipboard()->text(), QStringLiteral("http://127.0.0.1:8080/v1"));
  lan_.change([](LanStatus& status, auto&) {
    status.last.push_back({1, 200, "/v1/models", "", "me", "::1"});
  });
  auto* table = find<>("requestsTable");
  EXPECT_TRUE(spinUntil([&] { return table->isVisible(); }));
  test::click(*find<>("startServer"));
  ASSERT_TRUE(reaches(State::kStopped));
  EXPECT_EQ(find<QLabel>("serverUrl")->text(), QStringLiteral("Not listening"));
}

TEST_F(Server, AsksForAKeyBeforeItLetsOtherMachinesIn) {
  openWindow();
  window_->run(Command::kServerPage);
  test::click(*find<>("serverNetwork"));
  ASSERT_TRUE(control_->preferences().lan.wholeNetwork);
  test::click(*find<>("startServer"));
  auto* name = find<QLineEdit>("keyName");
  ASSERT_TRUE(name->isVisible());
  EXPECT_TRUE(lan_.told().empty());
  test::enter(*name, QStringLiteral("tablet"));
  auto* key = find<QLabel>("revealedKey");
  ASSERT_TRUE(spinUntil([&] { return key->isVisible(); }));
  test::click(*find<>("copyKey"));
  EXPECT_EQ(QGuiApplication::clipboard()->text(), QStringLiteral("qk-id0-secret"));
  test::click(*find<>("keyDone"));
  EXPECT_FALSE(key->isVisible());
  EXPECT_TRUE(key->text().isEmpty());
  test::click(*find<>("startServer"));
  ASSERT_TRUE(reaches(State::kListening));
  // Two presses take it away again.
  test::click(*find<>("revoke_tablet"));
  EXPECT_EQ(control_->keys().size(), 1U);
  test::click(*find<>("revoke_tablet"));
  EXPECT_TRUE(spinUntil([this] { return control_->keys().empty(); }));
}

TEST_F(Server, StartsWithTheWindowOnlyWhereThatIsWanted) {
  openWindow();
  QTest::qWait(50);
  EXPECT_EQ(control_->state(), State::kStopped);
  window_->run(Command::kServerPage);
  test::click(*find<>("serverWithWindow"));
  window_.reset();
  control_.reset();
  close();
  openWindow();
  EXPECT_TRUE(reaches(State::kListening));
}

TEST_F(Server, EveryControlOfItsPageHasNames) {
  openWindow();
  window_->run(Command::kServerPage);
  control_->addKey(QStringLiteral("tablet"));
  ASSERT_TRUE(spinUntil([this] { return !control_->keys().empty(); }));
  int seen = 0;
  for (const QWidget* widget : find<>("serverPage")->findChildren<QWidget*>()) {
    if ((widget->focusPolicy() & Qt::TabFocus) == 0 || !widget->isVisible()) continue;
    if (widget->objectName().startsWith(QStringLiteral("qt_"))) continue;
    ++seen;
    EXPECT_FALSE(widget->objectName().isEmpty()) << widget->metaObject()->className();
    const auto* button = qobject_cast<const QAbstractButton*>(widget);
    const bool worded = button != nullptr && !button->text().isEmpty();
    EXPECT_TRUE(worded || !widget->accessibleName().isEmpty()) << qPrintable(widget->objectName());
    EXPECT_FALSE(widget->toolTip().isEmpty() && button != nullptr) << qPrintable(widget->objectName());
  }
  EXPECT_GT(seen, 8);
}

}  // namespace
}  // namespace quern::ui
