// Bytes that nobody with good intentions sends. Cases are data (tests/data/serve/attacks): what is sent, as a
// text or as pieces {"text", "times"}, and the status, or those, that may come back.

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/serve/front_server.h"

namespace quern::app::serve {
namespace {

using nlohmann::json;

std::string bytesOf(const json& send) {
  if (send.is_string()) return send.get<std::string>();
  if (send.is_object()) {
    std::string repeated;
    for (int i = 0; i < send.at("times").get<int>(); ++i) repeated += send.at("text").get<std::string>();
    return repeated;
  }
  std::string all;
  for (const json& piece : send) all += bytesOf(piece);
  return all;
}

bool isExpected(const json& expected, int status) {
  if (expected.is_number()) return expected == status;
  return std::any_of(expected.begin(), expected.end(), [&](const json& one) { return one == status; });
}

/// `text` as bytes: JSON's U+0080…U+00FF would be two, but the cases hold none.
class HttpAttacks : public FrontServer, public testing::WithParamInterface<const char*> {};

TEST_P(HttpAttacks, EachGetsItsStatusAndTheServerStaysWell) {
  start();
  std::ifstream file(std::string(QUERN_SOURCE_DIR) + "/tests/data/serve/attacks/" + GetParam() + ".json");
  const json cases = json::parse(file);
  ASSERT_GT(cases.size(), 5U);
  for (const json& one : cases) {
    SCOPED_TRACE(one.at("name").get<std::string>());
    auto attacker = client();
    attacker.send(bytesOf(one.at("send")));
    const std::string answer = attacker.answer();
    const int status = test::RawClient::statusOf(answer);
    EXPECT_TRUE(isExpected(one.at("status"), status)) << status << "\n" << answer;
    if (status == 400 || status >= 500) {
      EXPECT_NE(answer.find("application/json"), std::string::npos) << answer;
    }
    // The same bytes in three pieces mean the same.
    const std::string bytes = bytesOf(one.at("send"));
    auto slow = client();
    for (std::size_t i = 0; i < 3; ++i) {
      slow.send(std::string_view(bytes).substr(i * (bytes.size() / 3),
                                               i < 2 ? bytes.size() / 3 : std::string::npos));
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    EXPECT_EQ(test::RawClient::statusOf(slow.answer()), status) << "in pieces";
  }
  EXPECT_EQ(statusOf(get("/live")), 200);
  EXPECT_TRUE(eventually([&] { return server_->status().connections == 0; }))
      << server_->status().connections;
}

INSTANTIATE_TEST_SUITE_P(Kept, HttpAttacks,
                         testing::Values("malformed", "smuggling", "sizes", "paths", "hosts"),
                         [](const auto& each) { return std::string(each.param); });

TEST_F(FrontServer, NothingBehindARefusedRequestIsRead) {
  start();
  auto attacker = client();
  attacker.send(
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: "
      "chunked\r\n\r\n0\r\n\r\n" +
      get("/models"));
  ASSERT_TRUE(attacker.waitForEnd());
  EXPECT_EQ(attacker.received().find("200 OK"), std::string::npos) << attacker.received();
  EXPECT_NE(attacker.received().find("Connection: close"), std::string::npos);
}

TEST_F(FrontServer, SlowHeadsAndBodiesEndInTime) {
  options_.listen.limits.headTime = std::chrono::milliseconds(200);
  options_.listen.limits.bodyTime = std::chrono::milliseconds(200);
  start();
  for (const std::string& begin :
       {std::string("GET /live HTT"),
        std::string("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nab")}) {
    auto slow = client();
    slow.send(begin);
    // A byte now and then does not help.
    for (int i = 0; i < 10 && slow.send("x"); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(40));
    slow.waitForEnd();
    EXPECT_EQ(test::RawClient::statusOf(slow.received()), 408) << slow.received();
  }
  auto silent = client();
  EXPECT_TRUE(silent.waitForEnd(std::chrono::seconds(5)));
  EXPECT_TRUE(silent.received().empty());
}

TEST_F(FrontServer, ConnectionsHaveACapOfAllAndOfAnAddress) {
  options_.listen.limits.connections = 20;
  options_.listen.limits.connectionsOfAddress = 8;
  options_.listen.limits.loopbackIsCapped = true;
  start();
  std::vector<test::RawClient> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(client());
    clients.back().send(get("/live"));
    ASSERT_EQ(test::RawClient::statusOf(clients.back().answer()), 200);
  }
  auto ninth = client();
  ASSERT_TRUE(ninth.waitForEnd());
  EXPECT_EQ(test::RawClient::statusOf(ninth.received()), 503);
  clients.clear();
  EXPECT_TRUE(eventually([&] { return statusOf(get("/live")) == 200; }));
}

TEST_F(FrontServer, KeepsThousandsOfIdleConnectionsAndAnswersBesideThem) {
  start();
  std::vector<test::RawClient> idle;
  for (int i = 0; i < 2000; ++i) {
    idle.push_back(client());
    if (!idle.back().isConnected()) GTEST_SKIP() << "this machine grants no 2,000 connections";
    idle.back().send(get("/live"));
  }
  for (auto& one : idle) ASSERT_EQ(test::RawClient::statusOf(one.answer()), 200);
  EXPECT_EQ(server_->status().connections, 2000);
  EXPECT_EQ(statusOf(get("/live")), 200);
  idle[7].send(get("/models"));
  EXPECT_EQ(test::RawClient::statusOf(idle[7].answer()), 200);
  idle.clear();
  EXPECT_TRUE(eventually([&] { return server_->status().connections == 0; }));
}

TEST_F(FrontServer, DisconnectStormsLeaveNothingBehind) {
  start();
  constexpr int kClients = 200;
  for (int i = 0; i < kClients; ++i) {
    const std::size_t before = held_.size();
    auto one = client();
    one.send(post("/hold", "x"));
    // Some leave while the endpoint works, others before it has heard of them.
    if (i % 3 == 0) {
      ASSERT_TRUE(held_.waitFor(before + 1));
    }
    if (i % 2 == 0) one.reset();
  }
  // A reset may overtake its request, but of everyone that the endpoint has heard of it hears the end.
  ASSERT_TRUE(eventually([&] { return server_->status().connections == 0; }));
  EXPECT_TRUE(held_.waitForGone(static_cast<int>(held_.size())));
  // The kernel may still hand over connections whose clients have long gone.
  EXPECT_TRUE(eventually([&] {
    held_.letGo();
    return server_->status().requests == 0;
  })) << server_->status().requests;
}

}  // namespace
}  // namespace quern::app::serve
