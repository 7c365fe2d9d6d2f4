// The endpoints with a real model: what they say is what the engine says, structured answers parse, and what
// they cost beside the engine alone.

#include <cstdio>
#include <filesystem>

#include "tests/serve/api_fakes.h"

namespace quern::app::serve {
namespace {

const std::filesystem::path kSmol =
    std::filesystem::path(QUERN_TEST_DATA) / "smollm2-135m-instruct-q4_1.gguf";

class ApiWithSmolLM2 : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kSmol)) GTEST_SKIP() << "no SmolLM2: run packaging/fetch-test-data.sh";
    scheduler::PoolOptions options;
    options.defaults.contextTokens = 1024;
    options.defaults.parallel = 16;
    options.defaults.embeddings = true;
    pool_ = std::make_unique<scheduler::ModelPool>(options);
    ServiceOptions served;
    served.models = {{"smollm2", kSmol, 0, 0}};
    served.installed = false;
    service_ = std::make_unique<Service>(*pool_, metrics_, served);
    routes_ = makeRoutes(*service_);
  }
  std::shared_ptr<Inbox> post(const std::string& path, const Json& body) {
    auto inbox = std::make_shared<Inbox>();
    HttpRequest request;
    request.method = "POST";
    request.path = path;
    request.body = body.dump();
    request.arrived = std::chrono::steady_clock::now();
    for (const Route& route : routes_) {
      if (route.path == path) route.handler(std::move(request), inbox);
    }
    return inbox;
  }
  Json ask(const std::string& path, const Json& body) { return parsed(post(path, body)->wait()); }

  Metrics metrics_;
  std::unique_ptr<scheduler::ModelPool> pool_;
  std::unique_ptr<Service> service_;
  std::vector<Route> routes_;
};

Json question(const std::string& text, Json more = Json::object()) {
  Json body = {{"model", "smollm2"}, {"messages", userSays(text)}, {"temperature", 0}, {"max_tokens", 40}};
  body.update(more);
  return body;
}

std::string contentOf(const std::vector<Json>& events) {
  std::string text;
  for (const Json& event : events) {
    if (!event["choices"].empty()) text += event["choices"][0]["delta"].value("content", "");
  }
  return text;
}

TEST_F(ApiWithSmolLM2, SaysWhatTheEngineSaysWholeAndStreamed) {
  const std::string text = "What is the capital of France?";
  const auto lease = *pool_->acquire(kSmol);
  scheduler::Request request;
  request.prompt = *scheduler::renderChat(*lease, {{"user", text}});
  request.maxTokens = 40;
  request.sampling.temperature = 0;
  const auto sink = std::make_shared<scheduler::Collector>();
  ASSERT_TRUE(lease->submit(request, sink));
  sink->awaitEnd();
  const Json whole = ask("/v1/chat/completions", question(text));
  EXPECT_EQ(whole["choices"][0]["message"]["content"], sink->text());
  EXPECT_GT(whole["usage"]["quern"]["tokens_per_second"].get<double>(), 0);
  EXPECT_EQ(contentOf(eventsOf(post("/v1/chat/completions", question(text, {{"stream", true}}))->wait())),
            sink->text());
  EXPECT_NE(sink->text().find("Paris"), std::string::npos) << sink->text();
}

TEST_F(ApiWithSmolLM2, StructuredAnswersAreWhatTheSchemaSays) {
  const Json schema = {{"type", "object"},
                       {"properties",
                        {{"name", {{"type", "string"}, {"maxLength", 20}}},
                         {"age", {{"type", "integer"}, {"minimum", 0}, {"maximum", 120}}}}},
                       {"required", Json::array({"name", "age"})},
                       {"additionalProperties", false}};
  const Json json =
      ask("/v1/chat/completions",
          question("Describe Anna, who is 31.",
                   {{"max_tokens", 100},
                    {"response_format",
                     {{"type", "json_schema"}, {"json_schema", {{"name", "p"}, {"schema", schema}}}}}}));
  const Json person =
      Json::parse(json["choices"][0]["message"]["content"].get<std::string>(), nullptr, false);
  ASSERT_TRUE(person.is_object()) << json;
  EXPECT_TRUE(person["name"].is_string());
  EXPECT_GE(person["age"].get<int>(), 0);
}

TEST_F(ApiWithSmolLM2, ACallThatIsRequiredIsMade) {
  const Json json = ask(
      "/v1/chat/completions",
      question("What is the weather in Paris?",
               {{"max_tokens", 120}, {"tools", Json::array({weatherTool()})}, {"tool_choice", "required"}}));
  const Json& calls = json["choices"][0]["message"]["tool_calls"];
  ASSERT_GE(calls.size(), 1U) << json;
  const Json arguments = Json::parse(calls[0]["function"]["arguments"].get<std::string>(), nullptr, false);
  EXPECT_TRUE(arguments.is_object()) << json;
}

/// Sixteen answers at once, streamed through the endpoints and taken from the engine, in turns.
TEST_F(ApiWithSmolLM2, StreamsCostLittleBesideTheEngine) {
  constexpr int kStreams = 16;
  constexpr int kTokens = 48;
  const auto lease = *pool_->acquire(kSmol);
  const auto seconds = [](auto&& work) {
    const auto before = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
  };
  const auto text = [](int i) { return "Tell a story about mill number " + std::to_string(i) + "."; };
  double direct = 1e9;
  double served = 1e9;
  for (int round = 0; round < 3; ++round) {
    served = std::min(
        served, seconds([&] {
          std::vector<std::shared_ptr<Inbox>> all;
          for (int i = 0; i < kStreams; ++i)
            all.push_back(post("/v1/chat/completions", question(text(i), {{"stream", true},
                                                                          {"max_tokens", kTokens},
                                                                          {"ignore_eos", true},
                                                                          {"cache_prompt", false}})));
          for (const auto& inbox : all) EXPECT_EQ(inbox->wait().status, 200);
        }));
    direct = std::min(direct, seconds([&] {
                        std::vector<std::shared_ptr<scheduler::Collector>> all;
                        for (int i = 0; i < kStreams; ++i) {
                          scheduler::Request request;
                          request.prompt = *scheduler::renderChat(*lease, {{"user", text(i)}});
                          request.maxTokens = kTokens;
                          request.sampling.temperature = 0;
                          request.ignoreEnd = true;
                          request.reuse = false;
                          all.push_back(std::make_shared<scheduler::Collector>());
                          ASSERT_TRUE(lease->submit(std::move(request), all.back()));
                        }
                        for (const auto& sink : all) sink->awaitEnd();
                      }));
  }
  std::printf(
      "%d streams of %d tokens: %.2f s through the endpoints, %.2f s from the engine (%.1f %% more)\n",
      kStreams, kTokens, served, direct, (served / direct - 1) * 100);
  EXPECT_LT(served, direct * 1.15);
}

}  // namespace
}  // namespace quern::app::serve
