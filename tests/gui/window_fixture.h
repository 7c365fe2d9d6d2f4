// A whole window over an engine that answers from a script, with a store in a temporary folder.
#pragma once

#include <gtest/gtest.h>

#include <QPlainTextEdit>
#include <QTemporaryDir>
#include <QTest>
#include <atomic>
#include <chrono>
#include <memory>

#include "engine/store/store.h"
#include "tests/gui/fake_engine.h"
#include "ui/bridge/app_settings.h"
#include "ui/bridge/conversation.h"
#include "ui/bridge/model_service.h"
#include "ui/bridge/presets.h"
#include "ui/main_window/main_window.h"

// What happens soon: the event loop runs until it did, at most 5 s.
#define EVENTUALLY(condition) ASSERT_TRUE(QTest::qWaitFor([&] { return bool(condition); }, 5000))

namespace quern::ui {

/// An answer of " word word …" that only ends when it is stopped.
inline test::Script words(const test::scheduler::Request& /*request*/) {
  test::Script script;
  script.pieces = {" word"};
  script.each = std::chrono::milliseconds(5);
  script.endless = true;
  return script;
}

/// A whole window over a store of its own. Files named "broken.gguf" do not load.
struct TestWindow {
  explicit TestWindow(engine::store::Store& store)
      : models(
            [this](const std::filesystem::path& path, const engine::scheduler::LoadOptions&,
                   const engine::runtime::Progress& progress)
                -> engine::base::Result<std::shared_ptr<engine::scheduler::Engine>> {
              ++loads;
              progress(0.5);
              if (path.filename() == "broken.gguf") {
                return engine::base::Error(engine::base::ErrorCode::kMalformed, "It ends too early.",
                                           {"tensor 12 ends past the file"});
              }
              return std::shared_ptr<engine::scheduler::Engine>(std::make_shared<test::FakeEngine>(words));
            },
            &test::renderPlain, nullptr),
        conversation(store, models),
        settings(store),
        presets(store),
        window({theme, store, models, conversation, settings, presets}) {
    window.setStartModel("/nowhere/scripted.gguf");
  }
  void open() {
    window.resize(1440, 900);
    window.show();
    ASSERT_TRUE(QTest::qWaitForWindowExposed(&window));
    window.activateWindow();
    EVENTUALLY(models.state() == ModelService::State::kReady);
  }
  template <class T = QWidget>
  T* find(const char* name) {
    return window.findChild<T*>(QString::fromLatin1(name));
  }
  void type(const QString& text) { QTest::keyClicks(find<QPlainTextEdit>("composerEdit"), text); }
  void press(int key, Qt::KeyboardModifiers modifiers = {}) {
    QTest::keyClick(find<QPlainTextEdit>("composerEdit"), Qt::Key(key), modifiers);
  }

  std::atomic<int> loads = 0;
  Theme theme;
  ModelService models;
  Conversation conversation;
  AppSettings settings;
  Presets presets;
  MainWindow window;
};

class WindowTest : public ::testing::Test {
 protected:
  WindowTest() {
    auto opened = engine::store::Store::open(folder_.filePath(QStringLiteral("quern.db")).toStdString());
    EXPECT_TRUE(opened.has_value());
    store_ = std::move(*opened);
    test_ = std::make_unique<TestWindow>(*store_);
  }
  ~WindowTest() override { test_.reset(); }

  QTemporaryDir folder_;
  std::unique_ptr<engine::store::Store> store_;
  std::unique_ptr<TestWindow> test_;
};

}  // namespace quern::ui
