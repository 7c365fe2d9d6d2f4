// The endpoints without a socket and without weights: a model that says what a test wants it to say, and a
// way back that keeps what came.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "app/serve/api/routes.h"
#include "app/serve/api/service.h"
#include "engine/template/template.h"
#include "tests/scheduler/fakes.h"

namespace quern::app::serve {

namespace scheduler = engine::scheduler;

/// What came back to one request.
class Inbox final : public Responder {
 public:
  void reply(HttpResponse response) override {
    const std::lock_guard lock(mutex_);
    EXPECT_FALSE(isOver_) << "a second answer";
    response_ = std::move(response);
    isOver_ = true;
    changed_.notify_all();
  }
  void begin(int status, std::vector<Header> headers) override {
    const std::lock_guard lock(mutex_);
    EXPECT_FALSE(isOver_ || hasBegun_);
    hasBegun_ = true;
    response_ = {status, std::move(headers), ""};
  }
  bool write(std::string bytes) override {
    const std::lock_guard lock(mutex_);
    EXPECT_TRUE(hasBegun_ && !isOver_);
    response_.body += bytes;
    changed_.notify_all();
    return !isGone_;
  }
  void finish() override {
    const std::lock_guard lock(mutex_);
    EXPECT_TRUE(hasBegun_ && !isOver_);
    isOver_ = true;
    changed_.notify_all();
  }
  void onGone(std::function<void()> gone) override {
    const std::lock_guard lock(mutex_);
    gone_ = std::move(gone);
  }
  void note(const RequestFacts& facts) override {
    const std::lock_guard lock(mutex_);
    facts_ = facts;
  }

  /// The other side goes.
  void leave() {
    std::function<void()> gone;
    {
      const std::lock_guard lock(mutex_);
      isGone_ = true;
      gone = gone_;
    }
    if (gone) gone();
  }
  HttpResponse wait() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(30), [&] { return isOver_; })) << "no answer";
    return response_;
  }
  bool waitForBytes() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return !response_.body.empty(); });
  }
  bool isOver() {
    const std::lock_guard lock(mutex_);
    return isOver_;
  }
  RequestFacts facts() {
    const std::lock_guard lock(mutex_);
    return facts_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  HttpResponse response_;
  RequestFacts facts_;
  std::function<void()> gone_;
  bool hasBegun_ = false;
  bool isOver_ = false;
  bool isGone_ = false;
};

/// Conversations are "<role>text</>"; the prompt ends with what every script below looks for.
inline constexpr std::string_view kAnswerHere = "<assistant>";
inline constexpr std::string_view kTemplate =
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}</>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}";

/// Says `answer` behind the last kAnswerHere, then ends.
inline scheduler::Script saying(std::string answer) {
  return [answer = std::move(answer)](const std::vector<std::int32_t>& context) -> std::int32_t {
    std::string text;
    for (const std::int32_t token : context) text += static_cast<char>(token & 0xFF);
    const std::size_t at = text.rfind(kAnswerHere);
    const std::size_t said = at == std::string::npos ? text.size() : text.size() - at - kAnswerHere.size();
    return said < answer.size() ? static_cast<unsigned char>(answer[said]) : scheduler::kEnd;
  };
}

class FakeEngine final : public scheduler::Engine {
 public:
  FakeEngine(std::shared_ptr<scheduler::Control> control, scheduler::LoadOptions options, bool hasTemplate)
      : options_(options),
        loop_(std::make_unique<scheduler::FakeExecutable>(control, 256), tokenizer_, options,
              extrasOf(control->readsWholeTexts)) {
    info_.name = "fake";
    info_.architecture = "fake";
    info_.isEncoder = control->readsWholeTexts;
    info_.labels = info_.isEncoder ? 1 : 0;
    if (!hasTemplate) return;
    auto parsed = engine::chat::Template::parse(kTemplate);
    if (parsed) template_ = std::make_shared<const engine::chat::Template>(std::move(*parsed));
  }
  engine::base::Result<scheduler::RequestId> submit(scheduler::Request request,
                                                    std::shared_ptr<scheduler::EventSink> sink) override {
    return loop_.submit(std::move(request), std::move(sink));
  }
  engine::base::Result<std::int32_t> saveState(std::vector<std::int32_t>,
                                               const std::filesystem::path&) override {
    return 0;
  }
  engine::base::Result<std::int32_t> restoreState(const std::filesystem::path&) override { return 0; }
  void cancel(scheduler::RequestId request) override { loop_.cancel(request); }
  scheduler::Stats stats() const override { return loop_.stats(); }
  const scheduler::ModelInfo& info() const override { return info_; }
  const scheduler::LoadOptions& options() const override { return options_; }
  std::string device() const override { return "none"; }
  std::shared_ptr<const engine::tokenizer::Tokenizer> tokenizer() const override { return tokenizer_; }
  std::shared_ptr<const engine::chat::Template> chatTemplate() const override { return template_; }

 private:
  /// An encoder here is a reranker as well.
  static scheduler::Loop::Extras extrasOf(bool isEncoder) {
    scheduler::Loop::Extras extras;
    if (isEncoder)
      extras.classify = [](std::span<const float> hidden) { return std::vector<float>{hidden[0]}; };
    return extras;
  }

  std::shared_ptr<scheduler::ByteTokenizer> tokenizer_ = std::make_shared<scheduler::ByteTokenizer>();
  scheduler::ModelInfo info_;
  const scheduler::LoadOptions options_;
  std::shared_ptr<const engine::chat::Template> template_;
  scheduler::Loop loop_;
};

