// Conversations with tools through the templates that models ship.

#include "engine/answer/chat_template.h"

#include <fstream>
#include <iterator>

#include "tests/answer/cases.h"

namespace quern::engine::answer {
namespace {

const std::filesystem::path kTemplates = std::filesystem::path(QUERN_TEST_DATA) / "templates";

chat::Template templateOf(const std::string& source) {
  auto parsed = chat::Template::parse(source);
  EXPECT_TRUE(parsed);
  return std::move(parsed).value();
}

chat::Template shipped(const std::string& name) {
  std::ifstream stream(kTemplates / (name + ".jinja"), std::ios::binary);
  EXPECT_TRUE(stream) << name;
  return templateOf(std::string(std::istreambuf_iterator<char>(stream), {}));
}

Json conversation(int calls = 2) {
  Json messages = Json::parse(R"([
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Weather in "}, {"type": "text", "text": "Paris?"}]},
    {"role": "assistant", "content": null, "tool_calls": [
      {"id": "call_A", "type": "function", "function": {"name": "get_weather", "arguments": "{\"city\": \"Paris\", \"days\": 2}"}},
      {"id": "call_B", "type": "function", "function": {"name": "now", "arguments": "{}"}}]},
    {"role": "tool", "tool_call_id": "call_A", "content": "18 degrees"},
    {"role": "tool", "tool_call_id": "call_B", "content": "noon"}])");
  if (calls == 1) {
    messages[2]["tool_calls"].erase(1);
    messages.erase(4);
  }
  return messages;
}

std::string prompt(const chat::Template& source, const Json& messages) {
  const TemplateTraits traits = probeTemplate(source);
  auto variables =
      chatVariables(messages, testTools(), traits, formToAskFor(*recognise(source.source()).tools));
  if (!variables) return "error: " + variables.error().describe();
  (*variables)["add_generation_prompt"] = true;
  (*variables)["bos_token"] = "<s>";
  (*variables)["eos_token"] = "</s>";
  const auto text = source.render(*variables);
  return text ? *text : "error: " + text.error().describe();
}

TEST(ChatTemplate, EveryFamilyShowsToolsCallsAndResults) {
  if (!std::filesystem::exists(kTemplates))
    GTEST_SKIP() << "packaging/fetch-test-data.sh fetches the templates";
  for (const char* name : {"NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use",
                           "Qwen-Qwen2.5-7B-Instruct",
                           "Qwen-Qwen3-0.6B",
                           "meta-llama-Llama-3.1-8B-Instruct",
                           "meta-llama-Llama-3.2-3B-Instruct",
                           "mistralai-Mistral-Nemo-Instruct-2407",
                           "Mistral-Small-3.2-24B-Instruct-2506",
                           "mistralai-Ministral-3-14B-Reasoning-2512",
                           "meetkai-functionary-medium-v3.1",
                           "meetkai-functionary-medium-v3.2",
                           "llama-cpp-deepseek-r1",
                           "moonshotai-Kimi-K2",
                           "CohereForAI-c4ai-command-r7b-12-2024-tool_use",
                           "ibm-granite-granite-4.0",
                           "Qwen3-Coder",
                           "GLM-4.6",
                           "HuggingFaceTB-SmolLM3-3B",
                           "microsoft-Phi-3.5-mini-instruct",
                           "LFM2-8B-A1B",
                           "NVIDIA-Nemotron-Nano-v2"}) {
    SCOPED_TRACE(name);
    const std::string text = prompt(shipped(name), conversation());
    EXPECT_NE(text.find("Search the web"), std::string::npos) << text;
    EXPECT_NE(text.find("Weather in Paris?"), std::string::npos) << text;
    for (const char* what : {"\"city\": \"Paris\"", "18 degrees", "noon"}) {
      const bool isTagged = std::string(what).starts_with("\"city");
      EXPECT_TRUE(text.find(what) != std::string::npos ||
                  (isTagged && text.find("Paris\n</parameter>") != std::string::npos) ||
                  (isTagged && text.find("<arg_value>Paris") != std::string::npos) ||
                  (isTagged && text.find("[get_weather(city=\"Paris\"") != std::string::npos))
          << what << " in\n"
          << text;
    }
    EXPECT_EQ(text.find("\\\"city"), std::string::npos) << text;
    EXPECT_EQ(text.find("'city'"), std::string::npos) << text;
  }
}

TEST(ChatTemplate, OneCallInAMessageWhereMoreAreRefused) {
  if (!std::filesystem::exists(kTemplates))
    GTEST_SKIP() << "packaging/fetch-test-data.sh fetches the templates";
  const std::string text = prompt(shipped("meta-llama-Llama-3.2-3B-Instruct"), conversation());
  const std::size_t first = text.find("\"name\": \"get_weather\", \"parameters\": {\"city\"");
  const std::size_t firstResult = text.find("18 degrees");
  const std::size_t second = text.find("\"name\": \"now\", \"parameters\": {}");
  const std::size_t secondResult = text.find("noon");
  ASSERT_NE(secondResult, std::string::npos) << text;
  EXPECT_LT(first, firstResult);
  EXPECT_LT(firstResult, second);
  EXPECT_LT(second, secondResult);
}

TEST(ChatTemplate, GptOssGetsItsThoughtsAndCalls) {
  if (!std::filesystem::exists(kTemplates))
    GTEST_SKIP() << "packaging/fetch-test-data.sh fetches the templates";
  Json messages = conversation(1);
  messages[2]["reasoning_content"] = "They want weather.";
  const std::string text = prompt(shipped("openai-gpt-oss-120b"), messages);
  EXPECT_NE(text.find("<|channel|>analysis<|message|>They want weather.<|end|>"), std::string::npos) << text;
  EXPECT_NE(text.find("to=functions.get_weather<|channel|>commentary json<|message|>{\"city\": \"Paris\", "
                      "\"days\": 2}<|call|>"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("functions.get_weather to=assistant"), std::string::npos) << text;
}

TEST(ChatTemplate, TraitsAreFoundOutByRendering) {
  const auto of = [](const char* source) { return probeTemplate(templateOf(source)); };
  const TemplateTraits none = of("{% for m in messages %}{{ m.content }}{% endfor %}");
  EXPECT_FALSE(none.showsTools || none.showsCalls);
  const TemplateTraits object = of(
      "{{ tools }}{% for m in messages %}{% for c in m.tool_calls or [] %}{{ c.function.arguments | tojson }}"
      "{% endfor %}{% endfor %}");
  EXPECT_TRUE(object.showsTools && object.showsCalls && !object.argumentsAsText && !object.showsResults);
  const TemplateTraits text =
      of("{% for m in messages %}{% for c in m.tool_calls or [] %}{{ '<' + c.function.arguments + '>' }}"
         "{% endfor %}{% if m.role == 'tool' %}{{ m.content }}{% endif %}{% endfor %}");
  EXPECT_TRUE(text.showsCalls && text.argumentsAsText && text.showsResults && !text.oneCallOnly);
  const TemplateTraits strict =
      of("{% for m in messages %}{% if m.tool_calls %}{% if m.content is not none or m.tool_calls | length > "
         "1 or "
         "m.tool_calls[0].id | length != 9 %}{{ raise_exception('no') }}{% endif %}"
         "{{ m.tool_calls[0].function.arguments | tojson }}{% endif %}{% endfor %}");
  EXPECT_TRUE(strict.showsCalls && strict.nullContent && strict.oneCallOnly && strict.shortIds);
}

TEST(ChatTemplate, WhatATemplateDoesNotShowIsWrittenOut) {
  const auto plain = templateOf("{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}");
  EXPECT_NE(
      prompt(plain, conversation(1))
          .find("[assistant]<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\", "
                "\"days\": 2}}\n</tool_call>"),
      std::string::npos)
      << prompt(plain, conversation(1));
  const auto gemma =
      templateOf("<start_of_turn>{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}");
  EXPECT_NE(prompt(gemma, conversation(1)).find("```tool_code\nget_weather(city=\"Paris\", days=2)\n```"),
            std::string::npos)
      << prompt(gemma, conversation(1));
}

TEST(ChatTemplate, MessagesThatAreNoneAreRefused) {
  const auto error = [](const char* messages) {
    const auto made = chatVariables(Json::parse(messages), {}, {}, *findToolForm("generic"));
    return made ? std::string() : made.error().message();
  };
  EXPECT_EQ(error("[]"), "A conversation needs at least one message.");
  EXPECT_EQ(error(R"([{"content": "x"}])"), "Message 1 has no role.");
  EXPECT_NE(error(R"([{"role": "user", "content": 7}])"), "");
  EXPECT_NE(error(R"([{"role": "user", "content": [{"type": "image_url"}]}])"), "");
  EXPECT_NE(error(R"([{"role": "assistant", "tool_calls": [{"function": {}}]}])"), "");
  EXPECT_NE(
      error(R"([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "[1"}}]}])"),
      "");
  std::string deep =
      R"([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {"a": )";
  deep += std::string(100, '[') + std::string(100, ']') + "}}}]}]";
  EXPECT_NE(error(deep.c_str()), "");
  EXPECT_EQ(error(R"([{"role": "user", "content": "x"}])"), "");
}

}  // namespace
}  // namespace quern::engine::answer
