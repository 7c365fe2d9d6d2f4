// Tools and the choice among them, as requests bring them.

#include "engine/answer/tool.h"

#include "tests/answer/cases.h"

namespace quern::engine::answer {
namespace {

std::string errorOf(const char* tools) {
  const auto parsed = parseTools(Json::parse(tools));
  return parsed ? std::string() : parsed.error().message();
}

TEST(Tools, AreReadFromOpenAisForm) {
  const auto tools = testTools();
  ASSERT_EQ(tools.size(), 4U);
  EXPECT_EQ(tools[0].name, "get_weather");
  EXPECT_EQ(tools[0].parameterAt(1), "unit");
  EXPECT_EQ(tools[0].parameterAt(3), "");
  EXPECT_EQ(toolsJson(tools), readJson(kCases / "tools.json"));
}

TEST(Tools, SchemasSayWhatIsAString) {
  const auto tools = parseTools(Json::parse(R"([{"name": "f", "parameters": {"type": "object", "properties": {
    "a": {"type": "string"}, "b": {"type": "integer"}, "c": {"type": ["string", "null"]}, "d": {"enum": ["x", "y"]},
    "e": {"enum": [1, "y"]}, "f": {"anyOf": [{"type": "string"}, {"enum": ["z"]}]}, "g": {},
    "h": {"type": ["integer", "null"]}}}}])"));
  ASSERT_TRUE(tools);
  const Tool& tool = tools->front();
  std::string kinds;
  for (const char* key : {"a", "b", "c", "d", "e", "f", "g", "h", "none"}) {
    kinds += "SO?"[static_cast<int>(tool.kindOf(key))];
  }
  EXPECT_EQ(kinds, "SO?S?S?O?");
}

TEST(Tools, WhatIsNoToolIsRefused) {
  EXPECT_NE(errorOf(R"({})"), "");
  EXPECT_NE(errorOf(R"([7])"), "");
  EXPECT_NE(errorOf(R"([{"type": "function", "function": {}}])"), "");
  EXPECT_NE(errorOf(R"([{"name": "a b"}])"), "");
  EXPECT_NE(errorOf(R"([{"name": ""}])"), "");
  EXPECT_NE(errorOf(R"([{"name": "f", "parameters": []}])"), "");
  EXPECT_EQ(errorOf(R"([{"name": "f"}, {"name": "f"}])"), "Two tools have the name \"f\".");
  EXPECT_EQ(errorOf(R"([{"name": "f"}, {"name": "g-1.x"}])"), "");
  Json many = Json::array();
  for (int i = 0; i < 513; ++i) many.push_back({{"name", "f" + std::to_string(i)}});
  EXPECT_FALSE(parseTools(many));
}

TEST(Tools, ChoiceIsReadFromOpenAisForm) {
  const auto tools = testTools();
  const auto kind = [&](const char* text) -> int {
    const auto choice = parseToolChoice(Json::parse(text), tools);
    return choice ? static_cast<int>(choice->kind) : -1;
  };
  EXPECT_EQ(kind("null"), static_cast<int>(ToolChoice::Kind::kAuto));
  EXPECT_EQ(kind("\"auto\""), static_cast<int>(ToolChoice::Kind::kAuto));
  EXPECT_EQ(kind("\"none\""), static_cast<int>(ToolChoice::Kind::kNone));
  EXPECT_EQ(kind("\"required\""), static_cast<int>(ToolChoice::Kind::kRequired));
  EXPECT_EQ(kind(R"({"type": "function", "function": {"name": "now"}})"),
            static_cast<int>(ToolChoice::Kind::kNamed));
  EXPECT_EQ(kind(R"({"type": "function", "function": {"name": "then"}})"), -1);
  EXPECT_EQ(kind("\"always\""), -1);
  EXPECT_FALSE(parseToolChoice("required", {}));
}

}  // namespace
}  // namespace quern::engine::answer
