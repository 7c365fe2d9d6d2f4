// Grammars of calls: whatever they generate, the parser reads as calls that satisfy the tools' schemas.

#include "engine/answer/call_grammar.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "tests/answer/cases.h"

namespace quern::engine::answer {
namespace {

/// A random text of a grammar.
class Walk {
 public:
  Walk(const grammar::Grammar& grammar, std::uint32_t seed) : grammar_(grammar), random_(seed) {}

  std::string text() {
    std::string out;
    write(grammar_.root, out, 0);
    return out;
  }

 private:
  static void append(std::string& out, char32_t c) {
    const auto put = [&](char32_t byte) { out += static_cast<char>(byte); };
    if (c < 0x80) return put(c);
    if (c < 0x800) {
      put(0xC0 | c >> 6);
    } else if (c < 0x10000) {
      put(0xE0 | c >> 12);
      put(0x80 | (c >> 6 & 0x3F));
    } else {
      put(0xF0 | c >> 18);
      put(0x80 | (c >> 12 & 0x3F));
      put(0x80 | (c >> 6 & 0x3F));
    }
    put(0x80 | (c & 0x3F));
  }

  char32_t character(const std::vector<grammar::CharacterRange>& ranges) {
    // Mostly of the small ones, where the interesting characters are.
    const auto& range =
        ranges[random_() % (random_() % 4 == 0 ? ranges.size() : std::min<std::size_t>(ranges.size(), 3))];
    const char32_t last = random_() % 8 == 0 ? range.last : std::min<char32_t>(range.last, range.first + 90);
    return range.first + random_() % (last - range.first + 1);
  }

  void write(grammar::ExprId id, std::string& out, int depth) {
    const grammar::Expr& expr = grammar_.expressions[static_cast<std::size_t>(id)];
    switch (expr.kind) {
      case grammar::ExprKind::kLiteral:
        out += expr.literal;
        return;
      case grammar::ExprKind::kCharacters:
        append(out, character(expr.characters));
        return;
      case grammar::ExprKind::kSequence:
        for (const auto child : expr.children) write(child, out, depth + 1);
        return;
      case grammar::ExprKind::kChoice:
        write(expr.children[depth > 60 ? 0 : random_() % expr.children.size()], out, depth + 1);
        return;
      case grammar::ExprKind::kRepeat: {
        const std::int64_t room =
            expr.most == grammar::kUnbounded ? 4 : std::min<std::int64_t>(expr.most - expr.least, 4);
        std::int64_t times = expr.least;
        if (depth < 60 && room > 0)
          times += static_cast<std::int64_t>(random_() % static_cast<std::uint32_t>(room + 1));
        for (; times > 0; --times) write(expr.children[0], out, depth + 1);
        return;
      }
      case grammar::ExprKind::kRule:
        write(grammar_.rules[static_cast<std::size_t>(expr.rule)].body, out, depth + 1);
        return;
    }
  }

