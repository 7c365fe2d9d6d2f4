// The whole window with SmolLM2, served by the real server over loopback.

#include <QUrl>
#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "app/window_server.h"
#include "tests/gui/hands.h"
#include "tests/gui/real_window_fixture.h"
#include "tests/serve/raw_client.h"
#include "ui/bridge/server_control.h"

namespace quern::ui {
namespace {

using nlohmann::json;

struct Answer {
  int status = 0;
  json body;
};

class ServedWindow : public RealWindowTest {
 protected:
  void SetUp() override {
    RealWindowTest::SetUp();
    if (IsSkipped()) return;
    test_.reset();
    lan_ = app::makeWindowServer("test");
    control_ = std::make_unique<ServerControl>(*store_, models_, *lan_);
    ServerPreferences preferences;
    preferences.lan.port = 0;  // any that is free
    control_->setPreferences(preferences);
    conversation_ = std::make_unique<Conversation>(*store_, models_);
    settings_ = std::make_unique<AppSettings>(*store_);
    presets_ = std::make_unique<Presets>(*store_);
    window_ = std::make_unique<MainWindow>(
        Services{theme_, *store_, models_, *conversation_, *settings_, *presets_, control_.get()});
    window_->setStartModel(modelFile());
    window_->resize(1440, 900);
    window_->show();
    ASSERT_TRUE(QTest::qWaitForWindowExposed(window_.get()));
    window_->activateWindow();
    EVENTUALLY(models_.state() == ModelService::State::kReady);
  }
  void TearDown() override {
    window_.reset();
    conversation_.reset();
    control_.reset();
  }
  QWidget* find(const char* name) { return window_->findChild<QWidget*>(QString::fromLatin1(name)); }
  std::uint16_t port() const {
    return std::uint16_t(QUrl(QString::fromStdString(control_->status().urls.front())).port());
  }
  /// Asks on a thread, while the window goes on.
  Answer post(const std::string& path, const json& body) {
    std::string raw;
    std::atomic<bool> done = false;
    std::thread client([&, at = port(), text = body.dump()] {
      test::RawClient one(at);
      one.send("POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
               "Content-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text);
      raw = one.answer(std::chrono::seconds(60));
      done = true;
    });
    EXPECT_TRUE(QTest::qWaitFor([&] { return done.load(); }, 70'000));
    client.join();
    const std::size_t head = raw.find("\r\n\r\n");
    return {test::RawClient::statusOf(raw),
            head == std::string::npos ? json() : json::parse(raw.substr(head + 4), nullptr, false)};
  }

  std::unique_ptr<LanService> lan_;
  Theme theme_;
  ModelService models_;
  std::unique_ptr<ServerControl> control_;
  std::unique_ptr<Conversation> conversation_;
  std::unique_ptr<AppSettings> settings_;
  std::unique_ptr<Presets> presets_;
  std::unique_ptr<MainWindow> window_;
};

json capitalOf(const char* country) {
  return {
      {"messages", {{{"role", "user"}, {"content", std::string("What is the capital of ") + country + "?"}}}},
      {"temperature", 0},
      {"max_tokens", 24}};
}

TEST_F(ServedWindow, AnswersTheNetworkAndTheChatWithOneEngine) {
  window_->run(Command::kServerPage);
  test::click(*find("startServer"));
  EVENTUALLY(control_->state() == ServerControl::State::kListening);
  const auto engine = models_.engine();
  const auto before = engine->stats();
  // A long answer of the chat goes on meanwhile.
  engine::sampling::Parameters parameters;
  parameters.temperature = 0;
  conversation_->setSampling(parameters, 400);
  conversation_->send(QStringLiteral("Tell a long story of a mill by a river."));
  EVENTUALLY(engine->stats().running == 1);
  const Answer answer = post("/v1/chat/completions", capitalOf("Italy"));
  EXPECT_TRUE(conversation_->isGenerating());
  ASSERT_EQ(answer.status, 200) << answer.body;
  const std::string text = answer.body["choices"][0]["message"]["content"];
  std::printf("answer: %s\n", text.c_str());
  EXPECT_NE(text.find("Rome"), std::string::npos);
  // It was this very engine, and no second one was loaded.
  EXPECT_GT(engine->stats().generatedTokens, before.generatedTokens);
  EXPECT_EQ(answer.body["model"], modelFile().stem().string());
  EVENTUALLY(!control_->status().last.empty());
  EXPECT_EQ(control_->status().last.front().path, "/v1/chat/completions");
  EXPECT_EQ(control_->status().last.front().status, 200);
  conversation_->stop();
  test::click(*find("startServer"));
  EVENTUALLY(control_->state() == ServerControl::State::kStopped);
}

TEST_F(ServedWindow, ServesWhatIsLoadedNextAndRefusesMeanwhile) {
  window_->run(Command::kServerPage);
  test::click(*find("startServer"));
  EVENTUALLY(control_->state() == ServerControl::State::kListening);
  ASSERT_EQ(post("/v1/chat/completions", capitalOf("Italy")).status, 200);
  const std::weak_ptr<engine::scheduler::Engine> old = models_.engine();
  models_.load(modelFile(), {});  // the same file anew
  EVENTUALLY(models_.state() == ModelService::State::kReady);
  EXPECT_TRUE(old.expired()) << "the server kept the model that was replaced";
  EVENTUALLY(post("/v1/chat/completions", capitalOf("Italy")).status == 200);
  models_.unload();
  EVENTUALLY(post("/v1/chat/completions", capitalOf("Italy")).status == 404);
}

}  // namespace
}  // namespace quern::ui
