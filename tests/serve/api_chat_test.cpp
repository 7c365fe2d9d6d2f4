// /v1/chat/completions, /v1/completions, /v1/models: answers as OpenAI's clients read them.

#include <filesystem>
#include <fstream>

#include "tests/serve/api_fakes.h"
#include "tests/support/environment.h"
#include "tests/support/folder.h"

namespace quern::app::serve {
namespace {

Json chat(Json more = Json::object()) {
  Json body = {{"model", "fake"}, {"messages", userSays("Hi")}, {"temperature", 0}};
  body.update(more);
  return body;
}

TEST(ApiChat, AnswersWholeWithUsageAndTellsTheLog) {
  Kitchen kitchen("Hello there");
  const auto inbox = kitchen.post("/v1/chat/completions", chat().dump());
  const Json json = parsed(inbox->wait());
  EXPECT_EQ(json["object"], "chat.completion");
  EXPECT_EQ(json["model"], "fake");
  EXPECT_EQ(json["choices"][0]["message"]["content"], "Hello there");
  EXPECT_EQ(json["choices"][0]["finish_reason"], "stop");
  // "<user>Hi</><assistant>", a byte a token; the answer's end is a token as well.
  EXPECT_EQ(json["usage"]["prompt_tokens"], 22);
  EXPECT_EQ(json["usage"]["total_tokens"].get<int>(), 22 + json["usage"]["completion_tokens"].get<int>());
  EXPECT_TRUE(json["usage"]["prompt_tokens_details"]["cached_tokens"].is_number());
  for (const char* const key : {"tokens_per_second", "bandwidth_share", "queue_ms", "ttft_ms"})
    EXPECT_TRUE(json["usage"]["quern"][key].is_number()) << key;
  const RequestFacts facts = inbox->facts();
  EXPECT_EQ(facts.model, "fake");
  EXPECT_EQ(facts.promptTokens, 22);
  EXPECT_EQ(facts.finish, "stop");
}

TEST(ApiChat, AStreamIsTheSameAnswerInChunks) {
  Kitchen kitchen("Hello there");
  const auto events = eventsOf(kitchen.ask(
      "/v1/chat/completions", chat({{"stream", true}, {"stream_options", {{"include_usage", true}}}})));
  ASSERT_GT(events.size(), 4U);
  EXPECT_EQ(events.front()["choices"][0]["delta"]["role"], "assistant");
  std::string text;
  for (const Json& event : events) {
    EXPECT_EQ(event["object"], "chat.completion.chunk");
    EXPECT_EQ(event["id"], events.front()["id"]);
    if (!event["choices"].empty()) text += event["choices"][0]["delta"].value("content", "");
  }
  EXPECT_EQ(text, "Hello there");
  EXPECT_EQ(events[events.size() - 2]["choices"][0]["finish_reason"], "stop");
  EXPECT_TRUE(events.back()["choices"].empty());
  EXPECT_EQ(events.back()["usage"]["prompt_tokens"], 22);
  EXPECT_TRUE(events.front()["usage"].is_null());
}

TEST(ApiChat, StopsAtATextAndAtTheTokenLimit) {
  Kitchen kitchen("Hello there");
  Json json = parsed(kitchen.ask("/v1/chat/completions", chat({{"stop", "the"}})));
  EXPECT_EQ(json["choices"][0]["message"]["content"], "Hello ");
  EXPECT_EQ(json["choices"][0]["finish_reason"], "stop");
  json = parsed(kitchen.ask("/v1/chat/completions", chat({{"max_completion_tokens", 4}})));
  EXPECT_EQ(json["choices"][0]["message"]["content"], "Hell");
  EXPECT_EQ(json["choices"][0]["finish_reason"], "length");
}

TEST(ApiChat, GivesMoreAnswersThanTheEngineMakesAtOnce) {
  Kitchen kitchen("Yes");
  const Json json = parsed(kitchen.ask("/v1/chat/completions", chat({{"n", 6}})));
  ASSERT_EQ(json["choices"].size(), 6U);
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(json["choices"][i]["index"], i);
    EXPECT_EQ(json["choices"][i]["message"]["content"], "Yes");
  }
  const auto events = eventsOf(kitchen.ask("/v1/chat/completions", chat({{"n", 6}, {"stream", true}})));
  std::vector<std::string> texts(6);
  for (const Json& event : events) {
    const auto index = event["choices"][0]["index"].get<std::size_t>();
    texts.at(index) += event["choices"][0]["delta"].value("content", "");
  }
  EXPECT_EQ(texts, std::vector<std::string>(6, "Yes"));
}

TEST(ApiChat, TheSeedsOfSeveralAnswersCountOn) {
  Kitchen kitchen("A long answer that chance has many places to change.");
  const auto ask = [&](int seed, int n) {
    return parsed(kitchen.ask("/v1/chat/completions", chat({{"seed", seed},
                                                            {"n", n},
                                                            {"temperature", 2},
                                                            {"min_p", 0},
                                                            {"top_p", 1},
                                                            {"max_tokens", 20}})))["choices"];
  };
  const Json together = ask(3, 6);
  ASSERT_EQ(together.size(), 6U);
  EXPECT_NE(together[0]["message"], together[1]["message"]);
  for (int i = 0; i < 6; ++i)
    EXPECT_EQ(together[static_cast<std::size_t>(i)]["message"], ask(3 + i, 1)[0]["message"]) << i;
}

TEST(ApiChat, ShowsLogprobsOfEveryToken) {
  Kitchen kitchen("Hi");
  const Json body = chat({{"logprobs", true}, {"top_logprobs", 2}});
  const Json json = parsed(kitchen.ask("/v1/chat/completions", body));
  const Json& content = json["choices"][0]["logprobs"]["content"];
  ASSERT_GE(content.size(), 2U);
  EXPECT_EQ(content[0]["token"], "H");
  EXPECT_EQ(content[0]["bytes"], Json::array({'H'}));
  EXPECT_EQ(content[0]["top_logprobs"].size(), 2U);
  EXPECT_LT(content[0]["logprob"].get<double>(), 0);
  Json streamed = body;
  streamed["stream"] = true;
  Json all = Json::array();
  for (const Json& event : eventsOf(kitchen.ask("/v1/chat/completions", streamed))) {
    const Json& logprobs = event["choices"][0]["logprobs"];
    if (!logprobs.is_null()) all.insert(all.end(), logprobs["content"].begin(), logprobs["content"].end());
  }
  EXPECT_EQ(all, content);
}

TEST(ApiChat, TakesReasoningAndCallsApart) {
  Kitchen kitchen("<think>\nIt asks.\n</think>\n\n" + std::string(kWeatherCall));
  const Json body = chat({{"tools", Json::array({weatherTool()})}, {"parallel_tool_calls", false}});
  const Json json = parsed(kitchen.ask("/v1/chat/completions", body));
  const Json& message = json["choices"][0]["message"];
  EXPECT_EQ(message["reasoning_content"], "It asks.");
  ASSERT_EQ(message["tool_calls"].size(), 1U) << json;
  EXPECT_EQ(message["tool_calls"][0]["function"]["name"], "weather");
  EXPECT_EQ(Json::parse(message["tool_calls"][0]["function"]["arguments"].get<std::string>()),
            (Json{{"city", "Paris"}}));
  EXPECT_TRUE(message["content"].is_null());
  EXPECT_EQ(json["choices"][0]["finish_reason"], "tool_calls");

  Json streamed = body;
  streamed["stream"] = true;
  std::string reasoning, arguments, name, reason;
  for (const Json& event : eventsOf(kitchen.ask("/v1/chat/completions", streamed))) {
    const Json& choice = event["choices"][0];
    reasoning += choice["delta"].value("reasoning_content", "");
    if (choice["delta"].contains("tool_calls")) {
      const Json& call = choice["delta"]["tool_calls"][0];
      EXPECT_EQ(call["index"], 0);
      name += call["function"].value("name", "");
      arguments += call["function"].value("arguments", "");
    }
    if (!choice["finish_reason"].is_null()) reason = choice["finish_reason"];
  }
  EXPECT_EQ(reasoning, "It asks.");
  EXPECT_EQ(name, "weather");
  EXPECT_EQ(Json::parse(arguments), (Json{{"city", "Paris"}}));
  EXPECT_EQ(reason, "tool_calls");
}

TEST(ApiChat, OneCallIsEnoughWhereNoMoreAreWanted) {
  Kitchen kitchen(std::string(kWeatherCall) + "\n" + kWeatherCall);
  const Json json =
      parsed(kitchen.ask("/v1/chat/completions",
                         chat({{"tools", Json::array({weatherTool()})}, {"parallel_tool_calls", false}})));
  EXPECT_EQ(json["choices"][0]["message"]["tool_calls"].size(), 1U);
  EXPECT_EQ(json["choices"][0]["finish_reason"], "tool_calls");
}

TEST(ApiChat, MustCallWhereACallIsRequired) {
  // A model that would rather chat.
  Kitchen kitchen("No.");
  const Json json = parsed(kitchen.ask(
      "/v1/chat/completions",
      chat({{"tools", Json::array({weatherTool()})}, {"tool_choice", "required"}, {"max_tokens", 300}})));
  const Json& calls = json["choices"][0]["message"]["tool_calls"];
  ASSERT_GE(calls.size(), 1U) << json;
  EXPECT_EQ(calls[0]["function"]["name"], "weather");
}

TEST(ApiChat, HoldsAnswersToASchema) {
  Kitchen kitchen("Certainly! {\"ok\": true}");
  const Json schema = {{"type", "object"},
                       {"properties", {{"ok", {{"type", "boolean"}}}}},
                       {"required", Json::array({"ok"})},
                       {"additionalProperties", false}};
  const Json json = parsed(kitchen.ask(
      "/v1/chat/completions",
      chat({{"max_tokens", 200},
            {"response_format",
             {{"type", "json_schema"}, {"json_schema", {{"name", "answer"}, {"schema", schema}}}}}})));
  const Json content =
      Json::parse(json["choices"][0]["message"]["content"].get<std::string>(), nullptr, false);
  ASSERT_TRUE(content.is_object()) << json;
  EXPECT_TRUE(content["ok"].is_boolean());
}

TEST(ApiChat, NamesThePromptAndTheContextWhereOneIsTooLong) {
  Kitchen kitchen;
  Json body = chat();
  body["messages"] = userSays(std::string(3000, 'x'));
  const HttpResponse response = kitchen.ask("/v1/chat/completions", body);
  EXPECT_EQ(response.status, 400);
  const Json error = parsed(response)["error"];
  EXPECT_EQ(error["code"], "context_length_exceeded");
  EXPECT_EQ(error["param"], "messages");
  const std::string message = error["message"];
  EXPECT_NE(message.find("2048"), std::string::npos) << message;
  EXPECT_NE(message.find("3020"), std::string::npos) << message;
}

TEST(ApiCompletions, GoesOnWithTextsAndTokens) {
  Kitchen kitchen("abc");
  Json tokens = Json::array();
  for (const char c : kAnswerHere) tokens.push_back(static_cast<int>(c));
  for (const Json& prompt :
       {Json("x<assistant>"), Json::array({"<assistant>"}), tokens, Json::array({tokens})}) {
    const Json json =
        parsed(kitchen.ask("/v1/completions", {{"model", "fake"}, {"prompt", prompt}, {"temperature", 0}}));
    ASSERT_EQ(json["choices"].size(), 1U) << prompt;
    EXPECT_EQ(json["choices"][0]["text"], "abc") << prompt;
    EXPECT_EQ(json["object"], "text_completion");
  }
  const Json json = parsed(kitchen.ask("/v1/completions", {{"model", "fake"},
                                                           {"prompt", {"a<assistant>", "b<assistant>"}},
                                                           {"n", 2},
                                                           {"logprobs", 1},
                                                           {"temperature", 0}}));
  ASSERT_EQ(json["choices"].size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(json["choices"][i]["index"], i);
    EXPECT_EQ(json["choices"][i]["text"], "abc");
    EXPECT_EQ(json["choices"][i]["logprobs"]["tokens"][1], "b");
    EXPECT_EQ(json["choices"][i]["logprobs"]["text_offset"][1], 1);
  }
}

TEST(ApiCompletions, Streams) {
  Kitchen kitchen("abc");
  const auto events = eventsOf(
      kitchen.ask("/v1/completions",
                  {{"model", "fake"}, {"prompt", "<assistant>"}, {"stream", true}, {"temperature", 0}}));
  std::string text;
  for (const Json& event : events) text += event["choices"][0]["text"].get<std::string>();
  EXPECT_EQ(text, "abc");
  EXPECT_EQ(events.back()["choices"][0]["finish_reason"], "stop");
}

TEST(ApiModels, ListsWhatMayBeAskedFor) {
  Kitchen kitchen;
  const Json list = parsed(kitchen.get("/v1/models"));
  ASSERT_EQ(list["data"].size(), 1U);
  EXPECT_EQ(list["data"][0]["id"], "fake");
  EXPECT_EQ(parsed(kitchen.get("/v1/models/fake"))["object"], "model");
  const HttpResponse missing = kitchen.get("/v1/models/other");
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(parsed(missing)["error"]["code"], "model_not_found");
  EXPECT_EQ(parsed(missing)["error"]["message"], "There is no model \"other\" here; here is \"fake\".");
  // A file's path is no name, whether it is there or not.
  EXPECT_EQ(kitchen.get("/v1/models//nowhere/fake.gguf").status, 404);
}

TEST(ApiModels, OneThatIsInstalledAloneNeedsNotBeNamed) {
  const test::Folder home;
  const test::Environment moved{"QUERN_HOME", home.path().c_str()};
  const auto models = home.path() / "data" / "models";
  std::filesystem::create_directories(models);
  const Catalog catalog({}, true);
  EXPECT_FALSE(catalog.find(""));
  EXPECT_EQ(catalog.whyNot(""), "There is no model here yet.");
  std::ofstream(models / "one.gguf") << "GGUF";
  ASSERT_TRUE(catalog.find(""));
  EXPECT_EQ(catalog.find("")->name, "one");
  std::ofstream(models / "two.gguf") << "GGUF";
  EXPECT_FALSE(catalog.find(""));
  EXPECT_EQ(catalog.whyNot(""), "The request names no model; here are \"one\", \"two\".");
}

TEST(ApiModels, TheDocumentHasEveryRouteAndNoOther) {
  Kitchen kitchen;
  const Json document = parsed(kitchen.get("/openapi.json"));
  EXPECT_EQ(document["openapi"], "3.1.0");
  std::size_t count = 0;
  for (const auto& [path, methods] : document["paths"].items()) count += methods.size();
  EXPECT_EQ(count, kitchen.routes.size());
  for (const Route& route : kitchen.routes) {
    std::string path = route.path;
    if (path.ends_with('*')) path = path.substr(0, path.size() - 1) + "{model}";
    std::string method = route.method;
    for (char& c : method) c = static_cast<char>(std::tolower(c));
    ASSERT_TRUE(document["paths"].contains(path)) << path;
    EXPECT_TRUE(document["paths"][path].contains(method)) << path;
  }
  const std::string text = document.dump();
  for (std::size_t at = text.find("#/components/schemas/"); at != std::string::npos;
       at = text.find("#/components/schemas/", at + 1)) {
    const std::string name = text.substr(at + 21, text.find('"', at) - at - 21);
    EXPECT_TRUE(document["components"]["schemas"].contains(name)) << name;
  }
}

}  // namespace
}  // namespace quern::app::serve
