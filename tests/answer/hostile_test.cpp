// Answers that no model should write, and some will.

#include <ctime>
#include <functional>
#include <random>

#include "engine/answer/json_scanner.h"
#include "engine/answer/python_value.h"
#include "engine/base/text.h"
#include "tests/answer/cases.h"

namespace quern::engine::answer {
namespace {

std::string repeated(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

ParserOptions optionsFor(const ToolForm& form) {
  Case one;
  one.form = {&form, findReasoningForm("think")};
  return optionsOf(one);
}

double processorSeconds(const std::function<void()>& work) {
  const std::clock_t begin = std::clock();
  work();
  return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

TEST(HostileAnswer, MegabytesOfHalfMarkersTakeTimeInProportion) {
  for (const ToolForm& form : toolForms()) {
    SCOPED_TRACE(form.family);
    std::vector<std::string> texts = {repeated("<", 1u << 20),         repeated("[", 1u << 20),
                                      repeated("<tool_call", 100'000), repeated("<think><", 100'000),
                                      repeated("{\"name\":", 100'000), repeated(" \n", 500'000)};
    if (!form.begin.empty()) texts.push_back(repeated(form.begin.first(), 60'000));
    for (const std::string& text : texts) {
      const ParserOptions options = optionsFor(form);
      Message message;
      const double seconds = processorSeconds([&] { message = parsed(options, {text}).message; });
      EXPECT_LT(seconds, 3.0) << text.substr(0, 20);
      EXPECT_TRUE(message.calls.empty() || message.calls.size() <= 1024U);
    }
  }
}

TEST(HostileAnswer, WhatIsNoCallIsNotLost) {
  for (const char* text :
       {"<tool_call>", "<tool_call>{", "<tool_call>{\"name\"", "<tool_call>[1, 2]</tool_call>",
        "<tool_call>{\"name\": 7}</tool_call>", "<tool_call>{\"name\": \"now\", \"name\": \"now\"}",
        "<tool_call>{\"name\": \"now\", \"arguments\": [1]}", "<tool_call>{\"name\": \"now\" x",
        "<tool_call>\"now\"</tool_call>", "x <tool_call>{\"arguments\": {}}</tool_call>"}) {
    const Message message = parsed(optionsFor(*findToolForm("hermes")), {text}).message;
    EXPECT_EQ(message.content, text);
    EXPECT_TRUE(message.calls.empty());
  }
}

TEST(HostileAnswer, HeldBackTextComesOutWhenItIsTooMuch) {
  ParserOptions options = optionsFor(*findToolForm("hermes"));
  options.heldBytes = 1000;
  const std::string text = "<tool_call>{\"x\": \"" + std::string(5000, 'a');
  AnswerParser parser(options);
  std::size_t bytes = 0;
  for (const Part& part : parser.push(text)) bytes += part.text.size();
  EXPECT_EQ(bytes, text.size());
  (void)parser.finish();
  EXPECT_EQ(parser.message().content, text);
}

TEST(HostileAnswer, NestingHasAnEnd) {
  for (const std::string& open : {std::string("["), std::string("{\"a\":")}) {
    const std::string text =
        "<tool_call>{\"name\": \"now\", \"arguments\": {\"a\": " + repeated(open, 100'000);
    const Message message = parsed(optionsFor(*findToolForm("hermes")), {text}).message;
    ASSERT_EQ(message.calls.size(), 1U);
    EXPECT_FALSE(message.calls[0].isComplete);
    EXPECT_LT(message.calls[0].arguments.size(), 1000U);
  }
  const Message python =
      parsed(optionsFor(*findToolForm("pythonic")), {"[now(a=" + repeated("(", 100'000)}).message;
  ASSERT_EQ(python.calls.size(), 1U);
  EXPECT_LT(python.calls[0].arguments.size(), 1000U);
  const Message tagged = parsed(optionsFor(*findToolForm("qwen3-coder")),
                                {"<tool_call><function=now><parameter=a>" + repeated("[", 100'000) +
                                 "</parameter></function></tool_call>"})
                             .message;
  ASSERT_EQ(tagged.calls.size(), 1U);
  EXPECT_EQ(Json::parse(tagged.calls[0].arguments)["a"].get<std::string>().size(), 100'000U);  // a string
}

TEST(HostileAnswer, MutatedAnswersAreTheSameCutAndArgumentsStayJson) {
  std::mt19937 random(5);
  const std::vector<Case> cases = allCases();
  int complete = 0;
  for (const Case& one : cases) {
    SCOPED_TRACE(one.name);
    const ParserOptions options = optionsOf(one);
    for (int round = 0; round < 60; ++round) {
      std::string text = one.text;
      const auto place = [&] { return random() % (text.size() + 1); };
      switch (random() % 4) {
        case 0:
          text.erase(place(), 1 + random() % 4);
          break;
        case 1:
          text.insert(place(), 1, "<>{}[]\"'\\,:()=|\n a0"[random() % 18]);
          break;
        case 2:
          text.insert(place(), text.substr(place(), 12));
          break;
        default: {
          const Case& other = cases[random() % cases.size()];
          text.insert(place(), other.text);
        }
      }
      const Outcome whole = parsed(options, {text});
      ASSERT_EQ(parsed(options, cutAt(text, {place(), text.size()})).transcript, whole.transcript) << text;
      for (const ToolCall& call : whole.message.calls) {
        if (!call.isComplete) continue;
        ++complete;
        // Bytes that were torn out of characters are not the parser's to mend.
        const Json json = Json::parse(call.arguments, nullptr, false);
        const bool isUtf8 = base::printable(text, text.size()).find("\xEF\xBF\xBD") == std::string::npos;
        ASSERT_TRUE(!isUtf8 || json.is_object()) << call.arguments << "\n in " << text;
      }
    }
  }
  EXPECT_GT(complete, 1000);
}

/// nlohmann's parser is stricter in what the scanner mends: control characters, halves of pairs.
TEST(HostileAnswer, ScannerAgreesWithAParserOnMutatedJson) {
  std::mt19937 random(3);
  const std::string base =
      R"({"a": [1, -2.5e+3, true, false, null, "x\n\u00e9", {}], "b": {"c": []}, "d": 0})";
  int valid = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text = base;
    for (unsigned edits = 1 + random() % 3; edits > 0; --edits) {
      const std::size_t at = random() % text.size();
      if (random() % 2 == 0) {
        text.erase(at, 1);
      } else {
        text.insert(at, 1, "{}[]\",:0-.e1tfn\\ "[random() % 17]);
      }
    }
    std::string out;
    const bool isJson = scanJson(text, out);
    ASSERT_EQ(isJson, Json::accept(text)) << text;
    if (!isJson) continue;
    ++valid;
    ASSERT_EQ(Json::parse(out), Json::parse(text)) << text;
  }
  EXPECT_GT(valid, 1000);
}

std::string pythonJson(std::string_view text) {
  std::string out;
  PythonValue value(out);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const Fed fed = value.feed(text[i]);
    if (fed == Fed::kDone && i + 1 == text.size()) return out;
    if (fed == Fed::kDoneBefore && i + 1 == text.size()) return out;
    if (fed != Fed::kMore) return "no: " + out;
  }
  return "open: " + out;
}

TEST(HostileAnswer, PythonLiteralsBecomeJson) {
  const std::pair<const char*, const char*> cases[] = {
      {"'a'", R"("a")"},
      {"'' ", R"("")"},
      {"''''a'''", R"("'a")"},
      {R"("\x41\u00e9\U0001F600\ud83d\ude00\q\
b")",
       R"("Aé😀😀\\qb")"},
      {"[1, (2, 3,), {}]", "[1, [2, 3], {}]"},
      {"{'a': True, \"b\": [None, False]}", R"({"a": true, "b": [null, false]})"},
      {"1_000 ", "1000"},
      {"-.5e3 ", "-0.5e3"},
      {"1. ", "1.0"},
      {"+7 ", "7"},
      {"0x10 ", "no: "},
      {"007 ", "no: "},
      {"{1: 2}", "no: {"},
      {"[,]", "no: ["},
      {"[1 2]", "no: [1"},
      {"x ", "no: "},
      {"'\\u12x'", "no: \""}};
  for (const auto& [python, json] : cases) EXPECT_EQ(pythonJson(python), json) << python;
}

}  // namespace
}  // namespace quern::engine::answer
