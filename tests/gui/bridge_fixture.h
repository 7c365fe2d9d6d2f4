// A store in a temporary folder, a model service with a scripted engine, and a conversation over both.
#pragma once

#include <gtest/gtest.h>

#include <QCoreApplication>
#include <QElapsedTimer>
#include <QTemporaryDir>
#include <QThread>
#include <functional>
#include <memory>
#include <string>

#include "engine/store/store.h"
#include "tests/gui/fake_engine.h"
#include "ui/bridge/conversation.h"
#include "ui/bridge/model_service.h"
#include "ui/chat/transcript_model.h"

namespace quern::test {

/// Runs the event loop until `done`, at most `limitMs`.
inline bool spinUntil(const std::function<bool()>& done, int limitMs = 10'000) {
  QElapsedTimer time;
  time.start();
  while (!done()) {
    if (time.elapsed() > limitMs) return false;
    QCoreApplication::processEvents(QEventLoop::AllEvents, 20);
    QThread::msleep(1);
  }
  return true;
}

class BridgeTest : public ::testing::Test {
 protected:
  BridgeTest() { openStore(); }
  ~BridgeTest() override { close(); }

  std::filesystem::path databasePath() const { return folder_.filePath("quern.db").toStdString(); }

  void openStore() {
    auto opened = engine::store::Store::open(databasePath());
    ASSERT_TRUE(opened) << opened.error().describe();
    store_ = std::move(*opened);
  }

  /// A conversation whose model is loaded, unless `load` is false.
  void start(bool load = true) {
    models_ = std::make_unique<ui::ModelService>(
        [this](const auto&, const auto&, const auto& progress) { return loader_(progress); }, renderer_,
        nullptr);
    conversation_ = std::make_unique<ui::Conversation>(*store_, *models_);
    if (!load) return;
    models_->load("/models/fake.gguf", {});
    ASSERT_TRUE(spinUntil([this] { return models_->state() == ui::ModelService::State::kReady; }));
  }

  void close() {
    conversation_.reset();
    engine_.reset();
    models_.reset();
  }

  void restart() {
    close();
    store_.reset();
    openStore();
  }

  bool waitForAnswer() {
    return spinUntil([this] { return !conversation_->isGenerating(); });
  }
  bool waitForText(const std::string& text) {
    return spinUntil([&] {
      return rows().rowCount() > 0 && last().content.toStdString().find(text) != std::string::npos;
    });
  }
  void ask(const char* text) {
    conversation_->send(QString::fromUtf8(text));
    ASSERT_TRUE(waitForAnswer());
  }

  ui::TranscriptModel& rows() { return conversation_->transcript(); }
  const ui::TranscriptItem& row(int at) { return rows().item(at); }
  const ui::TranscriptItem& last() { return row(rows().rowCount() - 1); }
  std::string lastPrompt() { return engine_->prompts().back(); }
  engine::store::Message stored(engine::store::Id id) {
    auto message = store_->message(id);
    return message && *message ? **message : engine::store::Message{};
  }

  using Made = engine::base::Result<std::shared_ptr<scheduler::Engine>>;
  QTemporaryDir folder_;
  std::unique_ptr<engine::store::Store> store_;
  FakeEngine::Answerer answerer_ = [](const scheduler::Request&) { return Script(); };
  std::int32_t context_ = 4096;
  std::function<Made(const engine::runtime::Progress&)> loader_ = [this](const auto&) -> Made {
    engine_ = std::make_shared<FakeEngine>(answerer_, context_);
    return std::shared_ptr<scheduler::Engine>(engine_);
  };
  ui::ModelService::Renderer renderer_ = &renderPlain;
  std::shared_ptr<FakeEngine> engine_;
  std::unique_ptr<ui::ModelService> models_;
  std::unique_ptr<ui::Conversation> conversation_;
};

}  // namespace quern::test
