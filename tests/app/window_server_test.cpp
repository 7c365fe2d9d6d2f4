// What the window calls a server: keys, certificates and ports, on loopback.
#include "app/window_server.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/serve/raw_client.h"
#include "tests/support/folder.h"

namespace quern::app {
namespace {

using test::RawClient;

class WindowServer : public testing::Test {
 protected:
  WindowServer() {
    if (const char* home = std::getenv("QUERN_HOME")) before_ = home;
    ::setenv("QUERN_HOME", folder_.path().c_str(), 1);
    options_.port = 0;
    lan_ = makeWindowServer("test");
  }
  ~WindowServer() override {
    lan_.reset();
    if (before_.empty()) {
      ::unsetenv("QUERN_HOME");
    } else {
      ::setenv("QUERN_HOME", before_.c_str(), 1);
    }
  }
  std::uint16_t port() const {
    const std::string url = lan_->status().urls.back();
    return static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
  }
  int statusWith(const std::string& key) const {
    RawClient client(port());
    client.send("GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + key + "\r\n\r\n");
    return RawClient::statusOf(client.answer());
  }

  test::Folder folder_;
  std::string before_;
  ui::LanOptions options_;
  std::unique_ptr<ui::LanService> lan_;
};

TEST_F(WindowServer, LetsNoOtherMachineInBeforeThereIsAKey) {
  options_.wholeNetwork = true;
  const auto refused = lan_->start(options_);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("API key"), std::string::npos);
  EXPECT_FALSE(lan_->status().isListening);
  ASSERT_TRUE(lan_->addKey("tablet"));
  ASSERT_TRUE(lan_->start(options_));
  EXPECT_TRUE(lan_->status().isListening);
  EXPECT_NE(lan_->status().urls.back().find("http://127.0.0.1:"), std::string::npos);
  lan_->stop(std::chrono::milliseconds(0));
  EXPECT_FALSE(lan_->status().isListening);
}

TEST_F(WindowServer, KeysHoldAtOnceAndNoLongerThanTheyAreWanted) {
  const auto first = lan_->addKey("tablet");
  ASSERT_TRUE(first);
  options_.needsKeys = true;
  ASSERT_TRUE(lan_->start(options_));
  const auto second = lan_->addKey("phone");
  ASSERT_TRUE(second);
  EXPECT_EQ(statusWith(*first), 200);
  EXPECT_EQ(statusWith(*second), 200);
  EXPECT_EQ(statusWith("qk-nobody"), 401);
  const auto keys = lan_->keys();
  ASSERT_TRUE(keys);
  ASSERT_EQ(keys->size(), 2U);
  EXPECT_EQ((*keys)[0].name, "tablet");
  ASSERT_TRUE(lan_->revokeKey((*keys)[0].id));
  EXPECT_EQ(statusWith(*first), 401);
  EXPECT_EQ(lan_->keys()->size(), 1U);
}

TEST_F(WindowServer, MakesItsCertificateOnce) {
  options_.usesTls = true;
  ASSERT_TRUE(lan_->start(options_));
  const auto status = lan_->status();
  EXPECT_TRUE(status.urls.front().starts_with("https://"));
  EXPECT_EQ(status.fingerprint.size(), 95U);
  EXPECT_TRUE(std::filesystem::exists(status.authority));
  lan_->stop(std::chrono::milliseconds(0));
  ASSERT_TRUE(lan_->start(options_));
  EXPECT_EQ(lan_->status().fingerprint, status.fingerprint);
}

TEST_F(WindowServer, SaysThatItsPortIsTaken) {
  ASSERT_TRUE(lan_->start(options_));
  options_.port = port();
  const auto other = makeWindowServer("test");
  const auto refused = other->start(options_);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find(std::to_string(options_.port)), std::string::npos);
  EXPECT_EQ(refused.error().message().find("--"), std::string::npos) << "words of the command line";
}

}  // namespace
}  // namespace quern::app
