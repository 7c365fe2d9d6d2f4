// The front door on a real port of loopback, with endpoints that do what a test wants.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "app/serve/front/key_store.h"
#include "app/serve/server.h"
#include "tests/serve/raw_client.h"
#include "tests/support/folder.h"

namespace quern::app::serve {

/// Requests that an endpoint holds until a test answers them.
class Held {
 public:
  void put(HttpRequest request, std::shared_ptr<Responder> responder) {
    responder->onGone([this] {
      const std::lock_guard lock(mutex_);
      ++gone_;
      changed_.notify_all();
    });
    const std::lock_guard lock(mutex_);
    requests_.push_back(std::move(request));
    responders_.push_back(std::move(responder));
    changed_.notify_all();
  }
  bool waitFor(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return responders_.size() >= count; });
  }
  bool waitForGone(int count, std::chrono::milliseconds limit = std::chrono::seconds(10)) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return gone_ >= count; });
  }
  std::shared_ptr<Responder> responder(std::size_t index) {
    const std::lock_guard lock(mutex_);
    return responders_.at(index);
  }
  HttpRequest request(std::size_t index) {
    const std::lock_guard lock(mutex_);
    return requests_.at(index);
  }
  std::size_t size() {
    const std::lock_guard lock(mutex_);
    return responders_.size();
  }
  void letGo() {
    std::vector<std::shared_ptr<Responder>> all;
    const std::lock_guard lock(mutex_);
    all.swap(responders_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<HttpRequest> requests_;
  std::vector<std::shared_ptr<Responder>> responders_;
  int gone_ = 0;
};

inline std::vector<Route> testRoutes(Held& held) {
  const auto echo = [](const HttpRequest& request, const std::shared_ptr<Responder>& responder) {
    responder->reply({200, {{"Content-Type", "text/plain"}}, request.body});
  };
  const auto hold = [&held](HttpRequest request, std::shared_ptr<Responder> responder) {
    held.put(std::move(request), std::move(responder));
  };
  return {{"POST", "/echo", Scope::kChat, echo},       {"GET", "/models", Scope::kChat, echo},
          {"DELETE", "/models", Scope::kModels, echo}, {"POST", "/hold", Scope::kChat, hold},
          {"GET", "/files/*", Scope::kChat, echo},     {"GET", "/admin", Scope::kAdmin, echo}};
}

class FrontServer : public testing::Test {
 protected:
  FrontServer() {
    options_.listen.port = 0;
    options_.listen.limits.bodyBytes = 1024 * 1024;
    options_.keyFile = folder_ / "keys.json";
    options_.allowedHosts = {"quern.example"};
    options_.allowedOrigins = {"https://chat.example"};
    options_.log.file = folder_ / "log";
  }
  ~FrontServer() override {
    held_.letGo();
    server_.reset();
  }

  void start() {
    auto started = Server::start(options_, testRoutes(held_));
    ASSERT_TRUE(started) << started.error().describe();
    server_ = std::move(*started);
  }
  std::uint16_t port() const { return server_->status().port; }
  test::RawClient client() { return test::RawClient(port()); }
  std::string key(const std::string& name, front::KeyFacts facts = {}) {
    facts.name = name;
    auto made = front::addKey(options_.keyFile, facts);
    EXPECT_TRUE(made) << (made ? "" : made.error().describe());
    return made ? *made : "";
  }
  static std::string get(const std::string& path, const std::string& headers = "") {
    return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n";
  }
  static std::string post(const std::string& path, const std::string& body, const std::string& headers = "") {
    return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n" + headers + "\r\n" + body;
  }
  /// The status of one request on a connection of its own; 0 without an answer.
  int statusOf(const std::string& request) { return test::RawClient::statusOf(ask(request)); }
  std::string ask(const std::string& request) {
    auto one = client();
    one.send(request);
    return one.answer();
  }
  bool eventually(const std::function<bool()>& holds,
                  std::chrono::milliseconds limit = std::chrono::seconds(10)) {
    const auto until = std::chrono::steady_clock::now() + limit;
    while (!holds()) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }

  test::Folder folder_;
  ServerOptions options_;
  Held held_;
  std::unique_ptr<Server> server_;
};

}  // namespace quern::app::serve
