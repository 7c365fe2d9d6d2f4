// Anthropic's, Ollama's and llama.cpp's endpoints, and OpenAI's responses and embeddings.

#include <cmath>

#include "tests/serve/api_fakes.h"

namespace quern::app::serve {
namespace {

Json anthropic(Json more = Json::object()) {
  Json body = {{"model", "fake"}, {"messages", userSays("Hi")}, {"max_tokens", 300}, {"temperature", 0}};
  body.update(more);
  return body;
}
Json anthropicTool() {
  return {{"name", "weather"},
          {"description", "The weather"},
          {"input_schema", weatherTool()["function"]["parameters"]}};
}
const std::string kAll = "<think>\nHm.\n</think>\n\nLet me see.\n" + std::string(kWeatherCall);

TEST(ApiMessages, AnswersInBlocks) {
  Kitchen kitchen(kAll);
  const Json json =
      parsed(kitchen.ask("/v1/messages", anthropic({{"tools", Json::array({anthropicTool()})}})));
  EXPECT_EQ(json["type"], "message");
  ASSERT_EQ(json["content"].size(), 3U) << json;
  EXPECT_EQ(json["content"][0]["thinking"], "Hm.");
  EXPECT_EQ(json["content"][1]["text"], "Let me see.");
  EXPECT_EQ(json["content"][2]["type"], "tool_use");
  EXPECT_EQ(json["content"][2]["input"], (Json{{"city", "Paris"}}));
  EXPECT_EQ(json["stop_reason"], "tool_use");
  EXPECT_GT(json["usage"]["input_tokens"].get<int>(), 0);
}

TEST(ApiMessages, AStreamOpensAndClosesEveryBlock) {
  Kitchen kitchen(kAll);
  const auto events = eventsOf(
      kitchen.ask("/v1/messages", anthropic({{"stream", true}, {"tools", Json::array({anthropicTool()})}})),
      false);
  ASSERT_GT(events.size(), 6U);
  EXPECT_EQ(events.front()["type"], "message_start");
  EXPECT_EQ(events.back()["type"], "message_stop");
  EXPECT_EQ(events[events.size() - 2]["delta"]["stop_reason"], "tool_use");
  int open = -1;
  int next = 0;
  std::string thinking, text, input;
  for (const Json& event : events) {
    const std::string type = event["type"];
    if (type == "content_block_start") {
      EXPECT_EQ(open, -1);
      EXPECT_EQ(event["index"], next);
      open = next++;
    } else if (type == "content_block_stop") {
      EXPECT_EQ(event["index"], open);
      open = -1;
    } else if (type == "content_block_delta") {
      EXPECT_EQ(event["index"], open);
      thinking += event["delta"].value("thinking", "");
      text += event["delta"].value("text", "");
      input += event["delta"].value("partial_json", "");
    }
  }
  EXPECT_EQ(open, -1);
  EXPECT_EQ(next, 3);
  EXPECT_EQ(thinking, "Hm.");
  EXPECT_EQ(text, "Let me see.");
  EXPECT_EQ(Json::parse(input), (Json{{"city", "Paris"}}));
}

TEST(ApiMessages, SaysWhichTextStoppedIt) {
  Kitchen kitchen("one two three");
  const Json json =
      parsed(kitchen.ask("/v1/messages", anthropic({{"stop_sequences", Json::array({"nine", "two"})}})));
  EXPECT_EQ(json["stop_reason"], "stop_sequence");
  EXPECT_EQ(json["stop_sequence"], "two");
  EXPECT_EQ(json["content"][0]["text"], "one ");
}

TEST(ApiMessages, GoesOnWithAnAnswerThatWasBegun) {
  Kitchen kitchen("I am a mill.");
  Json body = anthropic();
  body["messages"].push_back({{"role", "assistant"}, {"content", "I am"}});
  const Json json = parsed(kitchen.ask("/v1/messages", body));
  EXPECT_EQ(json["content"][0]["text"], " a mill.");
}

TEST(ApiMessages, TakesResultsOfToolsAndCountsTokens) {
  Kitchen kitchen("Sunny.");
  Json body = anthropic({{"system", "Be brief."}, {"tools", Json::array({anthropicTool()})}});
  body["messages"].push_back(
      {{"role", "assistant"},
       {"content",
        Json::array(
            {{{"type", "tool_use"}, {"id", "t1"}, {"name", "weather"}, {"input", {{"city", "Paris"}}}}})}});
  body["messages"].push_back(
      {{"role", "user"},
       {"content", Json::array({{{"type", "tool_result"}, {"tool_use_id", "t1"}, {"content", "sun"}}})}});
  const Json json = parsed(kitchen.ask("/v1/messages", body));
  ASSERT_TRUE(json.contains("content")) << json;
  EXPECT_EQ(json["content"][0]["text"], "Sunny.");
  const Json count = parsed(kitchen.ask("/v1/messages/count_tokens", body));
  EXPECT_EQ(count["input_tokens"].get<int>(),
            json["usage"]["input_tokens"].get<int>() + json["usage"]["cache_read_input_tokens"].get<int>());
}

TEST(ApiResponses, AnswersAndStreamsTheSameItems) {
  Kitchen kitchen(kAll);
  Json tool = weatherTool()["function"];
  tool["type"] = "function";
  Json body = {{"model", "fake"}, {"input", "Hi"}, {"temperature", 0}, {"tools", Json::array({tool})}};
  const Json json = parsed(kitchen.ask("/v1/responses", body));
  EXPECT_EQ(json["status"], "completed");
  ASSERT_EQ(json["output"].size(), 3U) << json;
  EXPECT_EQ(json["output"][0]["type"], "reasoning");
  EXPECT_EQ(json["output"][1]["content"][0]["text"], "Let me see.");
  EXPECT_EQ(json["output"][2]["name"], "weather");
  body["stream"] = true;
  const auto events = eventsOf(kitchen.ask("/v1/responses", body), false);
  std::string text, arguments;
  for (std::size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i]["sequence_number"], i);
    if (events[i]["type"] == "response.output_text.delta") text += events[i]["delta"].get<std::string>();
    if (events[i]["type"] == "response.function_call_arguments.delta")
      arguments += events[i]["delta"].get<std::string>();
  }
  EXPECT_EQ(text, "Let me see.");
  EXPECT_EQ(Json::parse(arguments), (Json{{"city", "Paris"}}));
  ASSERT_EQ(events.back()["type"], "response.completed");
  EXPECT_EQ(events.back()["response"]["output"].size(), 3U);
  EXPECT_EQ(events.back()["response"]["output"][1]["content"], json["output"][1]["content"]);
}

