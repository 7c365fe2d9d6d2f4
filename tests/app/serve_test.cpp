// "quern serve", "quern key" and "quern cert" as people meet them. No model is loaded here.

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/serve/raw_client.h"
#include "tests/support/environment.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"

namespace quern {
namespace {

using test::Outcome;

class ServeCommand : public testing::Test {
 protected:
  Outcome quern(std::vector<std::string> arguments) {
    return test::runProgram(QUERN_PROGRAM, std::move(arguments), "");
  }
  static std::uint16_t portOf(const std::string& url) {
    return static_cast<std::uint16_t>(std::atoi(url.substr(url.rfind(':') + 1).c_str()));
  }
  static int status(std::uint16_t port, const std::string& path, const std::string& headers = "") {
    test::RawClient client(port);
    client.send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n");
    return test::RawClient::statusOf(client.answer());
  }

  test::Folder folder_;
  test::Environment home_{"QUERN_HOME", folder_.path().c_str()};
};

TEST_F(ServeCommand, ListensTellsItsAddressAndEndsOnSigterm) {
  for (const char* verb : {"serve", "--serve"}) {
    test::Program server(QUERN_PROGRAM, {verb, "--port", "0"});
    ASSERT_TRUE(server.waitForOutput("\n", std::chrono::seconds(30)));
    const std::uint16_t port = portOf(server.output());
    EXPECT_EQ(status(port, "/live"), 200);
    EXPECT_EQ(status(port, "/ready"), 200);
    EXPECT_EQ(status(port, "/v1/models"), 200);
    server.signal(SIGTERM);
    const Outcome outcome = server.finish(std::chrono::seconds(30));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("path=/v1/models"), std::string::npos) << outcome.err;
  }
}

TEST_F(ServeCommand, KeysAreMadeListedReadAgainAndRevoked) {
  const Outcome refused = quern({"serve", "--port", "0", "--require-key"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("quern key add"), std::string::npos) << refused.err;
  const Outcome made = quern({"key", "add", "ada", "--requests-per-minute", "60", "--expires", "30"});
  ASSERT_EQ(made.code, 0) << made.err;
  const std::string key = made.out.substr(0, made.out.size() - 1);
  const auto list = nlohmann::json::parse(quern({"key", "list", "--json"}).out);
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0]["name"], "ada");
  EXPECT_EQ(list[0]["state"], "good");
  EXPECT_EQ(list.dump().find(key.substr(16)), std::string::npos);
  test::Program server(QUERN_PROGRAM, {"serve", "--port", "0", "--require-key"});
  ASSERT_TRUE(server.waitForOutput("\n", std::chrono::seconds(30)));
  const std::uint16_t port = portOf(server.output());
  const std::string header = "Authorization: Bearer " + key + "\r\n";
  EXPECT_EQ(status(port, "/v1/models"), 401);
  EXPECT_EQ(status(port, "/v1/models", header), 200);
  EXPECT_EQ(quern({"key", "revoke", "ada"}).code, 0);
  EXPECT_EQ(quern({"key", "revoke", "nobody"}).code, 1);
  server.signal(SIGHUP);
  int last = 200;
  for (int i = 0; i < 200 && last == 200; ++i) {
    last = status(port, "/v1/models", header);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(last, 401);
  server.signal(SIGTERM);
  EXPECT_EQ(server.finish(std::chrono::seconds(30)).code, 0);
  EXPECT_EQ(quern({"key", "add", "x", "--scope", "everything"}).code, 2);
  EXPECT_EQ(quern({"key"}).code, 2);
}

TEST_F(ServeCommand, MakesACertificateThatTheServerTakes) {
  const Outcome made = quern({"cert", "--name", "localhost", "--json"});
  ASSERT_EQ(made.code, 0) << made.err;
  const auto files = nlohmann::json::parse(made.out);
  EXPECT_EQ(files["sha256"].get<std::string>().size(), 95U);
  test::Program server(
      QUERN_PROGRAM, {"serve", "--port", "0", "--tls-cert", files["certificate"], "--tls-key", files["key"]});
  ASSERT_TRUE(server.waitForOutput("https://", std::chrono::seconds(30)));
  server.signal(SIGINT);
  const Outcome outcome = server.finish(std::chrono::seconds(30));
  EXPECT_EQ(outcome.code, 0);
  EXPECT_NE(outcome.err.find(files["sha256"].get<std::string>()), std::string::npos) << outcome.err;
  EXPECT_EQ(quern({"cert", "--name", "a,DNS:b"}).code, 1);
}

TEST_F(ServeCommand, GoesByItsFileAndReadsItAgain) {
  const auto file = folder_.path() / "config" / "quern.toml";
  std::filesystem::create_directories(file.parent_path());
  const auto write = [&](const std::string& text) { std::ofstream(file) << text; };
  write("[serve]\nport = 0\nallowed-host = [\"box\", \"crate\"]\ndrain = 1.5\nlog-format = \"json\"\n");
  test::Program server(QUERN_PROGRAM, {"serve", "--log-format", "text"});
  ASSERT_TRUE(server.waitForOutput("\n", std::chrono::seconds(30)));
  const std::uint16_t port = portOf(server.output());
  const auto asHost = [&](const std::string& host) {
    test::RawClient client(port);
    client.send("GET /v1/models HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
    return test::RawClient::statusOf(client.answer());
  };
  const auto becomes = [&](const std::string& host, int status) {
    for (int i = 0; i < 200 && asHost(host) != status; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return asHost(host) == status;
  };
  EXPECT_EQ(asHost("box"), 200);
  EXPECT_EQ(asHost("crate"), 200);
  EXPECT_EQ(asHost("barrel"), 403);
  write("[serve]\nport = 1\nallowed-host = \"barrel\"\n");
  server.signal(SIGHUP);
  EXPECT_TRUE(becomes("barrel", 200));
  EXPECT_EQ(asHost("box"), 403);
  for (const char* wrong : {"[serve]\nallowed-host = [\n", "[serve]\n\nallowed-hosts = \"box\"\n",
                            "[serve]\nallowed-host = \"box\"\ndrain = \"soon\"\n"}) {
    write(wrong);
    server.signal(SIGHUP);
    // The next file is read after this one, and shows when that has been.
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    EXPECT_EQ(asHost("barrel"), 200) << wrong;
    EXPECT_EQ(asHost("box"), 403) << wrong;
  }
  write("[serve]\nallowed-host = \"box\"\n");
  server.signal(SIGHUP);
  EXPECT_TRUE(becomes("box", 200));
  server.signal(SIGTERM);
  const Outcome outcome = server.finish(std::chrono::seconds(30));
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.err.find('{'), std::string::npos) << "what is typed goes before the file\n"
                                                      << outcome.err;
  for (const char* said : {"\\\"port\\\" wants a restart", "line 3: \\\"allowed-hosts\\\" is no option",
                           "quern.toml\\\", line 3: ", "All stays as it was."})
    EXPECT_NE(outcome.err.find(said), std::string::npos) << said << "\n" << outcome.err;
}

TEST_F(ServeCommand, RefusesAFileThatIsWrong) {
  const auto file = folder_.path() / "mine.toml";
  for (const auto& [text, said] : std::vector<std::pair<std::string, std::string>>{
           {"[serve]\nport = 70000\n", "line 2"},
           {"[serve]\nport = { a = 1 }\n", "must be a text, a number"},
           {"[serve]\nconfig = \"x\"\n", "is no option"},
           {"serve = 5\n", "must be a table"},
           {"[serve\n", "line 1"},
           {std::string("[serve]\nhost = \"\0\"\n", 20), "line 2"}}) {
    std::ofstream(file, std::ios::binary) << text;
    const Outcome outcome = quern({"serve", "--config", file.string()});
    EXPECT_EQ(outcome.code, 1) << text;
    EXPECT_NE(outcome.err.find(said), std::string::npos) << text << outcome.err;
  }
  EXPECT_EQ(quern({"serve", "--config", (folder_.path() / "none").string()}).code, 1);
}

TEST_F(ServeCommand, TellsMetricsOnAPortOfTheirOwn) {
  test::Program server(QUERN_PROGRAM, {"serve", "--port", "0", "--metrics-port", "0", "--log-file",
                                       (folder_.path() / "log").string()});
  ASSERT_TRUE(server.waitForOutput("/metrics\n", std::chrono::seconds(30)));
  const std::string urls = server.output();
  const std::uint16_t port = portOf(urls.substr(0, urls.find('\n')));
  const std::uint16_t metrics = portOf(urls);
  EXPECT_EQ(status(port, "/metrics"), 404);
  EXPECT_EQ(status(metrics, "/metrics"), 200);
  EXPECT_EQ(status(metrics, "/ready"), 200);
  EXPECT_EQ(status(metrics, "/v1/models"), 404);
  server.signal(SIGTERM);
  EXPECT_EQ(server.finish(std::chrono::seconds(30)).code, 0);
}

TEST_F(ServeCommand, RefusesWhatWouldBeUnsafe) {
  const Outcome open = quern({"serve", "--host", "0.0.0.0", "--port", "0"});
  EXPECT_EQ(open.code, 1);
  EXPECT_NE(open.err.find("--insecure-no-auth"), std::string::npos) << open.err;
  const Outcome absent = quern({"serve", "--model", "absent", "--port", "0"});
  EXPECT_EQ(absent.code, 1);
  EXPECT_NE(absent.err.find("absent"), std::string::npos) << absent.err;
}

}  // namespace
}  // namespace quern