/// A server's inside with one model, "fake", that says `answer`.
class Kitchen {
 public:
  explicit Kitchen(std::string answer = "Hello there", ServiceOptions options = {},
                   const std::function<void(scheduler::LoadOptions&)>& change = {}) {
    control->script = saying(std::move(answer));
    control->logitRows = 64;
    load.contextTokens = 2048;
    load.parallel = 4;
    load.batchTokens = 64;
    load.rehearse = false;
    load.embeddings = true;
    if (change) change(load);
    scheduler::PoolOptions pooled;
    pooled.memoryBudgetBytes = 1 << 20;
    pooled.defaults = load;
    pooled.estimate = [](const auto&, const auto&) -> engine::base::Result<engine::runtime::MemoryUse> {
      return engine::runtime::MemoryUse{1000, 100, 10};
    };
    pooled.load = [this](const auto&, const auto& wanted,
                         const auto& progress) -> engine::base::Result<std::shared_ptr<scheduler::Engine>> {
      if (onLoad) {
        if (auto error = onLoad(progress)) return *error;
      }
      return std::shared_ptr<scheduler::Engine>(std::make_shared<FakeEngine>(control, wanted, true));
    };
    pool = std::make_unique<scheduler::ModelPool>(std::move(pooled));
    options.models = {{"fake", "/nowhere/fake.gguf", 1000, 1000}};
    options.installed = false;
    service = std::make_unique<Service>(*pool, metrics, std::move(options));
    routes = makeRoutes(*service);
  }
  ~Kitchen() {
    service.reset();
    pool.reset();
  }

  std::shared_ptr<Inbox> send(HttpRequest request) {
    auto inbox = std::make_shared<Inbox>();
    request.remote = "127.0.0.1";
    request.id = "req-1";
    request.arrived = std::chrono::steady_clock::now();
    for (const Route& route : routes) {
      const bool isPrefix = route.path.ends_with('*');
      const bool matches =
          isPrefix ? request.path.starts_with(std::string_view(route.path).substr(0, route.path.size() - 1))
                   : route.path == request.path;
      if (!matches || route.method != request.method) continue;
      route.handler(std::move(request), inbox);
      return inbox;
    }
    ADD_FAILURE() << "no route " << request.path;
    return inbox;
  }
  std::shared_ptr<Inbox> post(std::string path, std::string body) {
    HttpRequest request;
    request.method = "POST";
    request.path = std::move(path);
    request.body = std::move(body);
    return send(std::move(request));
  }
  HttpResponse ask(std::string path, const Json& body) { return post(std::move(path), body.dump())->wait(); }
  HttpResponse get(std::string path) {
    HttpRequest request;
    request.method = "GET";
    request.path = std::move(path);
    return send(std::move(request))->wait();
  }

  std::shared_ptr<scheduler::Control> control = std::make_shared<scheduler::Control>();
  scheduler::LoadOptions load;
  /// Called when the model is loaded; what it returns is the load's failure.
  std::function<std::optional<engine::base::Error>(const engine::runtime::Progress&)> onLoad;
  Metrics metrics;
  std::unique_ptr<scheduler::ModelPool> pool;
  std::unique_ptr<Service> service;
  std::vector<Route> routes;
};

inline Json parsed(const HttpResponse& response) {
  Json json = Json::parse(response.body, nullptr, false);
  EXPECT_FALSE(json.is_discarded()) << response.body;
  return json;
}

/// The events of a stream: each is "data: JSON" behind an optional "event: NAME", which must be its "type".
inline std::vector<Json> eventsOf(const HttpResponse& response, bool endsWithDone = true) {
  EXPECT_EQ(response.status, 200) << response.body;
  std::vector<Json> events;
  std::string_view rest = response.body;
  bool isDone = false;
  while (!rest.empty()) {
    const std::size_t end = rest.find("\n\n");
    EXPECT_NE(end, std::string_view::npos) << "an event without an end: " << rest;
    if (end == std::string_view::npos) break;
    std::string_view event = rest.substr(0, end);
    rest.remove_prefix(end + 2);
    EXPECT_FALSE(isDone) << "an event behind the last";
    std::string name;
    if (event.starts_with("event: ")) {
      name = event.substr(7, event.find('\n') - 7);
      event.remove_prefix(event.find('\n') + 1);
    }
    EXPECT_TRUE(event.starts_with("data: ")) << event;
    event.remove_prefix(std::min<std::size_t>(6, event.size()));
    if (event == "[DONE]") {
      isDone = true;
      continue;
    }
    events.push_back(Json::parse(event, nullptr, false));
    EXPECT_FALSE(events.back().is_discarded()) << event;
    if (!name.empty()) {
      EXPECT_EQ(events.back()["type"], name);
    }
  }
  EXPECT_EQ(isDone, endsWithDone);
  return events;
}

/// The lines of an answer in NDJSON.
inline std::vector<Json> linesOf(const HttpResponse& response) {
  EXPECT_EQ(response.status, 200) << response.body;
  std::vector<Json> lines;
  std::string_view rest = response.body;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    EXPECT_NE(end, std::string_view::npos) << rest;
    if (end == std::string_view::npos) break;
    lines.push_back(Json::parse(rest.substr(0, end), nullptr, false));
    EXPECT_FALSE(lines.back().is_discarded());
    rest.remove_prefix(end + 1);
  }
  return lines;
}

inline Json userSays(const std::string& text) { return Json::array({{{"role", "user"}, {"content", text}}}); }

inline Json weatherTool() {
  return {{"type", "function"},
          {"function",
           {{"name", "weather"},
            {"description", "The weather"},
            {"parameters",
             {{"type", "object"},
              {"properties", {{"city", {{"type", "string"}}}}},
              {"required", Json::array({"city"})}}}}}};
}
inline constexpr const char* kWeatherCall =
    "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call>";

}  // namespace quern::app::serve