TEST(ApiResponses, IsIncompleteAtTheLimit) {
  Kitchen kitchen("Hello there");
  const Json json = parsed(kitchen.ask(
      "/v1/responses",
      {{"model", "fake"}, {"input", userSays("Hi")}, {"max_output_tokens", 5}, {"temperature", 0}}));
  EXPECT_EQ(json["status"], "incomplete");
  EXPECT_EQ(json["incomplete_details"]["reason"], "max_output_tokens");
  EXPECT_EQ(json["output"][0]["content"][0]["text"], "Hello");
}

TEST(ApiOllama, ChatsInLinesByDefault) {
  Kitchen kitchen(kAll);
  Json body = {{"model", "fake:latest"},
               {"messages", userSays("Hi")},
               {"tools", Json::array({weatherTool()})},
               {"options", {{"temperature", 0}}}};
  std::string text, thinking;
  Json calls = Json::array();
  const auto lines = linesOf(kitchen.ask("/api/chat", body));
  ASSERT_GT(lines.size(), 3U);
  for (const Json& line : lines) {
    text += line["message"].value("content", "");
    thinking += line["message"].value("thinking", "");
    if (line["message"].contains("tool_calls")) calls = line["message"]["tool_calls"];
    EXPECT_EQ(line["done"].get<bool>(), &line == &lines.back());
  }
  EXPECT_EQ(text, "Let me see.");
  EXPECT_EQ(thinking, "Hm.");
  ASSERT_EQ(calls.size(), 1U);
  EXPECT_EQ(calls[0]["function"]["arguments"], (Json{{"city", "Paris"}}));
  EXPECT_EQ(lines.back()["done_reason"], "stop");
  EXPECT_GT(lines.back()["eval_count"].get<int>(), 0);
  body["stream"] = false;
  const Json whole = parsed(kitchen.ask("/api/chat", body));
  EXPECT_EQ(whole["message"]["content"], "Let me see.");
  EXPECT_TRUE(whole["done"].get<bool>());
}

TEST(ApiOllama, GeneratesAndTellsOfModels) {
  Kitchen kitchen("Hello");
  Json json = parsed(kitchen.ask("/api/generate", {{"model", "fake"},
                                                   {"prompt", "Hi"},
                                                   {"stream", false},
                                                   {"options", {{"temperature", 0}, {"num_predict", 4}}}}));
  EXPECT_EQ(json["response"], "Hell");
  EXPECT_EQ(json["done_reason"], "length");
  json = parsed(kitchen.ask("/api/generate", {{"model", "fake"}}));
  EXPECT_EQ(json["done_reason"], "load");
  EXPECT_EQ(parsed(kitchen.get("/api/tags"))["models"][0]["name"], "fake");
  EXPECT_EQ(parsed(kitchen.get("/api/ps"))["models"][0]["name"], "fake");
  EXPECT_TRUE(parsed(kitchen.get("/api/version"))["version"].is_string());
  const HttpResponse missing = kitchen.ask("/api/show", {{"model", "other"}});
  EXPECT_EQ(missing.status, 404);
  EXPECT_TRUE(parsed(missing)["error"].is_string());
  EXPECT_EQ(kitchen.ask("/api/pull", {{"model", "other"}}).status, 403);
}

