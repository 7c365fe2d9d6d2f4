// A server that answers with an engine that somebody else has loaded: before it is offered, while it is, and
// when its owner takes it back.

#include "app/serve/lan_server.h"

#include <algorithm>
#include <thread>

#include "tests/serve/api_fakes.h"
#include "tests/serve/raw_client.h"
#include "tests/support/folder.h"

namespace quern::app::serve {
namespace {

class LanOffer : public testing::Test {
 protected:
  LanOffer() {
    LanOptions options;
    options.servesInstalled = false;
    options.awaitsOffer = true;
    options.server.listen.port = 0;
    options.server.keyFile = folder_ / "keys.json";
    options.server.log.file = folder_ / "log";
    options.server.log.watch = [this](const front::AccessRecord& record) {
      const std::lock_guard lock(mutex_);
      seen_.push_back(record.path + " " + std::to_string(record.status));
    };
    auto started = LanServer::start(std::move(options));
    EXPECT_TRUE(started) << (started ? "" : started.error().describe());
    lan_ = std::move(*started);
    control_->script = saying("Hello there");
    control_->logitRows = 64;
  }

  std::shared_ptr<scheduler::Engine> makeEngine() {
    scheduler::LoadOptions load;
    load.contextTokens = 2048;
    load.parallel = 4;
    load.batchTokens = 64;
    load.rehearse = false;
    return std::make_shared<FakeEngine>(control_, load, true);
  }
  test::RawClient send(const std::string& method, const std::string& path, const std::string& body = {}) {
    test::RawClient client(lan_->server().status().port);
    client.send(method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
                "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    return client;
  }
  int statusOf(const std::string& method, const std::string& path, const std::string& body = {}) {
    auto client = send(method, path, body);
    return test::RawClient::statusOf(client.answer());
  }
  /// A request counts as ended a moment after its answer has come.
  bool sees(const std::string& what, std::ptrdiff_t times) {
    for (int i = 0; i < 500; ++i) {
      {
        const std::lock_guard lock(mutex_);
        if (std::count(seen_.begin(), seen_.end(), what) == times) return true;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  int ask() { return statusOf("POST", "/v1/chat/completions", kQuestion); }

  static constexpr const char* kQuestion = R"({"messages": [{"role": "user", "content": "Hi"}]})";
  test::Folder folder_;
  std::mutex mutex_;
  std::vector<std::string> seen_;
  std::shared_ptr<scheduler::Control> control_ = std::make_shared<scheduler::Control>();
  std::unique_ptr<LanServer> lan_;
};

TEST_F(LanOffer, IsReadyOnceAModelIsOffered) {
  EXPECT_EQ(statusOf("GET", "/ready"), 503);
  EXPECT_EQ(ask(), 404);
  auto engine = makeEngine();
  ASSERT_TRUE(lan_->offer("/nowhere/mill.gguf", engine));
  EXPECT_EQ(statusOf("GET", "/ready"), 200);
  auto client = send("POST", "/v1/chat/completions", kQuestion);
  const std::string answer = client.answer();
  EXPECT_EQ(test::RawClient::statusOf(answer), 200);
  EXPECT_NE(answer.find("Hello there"), std::string::npos);
  EXPECT_NE(answer.find("\"mill\""), std::string::npos);
  EXPECT_GT(engine->stats().generatedTokens, 0U);
  lan_->withdraw();
  EXPECT_EQ(statusOf("GET", "/ready"), 503);
  EXPECT_EQ(ask(), 404);
  EXPECT_TRUE(sees("/v1/chat/completions 200", 1));
  EXPECT_TRUE(sees("/v1/chat/completions 404", 2));
}

TEST_F(LanOffer, TakesTheNextInPlaceOfTheFirst) {
  ASSERT_TRUE(lan_->offer("/nowhere/mill.gguf", makeEngine()));
  // The same file again, as after other load options.
  auto next = makeEngine();
  ASSERT_TRUE(lan_->offer("/nowhere/mill.gguf", next));
  EXPECT_EQ(ask(), 200);
  EXPECT_GT(next->stats().generatedTokens, 0U);
  ASSERT_TRUE(lan_->offer("/nowhere/river.gguf", makeEngine()));
  EXPECT_EQ(statusOf("POST", "/v1/chat/completions",
                     R"({"model": "mill", "messages": [{"role": "user", "content": "Hi"}]})"),
            404);
  EXPECT_EQ(ask(), 200);
}

TEST_F(LanOffer, CutsItsAnswersWhenTheOwnerTakesItBackAndLetsGo) {
  control_->allow(0);
  auto engine = makeEngine();
  const std::weak_ptr<scheduler::Engine> watched = engine;
  ASSERT_TRUE(lan_->offer("/nowhere/mill.gguf", std::move(engine)));
  auto waiting = send("POST", "/v1/chat/completions", kQuestion);
  control_->awaitBlocked();
  lan_->withdraw();
  EXPECT_EQ(test::RawClient::statusOf(waiting.answer()), 503);
  control_->allow(-1);
  for (int i = 0; i < 1000 && !watched.expired(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_TRUE(watched.expired());
}

}  // namespace
}  // namespace quern::app::serve
