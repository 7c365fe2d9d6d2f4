// What is refused and how it is said, who goes and when, and what the counters count.

#include <algorithm>
#include <atomic>
#include <fstream>
#include <thread>

#include "tests/serve/api_fakes.h"

namespace quern::app::serve {
namespace {

using namespace std::chrono_literals;

Json chat(Json more = Json::object()) {
  Json body = {{"model", "fake"}, {"messages", userSays("Hi")}, {"temperature", 0}};
  body.update(more);
  return body;
}

/// The field that an error speaks of, in whichever shape.
std::string paramOf(const Json& json) {
  const Json& at = json["error"].is_object() ? json["error"] : json;
  return at.contains("param") && at["param"].is_string() ? at["param"].get<std::string>() : "";
}

TEST(ApiErrors, BadRequestsAreRefusedByTheFieldThatIsWrong) {
  std::ifstream stream(std::string(QUERN_SOURCE_DIR) + "/tests/data/serve/bad_requests.json");
  const Json cases = Json::parse(stream);
  ASSERT_GT(cases.size(), 100U);
  Kitchen kitchen;
  for (const Json& one : cases) {
    const std::string path = one["path"];
    const std::string body = one.contains("raw") ? one["raw"].get<std::string>() : one["body"].dump();
    const HttpResponse response = kitchen.post(path, body)->wait();
    EXPECT_EQ(response.status, one["status"]) << path << " " << body << "\n" << response.body;
    if (response.status == 200) continue;
    const Json json = parsed(response);
    EXPECT_EQ(paramOf(json), one.value("param", "")) << path << " " << body << "\n" << response.body;
    if (path.starts_with("/api")) {
      EXPECT_TRUE(json["error"].is_string()) << response.body;
    } else {
      EXPECT_TRUE(json["error"]["message"].is_string()) << response.body;
    }
    if (path.starts_with("/v1/messages")) {
      EXPECT_EQ(json["type"], "error");
    }
  }
}

TEST(ApiErrors, HostileBodiesAreRefusedAtOnce) {
  Kitchen kitchen;
  const auto refused = [&](const std::string& body) {
    const auto before = std::chrono::steady_clock::now();
    const HttpResponse response = kitchen.post("/v1/chat/completions", body)->wait();
    EXPECT_EQ(response.status, 400);
    EXPECT_LT(std::chrono::steady_clock::now() - before, 5s);
    return parsed(response)["error"]["code"].get<std::string>();
  };
  EXPECT_EQ(refused(std::string(100000, '[')), "json_too_deep");
  EXPECT_EQ(refused("{\"a\":" + std::string(64, '[') + std::string(64, ']') + "}"), "json_too_deep");
  EXPECT_EQ(refused("{\"a\":" + std::string(63, '[') + std::string(63, ']') + "}"), "missing_field");
  EXPECT_EQ(refused("{\"a\": \"\xC3\x28\"}"), "invalid_json");
  EXPECT_EQ(refused("{\"temperature\": NaN}"), "invalid_json");
  EXPECT_EQ(refused("{\"temperature\": 1e999}"), "invalid_json");
  EXPECT_EQ(refused(""), "invalid_json");
  EXPECT_EQ(refused("[]"), "invalid_json");
  std::string members = "{";
  for (int i = 0; i < 200000; ++i) members += "\"" + std::to_string(i) + "\":1,";
  EXPECT_EQ(refused(members + "\"z\":1}"), "json_too_large");
}

TEST(ApiErrors, ATooLargeCrowdIsTurnedAway) {
  Kitchen kitchen("Yes", {}, [](scheduler::LoadOptions& load) { load.queueLimit = 8; });
  const std::string body = chat().dump();
  ASSERT_EQ(kitchen.post("/v1/chat/completions", body)->wait().status, 200);
  kitchen.control->allow(0);
  std::vector<std::shared_ptr<Inbox>> inboxes = {kitchen.post("/v1/chat/completions", body)};
  kitchen.control->awaitBlocked();
  // The engine stands still: eight wait, everybody else is refused without waiting.
  for (int i = 0; i < 40; ++i) inboxes.push_back(kitchen.post("/v1/chat/completions", body));
  const auto refused = [&] {
    return std::count_if(inboxes.begin(), inboxes.end(), [](const auto& inbox) { return inbox->isOver(); });
  };
  for (int i = 0; i < 5000 && refused() < 32; ++i) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(refused(), 32);
  kitchen.control->allow(-1);
  int answered = 0;
  for (const auto& inbox : inboxes) {
    const HttpResponse response = inbox->wait();
    answered += response.status == 200 ? 1 : 0;
    if (response.status == 200) continue;
    EXPECT_EQ(response.status, 429);
    EXPECT_TRUE(std::any_of(response.headers.begin(), response.headers.end(),
                            [](const Header& header) { return header.name == "Retry-After"; }));
  }
  EXPECT_EQ(answered, 9);
}

TEST(ApiErrors, ALoadThatFailsIsTold) {
  Kitchen kitchen;
  kitchen.onLoad = [](const auto&) {
    return engine::base::Error(engine::base::ErrorCode::kOutOfMemory, "It needs 9 GiB; there are 4 GiB.");
  };
  const HttpResponse response = kitchen.ask("/v1/chat/completions", chat());
  EXPECT_EQ(response.status, 503);
  EXPECT_NE(response.body.find("9 GiB"), std::string::npos);
}

TEST(ApiErrors, AStreamThatBreaksSaysSo) {
  Kitchen kitchen("Hello there");
  kitchen.control->failAtRun = 4;
  const HttpResponse response = kitchen.ask("/v1/chat/completions", chat({{"stream", true}}));
  const auto events = eventsOf(response, false);
  EXPECT_EQ(events.back()["error"]["type"], "server_error");
}

TEST(ApiErrors, ADeadlinePassesWhileTheModelLoads) {
  Kitchen kitchen;
  std::atomic<bool> isEnded{false};
  kitchen.onLoad = [&](const engine::runtime::Progress& progress) -> std::optional<engine::base::Error> {
    while (progress(0.5)) std::this_thread::sleep_for(1ms);
    isEnded = true;
    return engine::base::Error(engine::base::ErrorCode::kCancelled, "Loading was cancelled.");
  };
  HttpRequest request;
  request.method = "POST";
  request.path = "/v1/chat/completions";
  request.body = chat().dump();
  request.deadline = std::chrono::steady_clock::now() + 50ms;
  EXPECT_EQ(kitchen.send(std::move(request))->wait().status, 504);
  for (int i = 0; i < 5000 && !isEnded; ++i) std::this_thread::sleep_for(1ms);
  EXPECT_TRUE(isEnded) << "the load went on for nobody";
}

TEST(ApiGone, EndsALoadThatNobodyWaitsForAnyMore) {
  Kitchen kitchen;
  std::atomic<bool> isLoading{false};
  std::atomic<bool> isEnded{false};
  kitchen.onLoad = [&](const engine::runtime::Progress& progress) -> std::optional<engine::base::Error> {
    isLoading = true;
    while (progress(0.5)) std::this_thread::sleep_for(1ms);
    isEnded = true;
    return engine::base::Error(engine::base::ErrorCode::kCancelled, "Loading was cancelled.");
  };
  const auto inbox = kitchen.post("/v1/chat/completions", chat().dump());
  for (int i = 0; i < 5000 && !isLoading; ++i) std::this_thread::sleep_for(1ms);
  ASSERT_TRUE(isLoading);
  inbox->leave();
  for (int i = 0; i < 5000 && !isEnded; ++i) std::this_thread::sleep_for(1ms);
  EXPECT_TRUE(isEnded);
}

TEST(ApiGone, EndsAnAnswerThatNobodyReads) {
  Kitchen kitchen(std::string(400, 'x'));
  kitchen.control->allow(10);
  const auto inbox = kitchen.post("/v1/chat/completions", chat({{"stream", true}}).dump());
  ASSERT_TRUE(inbox->waitForBytes());
  inbox->leave();
  kitchen.control->allow(-1);
  inbox->wait();
  EXPECT_LT(inbox->facts().completionTokens, 400);
  EXPECT_EQ(inbox->facts().finish, "abort");
  for (int i = 0; i < 5000 && kitchen.pool->list().models[0].requests > 0; ++i)
    std::this_thread::sleep_for(1ms);
  EXPECT_EQ(kitchen.pool->list().models[0].requests, 0);
}

TEST(ApiGone, AServiceThatEndsEndsWhatRuns) {
  auto kitchen = std::make_unique<Kitchen>(std::string(400, 'x'));
  const auto inbox = kitchen->post("/v1/chat/completions", chat().dump());
  kitchen.reset();
  const int status = inbox->wait().status;
  EXPECT_TRUE(status == 503 || status == 200) << status;
}

TEST(ApiCache, AnswersTheSameQuestionOnce) {
  ServiceOptions options;
  options.answerCacheBytes = 1 << 20;
  Kitchen kitchen("<think>Hm.</think>Hello", options);
  const auto runs = [&] {
    const std::lock_guard lock(kitchen.control->mutex);
    return kitchen.control->runs;
  };
  const auto ask = [&](const Json& body, const std::string& caller = "", const char* control = nullptr) {
    HttpRequest request;
    request.method = "POST";
    request.path = "/v1/chat/completions";
    request.body = body.dump();
    request.caller.id = caller;
    if (control != nullptr) request.headers.push_back({"cache-control", control});
    return kitchen.send(std::move(request))->wait();
  };
  const Json first = parsed(ask(chat()));
  EXPECT_FALSE(first["usage"]["quern"]["response_cache"].get<bool>());
  const auto before = runs();
  const Json second = parsed(ask(chat()));
  EXPECT_EQ(runs(), before) << "it was computed again";
  EXPECT_TRUE(second["usage"]["quern"]["response_cache"].get<bool>());
  EXPECT_EQ(second["choices"], first["choices"]);
  EXPECT_EQ(second["usage"]["completion_tokens"], first["usage"]["completion_tokens"]);
  std::string streamed;
  for (const Json& event : eventsOf(ask(chat({{"stream", true}}))))
    streamed += event["choices"][0]["delta"].value("content", "");
  EXPECT_EQ(streamed, "Hello");
  EXPECT_EQ(runs(), before);
  // Whatever differs is another question.
  for (const Json& other : {chat({{"max_tokens", 3}}), chat({{"stop", "z"}}), chat({{"top_k", 3}}),
                            chat({{"n", 2}}), chat({{"messages", userSays("Ho")}})}) {
    const auto computed = runs();
    ask(other);
    EXPECT_GT(runs(), computed) << other;
  }
  auto computed = runs();
  ask(chat(), "another");
  EXPECT_GT(runs(), computed) << "another caller's answer";
  computed = runs();
  ask(chat(), "", "no-store");
  EXPECT_GT(runs(), computed);
  computed = runs();
  ask(chat({{"temperature", 1}}));
  ask(chat({{"temperature", 1}}));
  const auto random = runs() - computed;
  EXPECT_GT(random, 10) << "an answer by chance was kept";
  EXPECT_NE(kitchen.get("/metrics").body.find("quern_response_cache_hits_total{model_name=\"fake\"} 2"),
            std::string::npos);
}

TEST(ApiCache, StaysBelowItsLimit) {
  AnswerCache cache(10000);
  for (int i = 0; i < 100; ++i) {
    KeptAnswer kept;
    scheduler::Event event;
    event.text = std::string(500, 'x');
    kept.events.push_back(event);
    cache.keep("key " + std::to_string(i), {kept});
    EXPECT_LE(cache.bytes(), 10000U);
  }
  EXPECT_EQ(cache.find("key 0"), nullptr);
  EXPECT_NE(cache.find("key 99"), nullptr);
}

/// The number behind a line of the counters' page.
double counted(const std::string& page, const std::string& line) {
  const std::size_t at = page.find("\n" + line + " ");
  return at == std::string::npos ? -1 : std::stod(page.substr(at + line.size() + 2));
}

TEST(ApiMetrics, CountTokensExactly) {
  Kitchen kitchen(std::string(100, 'x'));
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(kitchen.ask("/v1/chat/completions", chat({{"max_tokens", 10}, {"stream", i % 2 == 0}})).status,
              200);
  }
  const HttpResponse response = kitchen.get("/metrics");
  const std::string& page = response.body;
  EXPECT_EQ(counted(page, R"(vllm:generation_tokens_total{model_name="fake"})"), 100) << page;
  EXPECT_EQ(counted(page, R"(vllm:prompt_tokens_total{model_name="fake"})"), 220);
  EXPECT_EQ(counted(page, R"(vllm:e2e_request_latency_seconds_count{model_name="fake"})"), 10);
  EXPECT_EQ(counted(page, R"(vllm:time_to_first_token_seconds_count{model_name="fake"})"), 10);
  EXPECT_EQ(counted(page, R"(vllm:inter_token_latency_seconds_count{model_name="fake"})"), 90);
  EXPECT_EQ(counted(page, R"(vllm:num_requests_running{model_name="fake"})"), 0);
  EXPECT_EQ(counted(page, R"(vllm:kv_cache_usage_perc{model_name="fake"})"), 0);
  EXPECT_NE(page.find("finished_reason=\"length\""), std::string::npos);
  EXPECT_GT(counted(page, "quern_process_resident_memory_bytes"), 1e6);
}

}  // namespace
}  // namespace quern::app::serve
