// Grammars of calls: whatever they generate, the parser reads as calls that satisfy the tools' schemas.

#include "engine/answer/call_grammar.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <regex>

#include "engine/answer/marked_text.h"
#include "engine/grammar/constraint.h"
#include "engine/grammar/control_text.h"
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
      case grammar::ExprKind::kStates:
        return writeStates(expr, out, depth);
    }
  }

  /// Some steps at random, then the shortest way to one of the exits, or the end.
  void writeStates(const grammar::Expr& expr, std::string& out, int depth) {
    const auto& states = expr.states->states;
    std::uint32_t wanted = 0;
    if (!expr.children.empty()) wanted = random_() % static_cast<std::uint32_t>(expr.children.size());
    const std::vector<int> distances = distancesTo(states, wanted);
    const int free = static_cast<int>(random_() % 30);
    const bool ends = expr.children.empty() || (states[0].mayEnd && random_() % 4 == 0);
    std::uint32_t at = 0;
    for (int step = 0;; ++step) {
      const auto& state = states[at];
      if (expr.states->hasControls && random_() % 10 == 0) {
        out += random_() % 2 == 0 ? grammar::kControlBegin : grammar::kControlEnd;
      }
      // An exit at the text's edge is out of reach behind it.
      const bool mustEnd = ends || distances[at] == kFar;
      if (step >= free && mustEnd && state.mayEnd) return;
      for (const auto& exit : state.exits) {
        // Where there is nothing else, too.
        if (exit.target != wanted || (step < free && !state.edges.empty())) continue;
        append(out, character(exit.characters));
        return write(expr.children[exit.target], out, depth + 1);
      }
      if (step > 1'000) return ADD_FAILURE() << "no way out";
      const auto nearer = [&](const auto& a, const auto& b) {
        return distances[a.target] < distances[b.target];
      };
      const auto& edge = step < free && random_() % 3 != 0
                             ? state.edges[random_() % state.edges.size()]
                             : *std::min_element(state.edges.begin(), state.edges.end(), nearer);
      append(out, character(edge.characters));
      at = edge.target;
    }
  }

  static constexpr int kFar = 1 << 20;
  static std::vector<int> distancesTo(const std::vector<grammar::CharacterStates::State>& states,
                                      std::uint32_t exit) {
    std::vector<int> distances(states.size(), kFar);
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t i = 0; i < states.size(); ++i) {
        int best = kFar;
        for (const auto& one : states[i].exits) best = one.target == exit ? 0 : best;
        for (const auto& one : states[i].edges) best = std::min({best, kFar, distances[one.target] + 1});
        changed = changed || best < distances[i];
        distances[i] = std::min(distances[i], best);
      }
    }
    return distances;
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

