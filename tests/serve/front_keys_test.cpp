// Keys, limits, safe retries, health and the log.

#include <sys/stat.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "app/serve/front/access_log.h"
#include "app/serve/front/rate_limits.h"
#include "app/serve/front/request_marks.h"
#include "tests/serve/front_server.h"

namespace quern::app::serve {
namespace {

using front::KeyFacts;
using front::KeyRing;

std::string bearer(const std::string& key) { return "Authorization: Bearer " + key + "\r\n"; }

std::string textOf(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST_F(FrontServer, KeysAreKeptAsHashesForTheirOwnerAlone) {
  const std::string made = key("ada");
  EXPECT_EQ(made.size(), 59U);
  EXPECT_EQ(textOf(options_.keyFile).find(made.substr(16)), std::string::npos);
  struct stat facts {};
  ASSERT_EQ(::stat(options_.keyFile.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600);
  EXPECT_NE(key("bob"), made);
  KeyFacts same;
  same.name = "ada";
  const auto twice = front::addKey(options_.keyFile, same);
  ASSERT_FALSE(twice);
  EXPECT_NE(twice.error().message().find("already"), std::string::npos);
  const auto ring = KeyRing::read(options_.keyFile);
  ASSERT_TRUE(ring);
  EXPECT_EQ(ring->find(made, 0).verdict, KeyRing::Verdict::kGood);
  std::string wrong = made;
  wrong.back() = wrong.back() == 'A' ? 'B' : 'A';
  EXPECT_EQ(ring->find(wrong, 0).verdict, KeyRing::Verdict::kUnknown);
  EXPECT_EQ(ring->find("", 0).verdict, KeyRing::Verdict::kUnknown);
  ::chmod(options_.keyFile.c_str(), 0644);
  EXPECT_FALSE(KeyRing::read(options_.keyFile));
  ::chmod(options_.keyFile.c_str(), 0600);
  std::ofstream(options_.keyFile) << "[1, 2";
  EXPECT_FALSE(KeyRing::read(options_.keyFile));
}

TEST_F(FrontServer, OnlyGoodKeysOfTheRightScopeGetIn) {
  options_.needsKeys = true;
  const std::string chat = key("chat");
  KeyFacts of;
  of.mayChat = false;
  of.mayManageModels = true;
  const std::string models = key("models", of);
  of = {};
  of.mayAdminister = true;
  const std::string admin = key("admin", of);
  of = {};
  of.expiresMs = 1;
  const std::string expired = key("expired", of);
  const std::string revoked = key("revoked");
  ASSERT_TRUE(front::revokeKey(options_.keyFile, "revoked"));
  start();
  const std::string none = ask(get("/models"));
  EXPECT_EQ(test::RawClient::statusOf(none), 401);
  EXPECT_NE(none.find("WWW-Authenticate: Bearer"), std::string::npos);
  EXPECT_NE(none.find("missing_api_key"), std::string::npos);
  EXPECT_EQ(statusOf(get("/models", bearer(chat))), 200);
  EXPECT_EQ(statusOf(get("/models", "x-api-key: " + chat + "\r\n")), 200);
  EXPECT_EQ(statusOf(get("/models", bearer("qk-000000000000-" + std::string(43, 'A')))), 401);
  EXPECT_EQ(statusOf(get("/models", bearer("sk-anything"))), 401);
  EXPECT_NE(ask(get("/models", bearer(expired))).find("expired_api_key"), std::string::npos);
  EXPECT_NE(ask(get("/models", bearer(revoked))).find("revoked_api_key"), std::string::npos);
  EXPECT_EQ(statusOf(get("/models", bearer(models))), 403);
  EXPECT_EQ(statusOf("DELETE /models HTTP/1.1\r\nHost: localhost\r\n" + bearer(models) + "\r\n"), 200);
  EXPECT_EQ(statusOf("DELETE /models HTTP/1.1\r\nHost: localhost\r\n" + bearer(chat) + "\r\n"), 403);
  EXPECT_EQ(statusOf(get("/admin", bearer(chat))), 403);
  for (const char* path : {"/admin", "/models"}) EXPECT_EQ(statusOf(get(path, bearer(admin))), 200);
  for (const char* path : {"/live", "/ready", "/health"}) EXPECT_EQ(statusOf(get(path)), 200);
  // The body of who is refused is not waited for.
  auto large = client();
  large.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n");
  EXPECT_EQ(test::RawClient::statusOf(large.answer()), 401);
  // Changes of the file count once it is read again.
  const std::string late = key("late");
  ASSERT_TRUE(front::revokeKey(options_.keyFile, "chat"));
  EXPECT_EQ(statusOf(get("/models", bearer(late))), 401);
  ASSERT_TRUE(server_->reload(options_));
  EXPECT_EQ(statusOf(get("/models", bearer(late))), 200);
  EXPECT_EQ(statusOf(get("/models", bearer(chat))), 401);
}

TEST_F(FrontServer, RefusesToOpenUpByAccident) {
  const auto refused = [&](const std::string& part) {
    const auto started = Server::start(options_, {});
    return !started && started.error().message().find(part) != std::string::npos;
  };
  options_.listen.host = "0.0.0.0";
  EXPECT_TRUE(refused("quern key add"));
  options_.isOpenToAll = true;
  options_.allowedOrigins = {"*"};
  EXPECT_TRUE(refused("--allow-origin *"));
  options_.allowedOrigins = {};
  options_.listen.tlsCertificate = "x";
  EXPECT_TRUE(refused("--tls-key"));
  options_.listen.tlsKey = "y";
  EXPECT_TRUE(refused("quern cert"));
  options_.listen.tlsCertificate = options_.listen.tlsKey = "";
  EXPECT_TRUE(Server::start(options_, {}));
  options_.isOpenToAll = false;
  const std::string good = key("someone");
  start();
  EXPECT_TRUE(server_->status().needsKeys);
  EXPECT_EQ(statusOf("POST /echo HTTP/1.1\r\nHost: 192.0.2.7\r\nContent-Length: 0\r\n\r\n"), 401);
  EXPECT_EQ(
      statusOf("POST /echo HTTP/1.1\r\nHost: 192.0.2.7\r\nContent-Length: 0\r\n" + bearer(good) + "\r\n"),
      200);
}

TEST_F(FrontServer, LimitsOfAKeyAreToldAndKept) {
  KeyFacts of;
  of.requestsPerMinute = 3;
  const std::string few = key("few", of);
  of = {};
  of.concurrent = 1;
  const std::string single = key("single", of);
  of = {};
  of.tokensPerMinute = 100;
  const std::string tokens = key("tokens", of);
  start();
  const std::string first = ask(get("/models", bearer(few)));
  EXPECT_NE(first.find("x-ratelimit-limit-requests: 3\r\n"), std::string::npos) << first;
  EXPECT_NE(first.find("x-ratelimit-remaining-requests: 2\r\n"), std::string::npos) << first;
  EXPECT_EQ(statusOf(get("/models", bearer(few))), 200);
  EXPECT_EQ(statusOf(get("/models", bearer(few))), 200);
  const std::string fourth = ask(get("/models", bearer(few)));
  EXPECT_EQ(test::RawClient::statusOf(fourth), 429);
  EXPECT_NE(fourth.find("Retry-After: "), std::string::npos);
  EXPECT_NE(fourth.find("rate_limit_exceeded"), std::string::npos);
  // Others are not concerned.
  EXPECT_EQ(statusOf(get("/models")), 200);
  auto running = client();
  running.send(post("/hold", "", bearer(single)));
  ASSERT_TRUE(held_.waitFor(1));
  EXPECT_EQ(held_.request(0).caller.name, "single");
  EXPECT_EQ(statusOf(get("/models", bearer(single))), 429);
  held_.responder(0)->reply({200, {}, ""});
  EXPECT_EQ(test::RawClient::statusOf(running.answer()), 200);
  EXPECT_EQ(statusOf(get("/models", bearer(single))), 200);
  // What an answer cost is charged when it is known, and may be more than was left.
  auto costly = client();
  costly.send(post("/hold", "", bearer(tokens)));
  ASSERT_TRUE(held_.waitFor(2));
  RequestFacts facts;
  facts.promptTokens = 60;
  facts.completionTokens = 90;
  held_.responder(1)->note(facts);
  held_.responder(1)->reply({200, {}, ""});
  ASSERT_EQ(test::RawClient::statusOf(costly.answer()), 200);
  EXPECT_EQ(statusOf(get("/models", bearer(tokens))), 429);
}

TEST_F(FrontServer, AllTogetherHaveALimit) {
  options_.rates.inFlight = 2;
  start();
  std::vector<test::RawClient> running;
  for (std::size_t i = 1; i <= 2; ++i) {
    running.push_back(client());
    running.back().send(post("/hold", ""));
    ASSERT_TRUE(held_.waitFor(i));
  }
  const std::string refused = ask(get("/models"));
  EXPECT_EQ(test::RawClient::statusOf(refused), 429);
  EXPECT_NE(refused.find("Retry-After: "), std::string::npos) << refused;
  EXPECT_EQ(statusOf(get("/health")), 200);
  running.pop_back();
  ASSERT_TRUE(held_.waitForGone(1));
  held_.letGo();
  EXPECT_TRUE(eventually([&] { return statusOf(get("/models")) == 200; }));
}

TEST(TokenBuckets, FillUpSteadilyAndNoFurther) {
  using Clock = front::TokenBucket::Clock;
  front::TokenBucket bucket;
  const Clock::time_point start{std::chrono::hours(1)};
  bucket.setRate(60, start);
  EXPECT_EQ(bucket.remaining(start), 60);
  bucket.spend(60, start);
  EXPECT_FALSE(bucket.holds(1, start));
  EXPECT_NEAR(bucket.secondsUntil(1, start), 1, 1e-9);
  EXPECT_TRUE(bucket.holds(1, start + std::chrono::seconds(1)));
  bucket.spend(100, start + std::chrono::seconds(1));
  EXPECT_FALSE(bucket.holds(1, start + std::chrono::seconds(60)));
  EXPECT_EQ(bucket.remaining(start + std::chrono::hours(2)), 60);
}

TEST_F(FrontServer, ARepeatedRequestGetsTheSameAnswer) {
  start();
  const std::string once = post("/hold", "question", "Idempotency-Key: k1\r\n");
  auto first = client();
  first.send(once);
  ASSERT_TRUE(held_.waitFor(1));
  auto second = client();
  second.send(once);
  // Another body under the same key is a mistake that is told.
  EXPECT_EQ(statusOf(post("/hold", "another", "Idempotency-Key: k1\r\n")), 422);
  // The first client loses its connection; the work goes on for the second.
  first.close();
  EXPECT_FALSE(held_.waitForGone(1, std::chrono::milliseconds(300)));
  held_.responder(0)->reply({200, {}, "answer"});
  EXPECT_TRUE(second.answer().ends_with("\r\n\r\nanswer"));
  const std::string third = ask(once);
  EXPECT_TRUE(third.ends_with("\r\n\r\nanswer"));
  EXPECT_NE(third.find("Idempotent-Replayed: true"), std::string::npos);
  EXPECT_EQ(held_.size(), 1U);
}

TEST_F(FrontServer, ARepeatedStreamBeginsAnewAndAFailureIsNotRepeated) {
  start();
  const std::string once = post("/hold", "q", "Idempotency-Key: k2\r\n");
  auto first = client();
  first.send(once);
  ASSERT_TRUE(held_.waitFor(1));
  held_.responder(0)->begin(200, {});
  held_.responder(0)->write("one ");
  ASSERT_TRUE(first.waitFor("one "));
  auto second = client();
  second.send(once);
  ASSERT_TRUE(second.waitFor("one "));
  held_.responder(0)->write("two");
  held_.responder(0)->finish();
  ASSERT_TRUE(second.waitFor("two\r\n0\r\n\r\n"));
  ASSERT_TRUE(first.waitFor("two\r\n0\r\n\r\n"));
  const std::string failing = post("/hold", "q", "Idempotency-Key: k3\r\n");
  for (std::size_t attempt = 2; attempt <= 3; ++attempt) {
    auto one = client();
    one.send(failing);
    ASSERT_TRUE(held_.waitFor(attempt)) << "the failure was repeated";
    held_.responder(attempt - 1)->reply({503, {}, "busy"});
    EXPECT_EQ(test::RawClient::statusOf(one.answer()), 503);
  }
}

TEST_F(FrontServer, AnAnswerThatNobodyComesBackForIsGivenUp) {
  options_.idempotency.grace = std::chrono::milliseconds(1);
  start();
  auto first = client();
  first.send(post("/hold", "q", "Idempotency-Key: k4\r\n"));
  ASSERT_TRUE(held_.waitFor(1));
  first.close();
  EXPECT_TRUE(held_.waitForGone(1));
}

TEST_F(FrontServer, HealthTellsLoadingAndStalls) {
  std::atomic<bool> isLoading{true};
  std::atomic<bool> hasWork{false};
  options_.whyNotReady = [&]() -> std::optional<std::string> {
    return isLoading ? std::optional<std::string>("loading smollm2") : std::nullopt;
  };
  options_.progress = [&] { return std::vector<front::EngineProgress>{{&hasWork, hasWork, 7}}; };
  options_.stallLimit = std::chrono::milliseconds(50);
  start();
  EXPECT_NE(ask(get("/ready")).find("loading smollm2"), std::string::npos);
  EXPECT_EQ(statusOf(get("/ready")), 503);
  EXPECT_EQ(statusOf(get("/live")), 200);
  isLoading = false;
  EXPECT_EQ(statusOf(get("/ready")), 200);
  hasWork = true;
  EXPECT_TRUE(eventually([&] { return statusOf(get("/live")) == 503; }));
  EXPECT_NE(ask(get("/live")).find("stalled"), std::string::npos);
  hasWork = false;
  EXPECT_TRUE(eventually([&] { return statusOf(get("/live")) == 200; }));
  server_.reset();
  EXPECT_NE(textOf(options_.log.file).find("Threads: "), std::string::npos);
}

TEST_F(FrontServer, WritesOneLineARequestWithoutWhatWasSaid) {
  options_.log.isJson = true;
  start();
  auto one = client();
  one.send(
      post("/hold", "SECRET",
           "X-Request-Id: my-1\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"));
  ASSERT_TRUE(held_.waitFor(1));
  RequestFacts facts;
  facts.model = "smollm2";
  facts.promptTokens = 5;
  facts.completionTokens = 7;
  facts.finish = "stop";
  held_.responder(0)->note(facts);
  held_.responder(0)->reply({200, {}, "ANSWER"});
  EXPECT_NE(one.answer().find("X-Request-Id: my-1\r\n"), std::string::npos);
  EXPECT_EQ(statusOf(get("/models", "Origin: https://evil.example\r\n")), 403);
  const std::string generated = ask(get("/models", "X-Request-Id: not fit!\r\n"));
  EXPECT_NE(generated.find("X-Request-Id: req-"), std::string::npos);
  server_.reset();
  const std::string log = textOf(options_.log.file);
  EXPECT_EQ(log.find("SECRET"), std::string::npos);
  EXPECT_EQ(log.find("ANSWER"), std::string::npos);
  std::istringstream lines(log);
  std::vector<nlohmann::json> records;
  for (std::string line; std::getline(lines, line);) records.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(records.size(), 3U) << log;
  EXPECT_EQ(records[0]["id"], "my-1");
  EXPECT_EQ(records[0]["path"], "/hold");
  EXPECT_EQ(records[0]["status"], 200);
  EXPECT_EQ(records[0]["completion_tokens"], 7);
  EXPECT_EQ(records[0]["trace_id"], "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(records[1]["outcome"], "refused");
}

TEST_F(FrontServer, WritesWhatWasSaidWhereThatIsAskedFor) {
  options_.log.hasContent = true;
  start();
  EXPECT_EQ(statusOf(post("/echo", "QUESTION")), 200);
  server_.reset();
  EXPECT_NE(textOf(options_.log.file).find("question=QUESTION answer=QUESTION"), std::string::npos)
      << textOf(options_.log.file);
}

TEST(RequestMarks, TracesAndTimeoutsAreProven) {
  using front::parseTimeout;
  using front::parseTraceparent;
  EXPECT_TRUE(parseTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
  for (const char* wrong : {"", "00", "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x"}) {
    EXPECT_FALSE(parseTraceparent(wrong)) << wrong;
  }
  EXPECT_EQ(parseTimeout("2.5")->count(), 2500);
  EXPECT_TRUE(parseTimeout("1e308"));
  for (const char* wrong : {"", "0", "-1", "nan", "inf", "1s", " 1", "0x10"})
    EXPECT_FALSE(parseTimeout(wrong)) << wrong;
}

}  // namespace
}  // namespace quern::app::serve