  const grammar::Grammar& grammar_;
  std::mt19937 random_;
};

/// The part of JSON schema that the test's tools use.
bool satisfies(const Json& value, const Json& schema) {
  if (schema.contains("anyOf")) {
    return std::any_of(schema["anyOf"].begin(), schema["anyOf"].end(),
                       [&](const Json& one) { return satisfies(value, one); });
  }
  if (schema.contains("enum")) {
    return std::find(schema["enum"].begin(), schema["enum"].end(), value) != schema["enum"].end();
  }
  const auto type = schema.value("type", std::string());
  if (type == "string") return value.is_string();
  if (type == "integer")
    return value.is_number_integer() ||
           (value.is_number() && value.get<double>() == std::floor(value.get<double>()));
  if (type == "number") return value.is_number();
  if (type == "boolean") return value.is_boolean();
  if (type == "null") return value.is_null();
  if (type == "array") {
    return value.is_array() &&
           (!schema.contains("items") || std::all_of(value.begin(), value.end(), [&](const Json& one) {
             return satisfies(one, schema["items"]);
           }));
  }
  if (!value.is_object()) return false;
  const Json properties = schema.value("properties", Json::object());
  for (const auto& [key, member] : value.items()) {
    if (properties.contains(key) && !satisfies(member, properties[key])) return false;
  }
  const Json required = schema.value("required", Json::array());
  return std::all_of(required.begin(), required.end(),
                     [&](const Json& key) { return value.contains(key.get<std::string>()); });
}

void expectCalls(const Message& message, const std::vector<Tool>& tools) {
  for (const ToolCall& call : message.calls) {
    EXPECT_TRUE(call.isComplete && call.isKnown) << call.name << call.arguments;
    const Tool* tool = findTool(tools, call.name);
    ASSERT_NE(tool, nullptr) << call.name;
    const Json arguments = Json::parse(call.arguments, nullptr, false);
    EXPECT_TRUE(satisfies(arguments, tool->parameters)) << call.arguments;
  }
}

TEST(CallGrammar, GeneratesCallsThatTheParserReads) {
  const std::vector<Tool> tools = testTools();
  for (const ToolForm& form : toolForms()) {
    SCOPED_TRACE(form.family);
    const AnswerForm answer{&form,
                            findReasoningForm(form.syntax == CallSyntax::kChannels ? "harmony" : "think")};
    for (const auto kind : {ToolChoice::Kind::kRequired, ToolChoice::Kind::kNamed}) {
      const ToolChoice choice{kind, "search_web"};
      for (const bool opened : {false, true}) {
        CallGrammarOptions options;
        options.inReasoning = opened && form.syntax != CallSyntax::kChannels;
        options.inCalls = opened && form.fromPrompt && !options.inReasoning;
        const auto grammar = callGrammar(answer, tools, choice, options);
        ASSERT_TRUE(grammar) << grammar.error().describe();
        bool hasSeveral = false, hasReasoned = false;
        for (std::uint32_t seed = 0; seed < 60; ++seed) {
          const std::string text = Walk(*grammar, seed).text();
          ParserOptions parser;
          parser.form = answer;
          parser.tools = tools;
          parser.parallel = kind == ToolChoice::Kind::kRequired;
          parser.inReasoning = options.inReasoning;
          parser.inCalls = options.inCalls;
          const Message message = parsed(parser, {text}).message;
          EXPECT_EQ(message.content, "") << text;
          ASSERT_FALSE(message.calls.empty()) << text;
          expectCalls(message, tools);
          EXPECT_TRUE(kind != ToolChoice::Kind::kNamed || message.calls[0].name == "search_web") << text;
          hasSeveral = hasSeveral || message.calls.size() > 1;
          hasReasoned = hasReasoned || !message.reasoning.empty();
        }
        EXPECT_EQ(hasSeveral, kind == ToolChoice::Kind::kRequired && form.syntax != CallSyntax::kChannels);
        EXPECT_EQ(hasReasoned, !options.inCalls);
      }
    }
  }
}

TEST(CallGrammar, LeavesTextFreeUntilTheMarker) {
  const std::vector<Tool> tools = testTools();
  for (const ToolForm& form : toolForms()) {
    SCOPED_TRACE(form.family);
    const AnswerForm answer{&form, findReasoningForm("think")};
    CallGrammarOptions options;
    options.mayReason = false;
    const auto grammar = callGrammar(answer, tools, {}, options);
    ASSERT_EQ(grammar.has_value(), canTrigger(form));
    if (!grammar) continue;
    int called = 0, spoken = 0;
    for (std::uint32_t seed = 0; seed < 100; ++seed) {
      const std::string text = Walk(*grammar, seed).text();
      ParserOptions parser;
      parser.form = answer;
      parser.tools = tools;
      const Message message = parsed(parser, {text}).message;
      EXPECT_EQ(message.calls.empty(), text.find(form.begin.first()) == std::string::npos) << text;
      expectCalls(message, tools);
      called += message.calls.empty() ? 0 : 1;
      spoken += message.content.empty() ? 0 : 1;
    }
    EXPECT_GT(called, 20);
    EXPECT_GT(spoken, 20);
  }
}

/// Every text without the marker, by enumeration over a small alphabet.
TEST(CallGrammar, TextWithoutAMarkerIsAllTextWithoutIt) {
  grammar::GrammarBuilder builder;
  const auto root = textWithout(builder, "<ab>");
  const auto grammar = std::move(builder).finish(root);
  ASSERT_TRUE(grammar);
  for (std::uint32_t seed = 0; seed < 20'000; ++seed) {
    const std::string text = Walk(*grammar, seed).text();
    ASSERT_EQ(text.find("<ab>"), std::string::npos);
  }
  EXPECT_FALSE(canTrigger(*findToolForm("functionary-v3.2")));  // ">>>"
  EXPECT_FALSE(canTrigger(*findToolForm("llama3-json")));
  EXPECT_TRUE(canTrigger(*findToolForm("hermes")));
}

TEST(CallGrammar, RefusesWhatCannotBe) {
  const AnswerForm hermes{findToolForm("hermes"), findReasoningForm("think")};
  EXPECT_FALSE(callGrammar(hermes, {}, {ToolChoice::Kind::kRequired, ""}));
  EXPECT_FALSE(callGrammar(hermes, testTools(), {ToolChoice::Kind::kNamed, "fly"}));
  EXPECT_FALSE(callGrammar(hermes, testTools(), {ToolChoice::Kind::kNone, ""}));
}

}  // namespace
}  // namespace quern::engine::answer