/// As the parser sees it: control tokens in their written form.
std::string written(std::string text) {
  std::erase_if(text, [](char c) { return grammar::hasControlBytes({&c, 1}); });
  return text;
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
          const std::string text = written(Walk(*grammar, seed).text());
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

bool hasMarker(const ToolForm& form, const std::string& text) {
  return std::any_of(std::begin(form.begin.texts), std::end(form.begin.texts), [&](std::string_view marker) {
    return !marker.empty() && text.find(marker) != std::string::npos;
  });
}

AnswerForm answerFormOf(const ToolForm& form) {
  return {&form, findReasoningForm(form.syntax == CallSyntax::kChannels ? "harmony" : "think")};
}

TEST(CallGrammar, LeavesTextFreeUntilTheMarker) {
  const std::vector<Tool> tools = testTools();
  for (const ToolForm& form : toolForms()) {
    SCOPED_TRACE(form.family);
    const AnswerForm answer = answerFormOf(form);
    ASSERT_TRUE(canTrigger(answer, tools.size()));
    const bool isChannels = form.syntax == CallSyntax::kChannels;
    for (const bool parallel : {false, true}) {
      CallGrammarOptions options;
      options.parallel = parallel;
      options.inCalls = form.fromPrompt;
      const auto grammar = callGrammar(answer, tools, {}, options);
      ASSERT_TRUE(grammar) << grammar.error().describe();
      int called = 0, spoken = 0, reasoned = 0;
      for (std::uint32_t seed = 0; seed < 400; ++seed) {
        const std::string text = written(Walk(*grammar, seed).text());
        ParserOptions parser;
        parser.form = answer;
        parser.tools = tools;
        parser.parallel = parallel;
        parser.inCalls = options.inCalls;
        const Message message = parsed(parser, {text}).message;
        expectCalls(message, tools);
        EXPECT_TRUE(parallel || message.calls.size() < 2) << text;
        // Within reasoning a marker means nothing.
        const bool mayBeOther = form.isBare || isChannels || form.fromPrompt || !message.reasoning.empty();
        EXPECT_TRUE(mayBeOther || message.calls.empty() != hasMarker(form, text)) << text;
        called += message.calls.empty() ? 0 : 1;
        spoken += message.content.empty() ? 0 : 1;
        reasoned += message.reasoning.empty() ? 0 : 1;
      }
      EXPECT_GT(called, 15);
      EXPECT_GT(spoken, 15);
      EXPECT_GT(reasoned, options.inCalls ? -1 : 2);
    }
  }
}

/// With every form of reasoning, also those that mark the text, and all ways to begin.
TEST(CallGrammar, LeavesTextFreeBehindEveryReasoning) {
  const std::vector<Tool> tools = testTools();
  for (const ReasoningForm& thinking : reasoningForms()) {
    if (thinking.family == "harmony") continue;
    int calledAfterAll = 0;
    for (const std::string_view family : {"hermes", "generic", "command-r7b", "granite-3"}) {
      SCOPED_TRACE(std::string(thinking.family) + " " + std::string(family));
      const AnswerForm answer{findToolForm(family), &thinking};
      if (!canTrigger(answer, tools.size())) {
        EXPECT_TRUE(thinking.begin.starts_with('[') && answer.tools->isBare);
        continue;
      }
      for (const bool inReasoning : {false, true}) {
        CallGrammarOptions options;
        options.inReasoning = inReasoning;
        const auto grammar = callGrammar(answer, tools, {}, options);
        ASSERT_TRUE(grammar) << grammar.error().describe();
        for (std::uint32_t seed = 0; seed < 200; ++seed) {
          const std::string text = written(Walk(*grammar, seed).text());
          ParserOptions parser;
          parser.form = answer;
          parser.tools = tools;
          parser.inReasoning = inReasoning;
          const Message message = parsed(parser, {text}).message;
          expectCalls(message, tools);
          calledAfterAll += !message.calls.empty() && !message.reasoning.empty() ? 1 : 0;
        }
      }
    }
    EXPECT_GT(calledAfterAll, 10) << thinking.family;
  }
}

grammar::Matcher matcherOf(const grammar::Grammar& grammar) {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  auto vocabulary = std::make_shared<grammar::VocabularyIndex>(tokens, std::vector<std::int32_t>{}, false);
  return grammar::Matcher(*grammar::Constraint::compile(grammar, std::move(vocabulary)));
}

bool accepts(const grammar::Matcher& matcher, std::string_view text) {
  grammar::Matcher copy = matcher;
  return copy.acceptBytes(text) && copy.isComplete();
}

/// Whether `choice` lets an answer of the family be `text`.
bool mayBe(std::string_view family, std::string_view text, bool parallel = true) {
  CallGrammarOptions options;
  options.parallel = parallel;
  const auto grammar = callGrammar(answerFormOf(*findToolForm(family)), testTools(), {}, options);
  EXPECT_TRUE(grammar);
  return accepts(matcherOf(*grammar), text);
}

TEST(CallGrammar, LetsAModelSayWhatItWouldAnyhow) {
  const std::string call = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
  EXPECT_TRUE(mayBe("hermes", ""));
  EXPECT_TRUE(mayBe("hermes", "If a < b, then <b>bold</b>, <tool_calls> and <tool_call"));
  EXPECT_TRUE(mayBe("hermes", "Let me look.\n" + call));
  EXPECT_TRUE(mayBe("hermes", "<<" + call));
  EXPECT_TRUE(mayBe("hermes", "<think>\nA <tool_call> here?\n</think>\n\nText." + call + "\n" + call));
  EXPECT_FALSE(mayBe("hermes", call + "\n" + call, false));
  EXPECT_FALSE(mayBe("hermes", "Say <tool_call> to call."));
  EXPECT_FALSE(mayBe("hermes", "<tool_call>\n{\"name\": \"fly\", \"arguments\": {}}\n</tool_call>"));
  EXPECT_TRUE(mayBe("gemma", "````tool_code\nnow()\n```"));
  EXPECT_TRUE(mayBe("gemma", "```python\nnow()\n```"));
  EXPECT_TRUE(mayBe("llama3-json", R"({"name": "Ada", "parameters": 3})"));
  EXPECT_TRUE(mayBe("llama3-json", R"( {"type": "function", "name": "now", "parameters": {}})"));
  EXPECT_FALSE(mayBe("llama3-json", R"({"name" : "now", "parameters": 3})"));
  EXPECT_FALSE(mayBe("llama3-json", R"({"name": "no\u0077", "parameters": {}})"));
  EXPECT_FALSE(mayBe("llama3-json", R"({"parameters": {}, "name": "now"})"));
  EXPECT_TRUE(mayBe("pythonic", "[1, 2] and [nowhere()]"));
  EXPECT_FALSE(mayBe("pythonic", "[now(a=1)]"));
  EXPECT_TRUE(mayBe("gpt-oss",
                    "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant"
                    "<|channel|>commentary to=functions.now <|constrain|>json<|message|>{}<|call|>"));
  EXPECT_TRUE(mayBe("gpt-oss", "<|channel|>final<|message|>It is <|noon"));
  EXPECT_FALSE(
      mayBe("gpt-oss", "<|channel|>commentary to=functions.fly <|constrain|>json<|message|>{}<|call|>"));
}

/// A tool whose schema nobody can hold an answer to.
TEST(CallGrammar, TakesAnyObjectWhereItMay) {
  std::vector<Tool> tools = testTools();
  tools.push_back({"odd", "", Json::parse(R"({"type": "object", "x-unknown": 1})")});
  const AnswerForm hermes = answerFormOf(*findToolForm("hermes"));
  EXPECT_FALSE(callGrammar(hermes, tools, {}));
  CallGrammarOptions options;
  options.anyArguments = true;
  const auto grammar = callGrammar(hermes, tools, {}, options);
  ASSERT_TRUE(grammar) << grammar.error().describe();
  const auto matcher = matcherOf(*grammar);
  const auto call = [](const std::string& name, const std::string& arguments) {
    return "<tool_call>\n{\"name\": \"" + name + "\", \"arguments\": " + arguments + "}\n</tool_call>";
  };
  EXPECT_TRUE(accepts(matcher, call("odd", R"({"a": [1]})")));
  EXPECT_FALSE(accepts(matcher, call("odd", "1")));
  EXPECT_FALSE(accepts(matcher, call("search_web", R"({"a": [1]})")));
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
}

/// All texts of up to six characters of "ab <", against a search for the marks.
TEST(MarkedText, EndsWithTheFirstMark) {
  for (const bool mayEnd : {false, true}) {
    grammar::GrammarBuilder builder;
    MarkedText text;
    text.mayEnd = mayEnd;
    text.marks.push_back({markOf("aab"), builder.literal("!"), false});
    text.marks.push_back({markOf("<a"), std::nullopt, false});
    std::vector<MarkStep> spaced = markOf("b");
    spaced.push_back({});
    spaced.push_back({U'<'});
    text.marks.push_back({spaced, builder.literal("?"), false});
    text.marks.push_back({markOf("ba"), builder.literal("."), true});
    const auto root = textUntil(builder, text);
    const auto grammar = std::move(builder).finish(root);
    ASSERT_TRUE(grammar) << grammar.error().describe();
    const grammar::Matcher matcher = matcherOf(*grammar);
    std::string one;
    const auto check = [&] {
      // The mark that ends first, and of several the first in the list.
      char follow = 0;
      std::size_t end = one.size() + 1;
      for (std::size_t length = 1; length <= one.size() && follow == 0; ++length) {
        const std::string head = one.substr(0, length);
        const auto ends = [&](const char* pattern) {
          return std::regex_search(head, std::regex("(" + std::string(pattern) + ")$"));
        };
        if (ends("aab"))
          follow = '!';
        else if (ends("<a"))
          follow = '-';
        else if (ends("b *<"))
          follow = '?';
        else if (std::regex_match(head, std::regex(" *ba")))
          follow = '.';
        end = length;
      }
      EXPECT_EQ(accepts(matcher, one), mayEnd && follow == 0) << one;
      const bool mayFollow = follow != 0 && follow != '-';
      EXPECT_TRUE(!mayFollow || accepts(matcher, one + follow) == (end == one.size())) << one;
    };
    const std::function<void()> grow = [&] {
      check();
      if (one.size() == 6) return;
      for (const char c : {'a', 'b', ' ', '<'}) {
        one += c;
        grow();
        one.pop_back();
      }
    };
    grow();
  }
}

TEST(CallGrammar, RefusesWhatCannotBe) {
  const AnswerForm hermes{findToolForm("hermes"), findReasoningForm("think")};
  EXPECT_FALSE(callGrammar(hermes, {}, {ToolChoice::Kind::kRequired, ""}));
  EXPECT_FALSE(callGrammar(hermes, testTools(), {ToolChoice::Kind::kNamed, "fly"}));
  EXPECT_FALSE(callGrammar(hermes, testTools(), {ToolChoice::Kind::kNone, ""}));
}

}  // namespace
}  // namespace quern::engine::answer