TEST(ApiEmbeddings, ComeAsNumbersAndAsBase64) {
  Kitchen kitchen;
  const Json json = parsed(kitchen.ask("/v1/embeddings", {{"model", "fake"}, {"input", {"one", "two"}}}));
  ASSERT_EQ(json["data"].size(), 2U) << json;
  EXPECT_NE(json["data"][0]["embedding"], json["data"][1]["embedding"]);
  EXPECT_EQ(json["data"][0]["embedding"].size(), 6U);
  EXPECT_EQ(json["usage"]["prompt_tokens"], 6);
  const Json coded = parsed(
      kitchen.ask("/v1/embeddings", {{"model", "fake"}, {"input", "one"}, {"encoding_format", "base64"}}));
  EXPECT_EQ(coded["data"][0]["embedding"].get<std::string>().size(), 32U);  // 24 bytes
  const Json shorter =
      parsed(kitchen.ask("/v1/embeddings", {{"model", "fake"}, {"input", "one"}, {"dimensions", 3}}));
  double squares = 0;
  for (const Json& one : shorter["data"][0]["embedding"]) squares += std::pow(one.get<double>(), 2);
  EXPECT_EQ(shorter["data"][0]["embedding"].size(), 3U);
  EXPECT_NEAR(squares, 1, 1e-5);
  EXPECT_EQ(kitchen.ask("/v1/embeddings", {{"model", "fake"}, {"input", "one"}, {"dimensions", 99}}).status,
            400);
  // More than the engine is given at once.
  const Json many = parsed(
      kitchen.ask("/v1/embeddings", {{"model", "fake"}, {"input", std::vector<std::string>(100, "text")}}));
  ASSERT_EQ(many["data"].size(), 100U);
  EXPECT_EQ(many["data"][99]["embedding"], many["data"][0]["embedding"]);
  EXPECT_EQ(parsed(kitchen.ask("/api/embed", {{"model", "fake"}, {"input", "one"}}))["embeddings"][0].size(),
            6U);
  EXPECT_EQ(
      parsed(kitchen.ask("/api/embeddings", {{"model", "fake"}, {"prompt", "one"}}))["embedding"].size(), 6U);
}

TEST(ApiRerank, SortsDocumentsByTheirScores) {
  Kitchen kitchen;
  kitchen.control->readsWholeTexts = true;
  const Json json = parsed(kitchen.ask("/v1/rerank", {{"model", "fake"},
                                                      {"query", "q"},
                                                      {"documents", {"one", {{"text", "two"}}, "three"}},
                                                      {"return_documents", true}}));
  ASSERT_EQ(json["results"].size(), 3U) << json;
  double last = 1;
  for (const Json& one : json["results"]) {
    EXPECT_LE(one["relevance_score"].get<double>(), last);
    last = one["relevance_score"];
    EXPECT_EQ(one["document"]["text"], (Json{"one", "two", "three"})[one["index"].get<std::size_t>()]);
  }
  const Json first = parsed(
      kitchen.ask("/v1/rerank",
                  {{"model", "fake"}, {"query", "q"}, {"documents", {"one", "two", "three"}}, {"top_n", 1}}));
  ASSERT_EQ(first["results"].size(), 1U);
  EXPECT_EQ(first["results"][0]["index"], json["results"][0]["index"]);
  // The same model makes no answers, and says so.
  EXPECT_EQ(kitchen.ask("/v1/chat/completions", {{"model", "fake"}, {"messages", userSays("Hi")}}).status,
            400);
}

TEST(ApiTokens, TurnTextsIntoIdsAndBack) {
  Kitchen kitchen;
  EXPECT_EQ(parsed(kitchen.ask("/tokenize", {{"content", "ab"}}))["tokens"], (Json{97, 98}));
  EXPECT_EQ(
      parsed(kitchen.ask("/tokenize", {{"content", "ab"}, {"with_pieces", true}}))["tokens"][1]["piece"],
      "b");
  EXPECT_EQ(parsed(kitchen.ask("/detokenize", {{"tokens", {97, 98}}}))["content"], "ab");
  EXPECT_EQ(kitchen.ask("/detokenize", {{"tokens", {97, 9999}}}).status, 400);
  EXPECT_EQ(parsed(kitchen.ask("/apply-template", {{"messages", userSays("Hi")}}))["prompt"],
            "<user>Hi</><assistant>");
  const HttpResponse response = kitchen.ask("/infill", {{"input_prefix", "int main"}});
  EXPECT_EQ(response.status, 400);
  EXPECT_NE(response.body.find("filling in the middle"), std::string::npos);
}

}  // namespace
}  // namespace quern::app::serve
