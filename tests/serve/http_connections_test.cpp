// How connections behave: keep-alive, order, bodies in pieces, slow readers, TLS, the end.

#include <openssl/ssl.h>

#include <fstream>

#include "app/serve/front/certificate.h"
#include "tests/serve/front_server.h"

namespace quern::app::serve {
namespace {

TEST_F(FrontServer, AnswersSeveralRequestsOfAConnectionInTheirOrder) {
  start();
  auto one = client();
  // All at once: pipelined.
  one.send(post("/hold", "first") + post("/echo", "second") + post("/echo", "third"));
  ASSERT_TRUE(held_.waitFor(1));
  EXPECT_TRUE(one.received().empty());
  held_.responder(0)->reply({200, {}, "first"});
  for (const char* body : {"first", "second", "third"}) {
    EXPECT_TRUE(one.answer().ends_with(std::string("\r\n\r\n") + body));
  }
  one.send(get("/live"));
  EXPECT_EQ(test::RawClient::statusOf(one.answer()), 200);
}

TEST_F(FrontServer, TooMuchAheadEndsTheConnectionAfterTheAnswer) {
  start();
  auto one = client();
  one.send(post("/hold", "x"));
  ASSERT_TRUE(held_.waitFor(1));
  one.keepLittleToSend();
  one.send(post("/echo", std::string(900'000, 'y')));
  held_.responder(0)->reply({200, {}, "first"});
  ASSERT_TRUE(one.waitForEnd());
  EXPECT_NE(one.received().find("first"), std::string::npos);
  EXPECT_EQ(one.received().find("yyy"), std::string::npos);
}

TEST_F(FrontServer, HeadAndOptionsAndWrongMethods) {
  start();
  auto one = client();
  one.send("HEAD /live HTTP/1.1\r\nHost: localhost\r\n\r\n" + get("/models"));
  ASSERT_TRUE(one.waitFor("\r\n\r\nHTTP/1.1 200"));  // the second answer follows at once: no body
  EXPECT_NE(ask("OPTIONS /echo HTTP/1.1\r\nHost: localhost\r\n\r\n").find("Allow: POST, OPTIONS"),
            std::string::npos);
  const std::string wrong = ask(get("/echo"));
  EXPECT_EQ(test::RawClient::statusOf(wrong), 405);
  EXPECT_NE(wrong.find("Allow: POST, OPTIONS"), std::string::npos) << wrong;
  EXPECT_EQ(statusOf(get("/files/a/b")), 200);
  EXPECT_EQ(statusOf(get("/file")), 404);
}

TEST_F(FrontServer, PreflightsOfAllowedPagesOnly) {
  start();
  const auto preflight = [&](const std::string& origin) {
    return ask(
        "OPTIONS /echo HTTP/1.1\r\nHost: localhost\r\nOrigin: " + origin +
        "\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n\r\n");
  };
  const std::string allowed = preflight("https://chat.example");
  EXPECT_EQ(test::RawClient::statusOf(allowed), 204);
  EXPECT_NE(allowed.find("Access-Control-Allow-Origin: https://chat.example"), std::string::npos);
  EXPECT_NE(allowed.find("Access-Control-Allow-Headers: authorization"), std::string::npos);
  EXPECT_EQ(allowed.find("Credentials"), std::string::npos);
  EXPECT_EQ(test::RawClient::statusOf(preflight("https://evil.example")), 403);
  EXPECT_EQ(ask(get("/models")).find("Access-Control"), std::string::npos);
}

TEST_F(FrontServer, BodiesComeInChunksAndAfterContinue) {
  start();
  auto one = client();
  one.send(
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
  ASSERT_TRUE(one.waitFor("HTTP/1.1 100 Continue\r\n\r\n"));
  EXPECT_EQ(one.answer(), "HTTP/1.1 100 Continue\r\n\r\n");
  one.send("3\r\nabc\r\n4;name=value\r\ndefg\r\n0\r\nX-Api-Key: trailer\r\n\r\n");
  EXPECT_TRUE(one.answer().ends_with("\r\n\r\nabcdefg"));
}

TEST_F(FrontServer, StreamsInPieces) {
  start();
  auto one = client();
  one.send(post("/hold", ""));
  ASSERT_TRUE(held_.waitFor(1));
  const auto responder = held_.responder(0);
  responder->begin(200, {{"Content-Type", "text/event-stream"}});
  EXPECT_TRUE(responder->write("data: one\n\n"));
  ASSERT_TRUE(one.waitFor("b\r\ndata: one\n\n\r\n"));
  EXPECT_TRUE(responder->write("data: two\n\n"));
  responder->finish();
  ASSERT_TRUE(one.waitFor("b\r\ndata: two\n\n\r\n0\r\n\r\n"));
  EXPECT_NE(one.received().find("Transfer-Encoding: chunked"), std::string::npos);
  // HTTP/1.0 knows no chunks: the end of the connection is the body's.
  auto old = client();
  old.send("POST /hold HTTP/1.0\r\nContent-Length: 0\r\n\r\n");
  ASSERT_TRUE(held_.waitFor(2));
  held_.responder(1)->begin(200, {});
  held_.responder(1)->write("piece");
  held_.responder(1)->finish();
  ASSERT_TRUE(old.waitForEnd());
  EXPECT_TRUE(old.received().ends_with("\r\n\r\npiece")) << old.received();
}

TEST_F(FrontServer, AHandlerThatGivesUpIsFiveHundredOrACut) {
  start();
  auto one = client();
  one.send(post("/hold", ""));
  ASSERT_TRUE(held_.waitFor(1));
  held_.letGo();
  EXPECT_EQ(test::RawClient::statusOf(one.answer()), 500);
  one.send(post("/hold", ""));
  ASSERT_TRUE(held_.waitFor(1));
  held_.responder(0)->begin(200, {});
  held_.responder(0)->write("half");
  ASSERT_TRUE(one.waitFor("half"));
  held_.letGo();
  ASSERT_TRUE(one.waitForEnd());
  EXPECT_EQ(one.received().find("\r\n0\r\n"), std::string::npos);
}

TEST_F(FrontServer, TellsTheHandlerAtOnceThatTheClientLeft) {
  start();
  for (int i = 1; i <= 3; ++i) {
    auto one = client();
    one.send(post("/hold", ""));
    ASSERT_TRUE(held_.waitFor(static_cast<std::size_t>(i)));
    if (i == 2) held_.responder(1)->begin(200, {});
    if (i == 3) {
      one.reset();
    } else {
      one.close();
    }
    EXPECT_TRUE(held_.waitForGone(i, std::chrono::seconds(2))) << i;
    EXPECT_FALSE(held_.responder(static_cast<std::size_t>(i) - 1)->write("x"));
  }
}

TEST_F(FrontServer, ASlowReaderIsCutAndCostsNoMoreThanItsShare) {
  options_.listen.limits.outgoingBytes = 256 * 1024;
  start();
  test::RawClient slow(port(), 4096);
  slow.send(post("/hold", ""));
  ASSERT_TRUE(held_.waitFor(1));
  const auto responder = held_.responder(0);
  responder->begin(200, {});
  std::size_t written = 0;
  while (written < 64UL * 1024 * 1024 && responder->write(std::string(16 * 1024, 'x'))) {
    written += 16 * 1024;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  // What the kernel takes for the socket comes on top of our share.
  EXPECT_LT(written, 32UL * 1024 * 1024);
  EXPECT_TRUE(held_.waitForGone(1));
}

TEST_F(FrontServer, AReaderThatTakesNothingIsCutInTime) {
  options_.listen.limits.writeTime = std::chrono::milliseconds(300);
  start();
  test::RawClient slow(port(), 4096);
  slow.send(post("/hold", ""));
  ASSERT_TRUE(held_.waitFor(1));
  held_.responder(0)->reply({200, {}, std::string(32UL * 1024 * 1024, 'x')});
  EXPECT_TRUE(eventually([&] { return server_->status().connections == 0; }));
}

TEST_F(FrontServer, AnswersForAHandlerThatIsLate) {
  options_.listen.limits.deadlineGrace = std::chrono::milliseconds(50);
  start();
  auto one = client();
  one.send(post("/hold", "", "X-Request-Timeout: 0.1\r\n"));
  ASSERT_TRUE(held_.waitFor(1));
  ASSERT_TRUE(held_.request(0).deadline.has_value());
  EXPECT_EQ(test::RawClient::statusOf(one.answer()), 504);
  EXPECT_TRUE(held_.waitForGone(1));
}

TEST_F(FrontServer, DrainLetsRunningAnswersFinishAndTakesNoMore) {
  start();
  auto running = client();
  running.send(post("/hold", ""));
  ASSERT_TRUE(held_.waitFor(1));
  EXPECT_EQ(statusOf(get("/ready")), 200);
  server_->beginDrain();
  EXPECT_EQ(statusOf(get("/ready")), 503);
  EXPECT_EQ(statusOf(get("/live")), 200);
  const std::string refused = ask(post("/echo", "x"));
  EXPECT_EQ(test::RawClient::statusOf(refused), 503);
  EXPECT_NE(refused.find("Retry-After"), std::string::npos);
  std::thread answering([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    held_.responder(0)->reply({200, {}, "done"});
  });
  EXPECT_TRUE(server_->drain(std::chrono::seconds(10)));
  answering.join();
  EXPECT_TRUE(running.answer().ends_with("done"));
}

TEST_F(FrontServer, DrainCutsWhatDoesNotFinish) {
  start();
  auto running = client();
  running.send(post("/hold", ""));
  ASSERT_TRUE(held_.waitFor(1));
  EXPECT_FALSE(server_->drain(std::chrono::milliseconds(100)));
  EXPECT_TRUE(held_.waitForGone(1));
  EXPECT_TRUE(running.waitForEnd());
  // Whoever still holds a responder writes into nothing.
  held_.responder(0)->reply({200, {}, "late"});
}

TEST_F(FrontServer, SpeaksTlsAndTakesANewCertificate) {
  front::CertificateOptions wanted;
  wanted.folder = folder_ / "tls";
  wanted.names = {"localhost", "127.0.0.1"};
  const auto files = front::makeCertificate(wanted);
  ASSERT_TRUE(files) << files.error().describe();
  options_.listen.tlsCertificate = files->certificate;
  options_.listen.tlsKey = files->key;
  start();
  const std::string host = "127.0.0.1:" + std::to_string(port());
  const auto fetch = [&](int newest) -> std::string {
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_load_verify_locations(context, files->authority.c_str(), nullptr);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_max_proto_version(context, newest);
    BIO* bio = BIO_new_ssl_connect(context);
    SSL* ssl = nullptr;
    BIO_get_ssl(bio, &ssl);
    SSL_set1_host(ssl, "localhost");
    BIO_set_conn_hostname(bio, host.c_str());
    std::string all;
    if (BIO_do_connect(bio) == 1 && SSL_get_verify_result(ssl) == X509_V_OK) {
      const std::string request = get("/live", "Connection: close\r\n");
      BIO_write(bio, request.data(), static_cast<int>(request.size()));
      char buffer[4096];
      for (int got = 0; (got = BIO_read(bio, buffer, sizeof buffer)) > 0;) {
        all.append(buffer, static_cast<std::size_t>(got));
      }
    }
    BIO_free_all(bio);
    SSL_CTX_free(context);
    return all;
  };
  EXPECT_EQ(test::RawClient::statusOf(fetch(TLS1_3_VERSION)), 200);
  EXPECT_EQ(test::RawClient::statusOf(fetch(TLS1_2_VERSION)), 200);
  EXPECT_EQ(fetch(TLS1_1_VERSION), "");
  auto plain = client();
  plain.send(get("/live"));
  plain.waitForEnd();
  EXPECT_EQ(plain.received().find("200 OK"), std::string::npos);
  // The same authority signs again.
  const auto again = front::makeCertificate(wanted);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->authorityFingerprint, files->authorityFingerprint);
  EXPECT_NE(again->certificateFingerprint, files->certificateFingerprint);
  EXPECT_TRUE(server_->reload(options_));
  EXPECT_EQ(test::RawClient::statusOf(fetch(TLS1_3_VERSION)), 200);
  std::ofstream(files->certificate) << "nothing";
  EXPECT_FALSE(server_->reload(options_));
  EXPECT_EQ(test::RawClient::statusOf(fetch(TLS1_3_VERSION)), 200);
}

}  // namespace
}  // namespace quern::app::serve
