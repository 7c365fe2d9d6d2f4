// The whole window with the real engine and a small model, over a store in a temporary folder.
#pragma once

#include <gtest/gtest.h>

#include <QPlainTextEdit>
#include <QTemporaryDir>
#include <QTest>
#include <filesystem>
#include <memory>

#include "engine/store/store.h"
#include "ui/bridge/app_settings.h"
#include "ui/bridge/conversation.h"
#include "ui/bridge/model_service.h"
#include "ui/bridge/presets.h"
#include "ui/chat/transcript_model.h"
#include "ui/main_window/main_window.h"

// What happens soon: the event loop runs until it did. A busy machine may take long over a model.
#define EVENTUALLY(condition) ASSERT_TRUE(QTest::qWaitFor([&] { return bool(condition); }, 60000))

namespace quern::ui {

inline std::filesystem::path modelFile() {
  return std::filesystem::path(QUERN_TEST_DATA) / "smollm2-135m-instruct-q4_1.gguf";
}

struct RealWindow {
  RealWindow(engine::store::Store& store, const std::filesystem::path& model)
      : conversation(store, models),
        settings(store),
        presets(store),
        window({theme, store, models, conversation, settings, presets}) {
    window.setStartModel(model);
    window.resize(1440, 900);
    window.show();
    EXPECT_TRUE(QTest::qWaitForWindowExposed(&window));
    window.activateWindow();
  }
  /// Always the same answers, of at most so many tokens.
  void answerWith(int maxTokens) {
    engine::sampling::Parameters parameters;
    parameters.temperature = 0;
    conversation.setSampling(parameters, maxTokens);
  }
  bool isReady() const { return models.state() == ModelService::State::kReady; }
  template <class T = QWidget>
  T* find(const char* name) {
    return window.findChild<T*>(QString::fromLatin1(name));
  }
  QPlainTextEdit* composer() { return find<QPlainTextEdit>("composerEdit"); }
  void send(const QString& text) {
    QTest::keyClicks(composer(), text);
    QTest::keyClick(composer(), Qt::Key_Return);
  }
  TranscriptModel& rows() { return conversation.transcript(); }

  Theme theme;
  ModelService models;
  Conversation conversation;
  AppSettings settings;
  Presets presets;
  MainWindow window;
};

class RealWindowTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(modelFile())) GTEST_SKIP() << "There is no " << modelFile();
    auto opened = engine::store::Store::open(folder_.filePath(QStringLiteral("quern.db")).toStdString());
    ASSERT_TRUE(opened.has_value());
    store_ = std::move(*opened);
    open(modelFile());
  }
  void open(const std::filesystem::path& model) {
    test_.reset();
    test_ = std::make_unique<RealWindow>(*store_, model);
  }

  QTemporaryDir folder_;
  std::unique_ptr<engine::store::Store> store_;
  std::unique_ptr<RealWindow> test_;
};

}  // namespace quern::ui
