// Recorded answers of each family, whole and cut everywhere.

#include <random>

#include "tests/answer/cases.h"

namespace quern::engine::answer {
namespace {

void expectCall(const Json& expected, const ToolCall& call) {
  EXPECT_EQ(call.name, expected["name"].get<std::string>());
  EXPECT_EQ(call.isKnown, expected.value("known", true));
  EXPECT_EQ(call.isComplete, expected.value("complete", true));
  EXPECT_FALSE(call.id.empty());
  EXPECT_EQ(call.id, expected.value("id", call.id));
  if (expected.contains("prefix")) {
    EXPECT_EQ(call.arguments, expected["prefix"].get<std::string>());
    return;
  }
  ASSERT_TRUE(Json::accept(call.arguments)) << call.arguments;
  EXPECT_EQ(Json::parse(call.arguments), expected["arguments"]) << call.arguments;
}

TEST(RecordedAnswer, IsTakenApart) {
  const std::vector<Case> cases = allCases();
  ASSERT_GT(cases.size(), 90U);
  for (const Case& one : cases) {
    SCOPED_TRACE(one.name);
    const Message message = parsed(optionsOf(one), {one.text}).message;
    EXPECT_EQ(message.content, one.expected["content"].get<std::string>());
    EXPECT_EQ(message.reasoning, one.expected["reasoning"].get<std::string>());
    ASSERT_EQ(message.calls.size(), one.expected["calls"].size());
    for (std::size_t i = 0; i < message.calls.size(); ++i)
      expectCall(one.expected["calls"][i], message.calls[i]);
  }
}

TEST(RecordedAnswer, IsTheSameCutAtEveryByte) {
  for (const Case& one : allCases()) {
    SCOPED_TRACE(one.name);
    const ParserOptions options = optionsOf(one);
    const std::string whole = parsed(options, {one.text}).transcript;
    std::vector<std::size_t> everywhere;
    for (std::size_t at = 1; at < one.text.size(); ++at) {
      everywhere.push_back(at);
      ASSERT_EQ(parsed(options, cutAt(one.text, {at})).transcript, whole) << "cut at " << at;
    }
    EXPECT_EQ(parsed(options, cutAt(one.text, everywhere)).transcript, whole) << "byte by byte";
  }
}

TEST(RecordedAnswer, IsTheSameInAnyPieces) {
  std::mt19937 random(11);
  for (const Case& one : allCases()) {
    SCOPED_TRACE(one.name);
    const ParserOptions options = optionsOf(one);
    const std::string whole = parsed(options, {one.text}).transcript;
    for (int round = 0; round < 20; ++round) {
      std::vector<std::size_t> cuts;
      for (std::size_t at = 1; at < one.text.size(); ++at) {
        if (random() % 9 == 0) cuts.push_back(at);
      }
      ASSERT_EQ(parsed(options, cutAt(one.text, cuts)).transcript, whole);
    }
  }
}

TEST(RecordedAnswer, GivesEveryByteOfPlainTextAsSoonAsItCanBeNoMarker) {
  Case plain;
  plain.form = recognise("<tool_call></tool_call>");
  AnswerParser parser(optionsOf(plain));
  const auto text = [&](std::string_view piece) {
    std::string all;
    for (const Part& part : parser.push(piece)) all += part.text;
    return all;
  };
  EXPECT_EQ(text("One <"), "One");  // white space waits for what it stands before
  EXPECT_EQ(text("b"), " <b");
  EXPECT_EQ(text("> <tool_"), ">");
  EXPECT_EQ(text("x"), " <tool_x");
}

TEST(RecordedAnswer, StreamsArgumentsWhileTheyCome) {
  Case one;
  one.form = recognise("<tool_call></tool_call>");
  AnswerParser parser(optionsOf(one));
  EXPECT_TRUE(parser.push("<tool_call>\n{\"name\": \"get_weather\", \"arguments\": ").empty());
  const auto first = parser.push("{\"ci");
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[0].kind, Part::Kind::kCallBegin);
  EXPECT_EQ(first[0].name, "get_weather");
  EXPECT_EQ(first[1].text, "{\"ci");
  const auto second = parser.push("ty\": \"Par");
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(second[0].text, "ty\": \"Par");
}

TEST(RecordedAnswer, StreamsTaggedStringsWhileTheyCome) {
  Case one;
  one.form = {findToolForm("qwen3-coder"), findReasoningForm("think")};
  AnswerParser parser(optionsOf(one));
  (void)parser.push("<tool_call>\n<function=write_file>\n<parameter=content>\n");
  const auto parts = parser.push("line \"1\"\n");
  ASSERT_EQ(parts.size(), 1U);
  EXPECT_EQ(parts[0].text, R"({"content": "line \"1\")");
}

TEST(RecordedAnswer, IdsHangOnTheSeedAlone) {
  Case one;
  one.form = recognise("<tool_call></tool_call>");
  one.text = "<tool_call>{\"name\": \"now\"}</tool_call><tool_call>{\"name\": \"now\"}</tool_call>";
  ParserOptions options = optionsOf(one);
  const auto ids = [&] {
    const Message message = parsed(options, {one.text}).message;
    EXPECT_EQ(message.calls.size(), 2U);
    return message.calls.at(0).id + " " + message.calls.at(1).id;
  };
  const std::string first = ids();
  EXPECT_EQ(ids(), first);
  EXPECT_EQ(first.size(), 2 * 29U + 1);
  EXPECT_NE(first.substr(0, 29), first.substr(30));
  options.seed = 8;
  EXPECT_NE(ids(), first);
}

TEST(RecordedAnswer, HasOneCallAtMostWhereParallelOnesAreOff) {
  Case one;
  one.form = recognise("<tool_call></tool_call>");
  one.text = "<tool_call>{\"name\": \"now\"}</tool_call>\n<tool_call>{\"name\": \"now\"}</tool_call>";
  ParserOptions options = optionsOf(one);
  options.parallel = false;
  AnswerParser parser(options);
  (void)parser.push("<tool_call>{\"name\": \"now\"");
  EXPECT_FALSE(parser.wantsNoMore());
  (void)parser.push("}");
  EXPECT_TRUE(parser.wantsNoMore());
  const Message message = parsed(options, {one.text}).message;
  EXPECT_EQ(message.calls.size(), 1U);
  EXPECT_EQ(message.content, "<tool_call>{\"name\": \"now\"}</tool_call>");
}

TEST(RecordedAnswer, HasNoCallsWhereNoToolsAreOffered) {
  for (const Case& one : allCases()) {
    SCOPED_TRACE(one.name);
    ParserOptions options = optionsOf(one);
    options.tools.clear();
    EXPECT_TRUE(parsed(options, {one.text}).message.calls.empty());
  }
}

}  // namespace
}  // namespace quern::engine::answer
