#include "engine/grammar/json_schema.h"

#include <gtest/gtest.h>

#include <string>

#include "engine/grammar/automaton.h"
#include "tests/grammar/plain_matcher.h"
#include "tests/grammar/processor_time.h"
#include "tests/grammar/random_text.h"

namespace quern::engine::grammar {
namespace {

using base::ErrorCode;

Grammar grammarOf(const std::string& schema, JsonSpacing spacing = JsonSpacing::kSpaced) {
  JsonOptions options;
  options.spacing = spacing;
  auto grammar = grammarOfSchemaText(schema, options);
  if (!grammar) {
    ADD_FAILURE() << schema << "\n" << grammar.error().describe();
    GrammarBuilder builder;
    const ExprId nothing = builder.literal("no grammar");
    return *std::move(builder).finish(nothing);
  }
  return *std::move(grammar);
}

bool accepts(const std::string& schema, std::string_view text, JsonSpacing spacing = JsonSpacing::kSpaced) {
  return plainlyMatches(grammarOf(schema, spacing), text);
}

std::string refusalOf(const std::string& schema) {
  const auto grammar = grammarOfSchemaText(schema);
  return grammar ? "(none)" : grammar.error().message();
}

std::string repeated(std::string_view part, std::size_t times) {
  std::string text;
  for (std::size_t i = 0; i < times; ++i) text += part;
  return text;
}

/// Milliseconds that the schema took, grammar or error.
double costOf(const std::string& schema, base::Result<Grammar>* made = nullptr) {
  const test::ProcessorTime time;
  auto grammar = grammarOfSchemaText(schema);
  const double ms = time.seconds() * 1000;
  if (made != nullptr) *made = std::move(grammar);
  return ms;
}

constexpr double kSecond = 1'000 * test::kSlower;

TEST(JsonSchema, WritesMembersInTheSchemasOrder) {
  const std::string schema =
      R"({"type": "object", "properties": {"b": {"type": "integer"}, "a": {"type": "boolean"},
    "c": {"type": "null"}}, "required": ["a"], "additionalProperties": false})";
  EXPECT_TRUE(accepts(schema, R"({"b": 1, "a": true, "c": null})"));
  EXPECT_TRUE(accepts(schema, R"({"a": true})"));
  EXPECT_TRUE(accepts(schema, R"({"a": false, "c": null})"));
  EXPECT_FALSE(accepts(schema, R"({"a": true, "b": 1})"));
  EXPECT_FALSE(accepts(schema, R"({"b": 1})"));
  EXPECT_FALSE(accepts(schema, R"({"a": true, "d": 1})"));
  EXPECT_FALSE(accepts(schema, R"({"a": true, })"));
}

TEST(JsonSchema, KeepsAdditionalNamesApartFromDeclaredOnes) {
  const std::string schema = R"({"type": "object", "properties": {"ab": {"type": "integer"}, "a\"": true},
    "additionalProperties": {"type": "string"}})";
  EXPECT_TRUE(accepts(schema, R"({"ab": 1, "a": "x", "abc": "y", "": "z", "b": "w"})"));
  EXPECT_FALSE(accepts(schema, R"({"ab": "x"})"));
  EXPECT_FALSE(accepts(schema, R"({"a": "x", "ab": "x"})"));
  // The same name in another spelling would be the declared one for whoever reads it.
  EXPECT_FALSE(accepts(schema, R"({"\u0061b": "x"})"));
  EXPECT_FALSE(accepts(schema, R"({"a\u0022": "x"})"));
  EXPECT_TRUE(accepts(schema, R"({"a\"": 1, "a\"b": "x"})"));
}

TEST(JsonSchema, SpacesAsItIsTold) {
  const std::string schema =
      R"({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}}},
    "required": ["a"], "additionalProperties": false})";
  EXPECT_TRUE(accepts(schema, R"({"a":[1,2]})", JsonSpacing::kCompact));
  EXPECT_FALSE(accepts(schema, R"({"a": [1,2]})", JsonSpacing::kCompact));
  EXPECT_TRUE(accepts(schema, R"({"a": [1, 2]})", JsonSpacing::kSpaced));
  EXPECT_FALSE(accepts(schema, R"({"a":[1, 2]})", JsonSpacing::kSpaced));
  for (const char* text :
       {R"({"a":[1,2]})", R"({"a": [1, 2]})", "{\n  \"a\": [\n    1,\n    2\n  ]\n}", "{ \"a\": [ 1 ] }"}) {
    EXPECT_TRUE(accepts(schema, text, JsonSpacing::kFlexible)) << text;
  }
  EXPECT_FALSE(accepts(schema, "{\n\n\"a\": [1]}", JsonSpacing::kFlexible));
  EXPECT_FALSE(accepts(schema, "{\n" + std::string(21, ' ') + "\"a\": [1]}", JsonSpacing::kFlexible));
  EXPECT_FALSE(accepts(schema, " {\"a\": [1]}", JsonSpacing::kFlexible));
}

TEST(JsonSchema, EscapesStrings) {
  const std::string schema = R"({"type": "string"})";
  for (const char* text :
       {R"("")", R"("é€😀")", R"("\"\\\/\b\f\n\r\t")", R"("\u00e9\uD83D\uDE00")", "\"\x7F\""}) {
    EXPECT_TRUE(accepts(schema, text)) << text;
  }
  for (const char* text : {"\"\n\"", "\"\x01\"", R"("\x")", R"("\uD83D")", R"("\uDE00")", R"("\uD83D\u0041")",
                           "\"\xC3\"", "\"\xED\xA0\x80\"", R"("a"b")", "\""}) {
    EXPECT_FALSE(accepts(schema, text)) << text;
  }
}

TEST(JsonSchema, CountsCharactersNotBytesOrEscapes) {
  const std::string schema = R"({"type": "string", "minLength": 2, "maxLength": 3})";
  for (const char* text : {R"("é€")", R"("😀\uD83D\uDE00\n")", R"("\"\"")"})
    EXPECT_TRUE(accepts(schema, text)) << text;
  for (const char* text : {R"("é")", R"("\uD83D\uDE00")", R"("abcd")", R"("")"})
    EXPECT_FALSE(accepts(schema, text)) << text;
}

TEST(JsonSchema, NamesKeywordAndPlaceOfWhatItRefuses) {
  EXPECT_EQ(
      refusalOf(
          R"({"properties": {"tags": {"type": "array", "uniqueItems": true, "items": {"type": "string"}}}})")
          .substr(0, 58),
      "\"uniqueItems\" at /properties/tags cannot be enforced: a gr");
  const std::pair<const char*, const char*> cases[] = {
      {R"({"frobnicate": 1})", "\"frobnicate\" at the schema's root cannot be enforced"},
      {R"({"items": {"x-y/z~": 1}})", "\"x-y/z~\" at /items"},
      {R"({"properties": {"a/b": {"format": "postcode"}}})", "\"format\" at /properties/a~1b"},
      {R"({"$ref": "https://example.com/schema"})", "\"$ref\" at the schema's root cannot be enforced"},
      {R"({"$ref": "#/$defs/nowhere"})", "\"$ref\" at the schema's root must name a part of the schema"},
      {R"({"$dynamicRef": "#x"})", "\"$dynamicRef\""},
      {R"({"type": "string", "pattern": "(?<=a)b"})", "\"pattern\" at the schema's root cannot be enforced"},
      {R"({"type": "string", "pattern": "a{1,1000000000}"})", "\"pattern\" at the schema's root"},
      {R"({"type": "string", "maxLength": 1000000000})", "\"maxLength\""},
      {R"({"type": "array", "maxItems": 1000000000})", "\"maxItems\""},
      {R"({"type": "integer", "multipleOf": 86400})", "\"multipleOf\""},
      {R"({"type": "string", "contentEncoding": "base64"})", "\"contentEncoding\""},
      {R"({"minProperties": 3, "type": "object"})", "\"minProperties\""},
      {R"({"oneOf": [{"multipleOf": 2, "type": "integer"}, {"type": "integer", "multipleOf": 3}]})",
       "\"oneOf\""},
      {R"({"not": {"format": "date"}})", "\"format\""},
      {R"({"type": "strin"})", "\"type\" at the schema's root must be one of"},
      {R"({"minLength": -1})", "\"minLength\" at the schema's root must be"},
      {R"({"required": "a"})", "\"required\" at the schema's root must be"},
      {R"({"exclusiveMinimum": true})", "\"exclusiveMinimum\" at the schema's root must be a number"},
      {R"({"enum": []})", "\"enum\""},
      {R"([])", "The schema at its root must be"},
      {R"({"a": 1, "a": 2})", "twice"},
      {R"({"type": )", "not JSON"},
      {R"({"type": ["string"], "not": {}})", "No finite value"},
  };
  for (const auto& [schema, start] : cases) {
    const std::string message = refusalOf(schema);
    EXPECT_NE(message, "(none)") << schema;
    EXPECT_NE(message.find(start), std::string::npos) << schema << "\n" << message;
  }
}

TEST(JsonSchema, RefusesWhatRequiresItself) {
  EXPECT_NE(refusalOf(R"({"$ref": "#"})").find("\"$ref\""), std::string::npos);
  EXPECT_NE(
      refusalOf(
          R"({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "null"}]}}})")
          .find("\"$ref\""),
      std::string::npos);
  EXPECT_NE(refusalOf(R"({"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]})")
                .find("No finite"),
            std::string::npos);
}

TEST(JsonSchema, LeavesOutWhatNothingSatisfies) {
  const std::string schema =
      R"({"type": "object", "properties": {"a": {"type": "string", "enum": [1, 2]}, "b": {"const": 1},
    "c": {"type": "object", "properties": {"c": {"$ref": "#/properties/c"}}, "required": ["c"]}}, "additionalProperties": false})";
  EXPECT_TRUE(accepts(schema, R"({"b": 1})"));
  EXPECT_TRUE(accepts(schema, R"({})"));
  EXPECT_FALSE(accepts(schema, R"({"a": 1})"));
}

TEST(JsonSchema, FollowsRecursion) {
  const std::string schema =
      R"({"$ref": "#/$defs/tree", "$defs": {"tree": {"type": "object", "required": ["name"],
    "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
    "additionalProperties": false}}})";
  EXPECT_TRUE(accepts(
      schema, R"({"name": "a", "children": [{"name": "b"}, {"name": "c", "children": [{"name": "d"}]}]})"));
  EXPECT_FALSE(accepts(schema, R"({"name": "a", "children": [{"children": []}]})"));
}

/// Every number of a grid against the bounds, by comparing digits rather than doubles.
TEST(JsonSchema, BoundsNumbersExactly) {
  const char* bounds[] = {"-12.5", "-1", "-0.25", "0",  "0.1", "0.75",  "1",
                          "9",     "10", "10.05", "99", "100", "1234.5"};
  for (const char* low : bounds) {
    for (const char* high : bounds) {
      for (const bool lowOut : {false, true}) {
        const double least = std::stod(low);
        const double most = std::stod(high);
        const std::string schema = std::string(R"({"type": "number", ")") +
                                   (lowOut ? "exclusiveMinimum" : "minimum") + "\": " + low + ", \"" +
                                   (lowOut ? "maximum" : "exclusiveMaximum") + "\": " + high + "}";
        const auto grammar = grammarOfSchemaText(schema);
        ASSERT_EQ(grammar.has_value(), least < most) << schema;
        if (!grammar) continue;
        for (int hundredths = -1300; hundredths <= 1300; hundredths += 5) {
          const int whole = std::abs(hundredths) / 100;
          const int rest = std::abs(hundredths) % 100;
          std::string text = (hundredths < 0 ? "-" : "") + std::to_string(whole);
          if (rest != 0) text += (rest < 10 ? ".0" : ".") + std::to_string(rest);
          const double value = hundredths / 100.0;
          const bool in = lowOut ? least < value && value <= most : least <= value && value < most;
          ASSERT_EQ(plainlyMatches(*grammar, text), in) << schema << " " << text;
        }
      }
    }
  }
}

TEST(JsonSchema, BoundsIntegersExactly) {
  for (const int low : {-1000, -101, -99, -10, -9, -1, 0, 1, 7, 10, 19, 99, 100, 345}) {
    for (const int high : {-999, -100, -11, -1, 0, 1, 8, 10, 21, 99, 110, 999, 1001}) {
      const std::string schema = R"({"type": "integer", "minimum": )" + std::to_string(low) +
                                 R"(, "maximum": )" + std::to_string(high) + "}";
      const auto grammar = grammarOfSchemaText(schema);
      ASSERT_EQ(grammar.has_value(), low <= high) << schema;
      for (int value = -1100; grammar && value <= 1100; ++value) {
        ASSERT_EQ(plainlyMatches(*grammar, std::to_string(value)), low <= value && value <= high)
            << schema << value;
      }
    }
  }
  const std::string schema =
      R"({"type": "integer", "minimum": -9223372036854775808, "maximum": 18446744073709551615})";
  EXPECT_TRUE(accepts(schema, "18446744073709551615"));
  EXPECT_FALSE(accepts(schema, "18446744073709551616"));
  EXPECT_TRUE(accepts(schema, "-9223372036854775808"));
  EXPECT_FALSE(accepts(schema, "-9223372036854775809"));
  EXPECT_FALSE(accepts(R"({"type": "integer"})", "-0"));
  EXPECT_FALSE(accepts(R"({"type": "integer"})", "01"));
  EXPECT_FALSE(accepts(R"({"type": "integer"})", "1.5"));
}

TEST(JsonSchema, CountsInMultiples) {
  for (const int step : {1, 2, 3, 7, 10, 12, 25, 100}) {
    const auto grammar =
        grammarOf(R"({"type": "integer", "minimum": -60, "multipleOf": )" + std::to_string(step) + "}");
    for (int value = -100; value <= 400; ++value) {
      ASSERT_EQ(plainlyMatches(grammar, std::to_string(value)), value >= -60 && value % step == 0)
          << step << " " << value;
    }
  }
  EXPECT_TRUE(accepts(R"({"type": "integer", "multipleOf": 1000})", "123000"));
  EXPECT_FALSE(accepts(R"({"type": "integer", "multipleOf": 1000})", "123100"));
  const std::string cents = R"({"type": "number", "minimum": 0, "multipleOf": 0.05})";
  for (const char* text : {"0", "0.05", "12.5", "12.50", "3", "7.95"})
    EXPECT_TRUE(accepts(cents, text)) << text;
  for (const char* text : {"0.01", "12.501", "7.96", "-0.05", "1e1"})
    EXPECT_FALSE(accepts(cents, text)) << text;
}

TEST(JsonSchema, KeepsSomeValuesDifferent) {
  const std::string schema =
      R"({"type": "array", "uniqueItems": true, "minItems": 1, "maxItems": 2, "items": {"enum": ["a", "b", 1]}})";
  for (const char* text : {R"(["a"])", R"(["a", 1])", R"([1, "b"])"})
    EXPECT_TRUE(accepts(schema, text)) << text;
  for (const char* text : {R"([])", R"(["a", "a"])", R"([1, "b", "a"])", R"(["c"])"})
    EXPECT_FALSE(accepts(schema, text)) << text;
}

TEST(JsonSchema, CountsMembers) {
  const std::string schema =
      R"({"type": "object", "properties": {"a": {"const": 1}, "b": {"const": 1}, "c": {"const": 1}},
    "additionalProperties": false, "minProperties": 1, "maxProperties": 2})";
  for (const char* text : {R"({"a": 1})", R"({"b": 1, "c": 1})", R"({"a": 1, "c": 1})"})
    EXPECT_TRUE(accepts(schema, text)) << text;
  for (const char* text : {R"({})", R"({"a": 1, "b": 1, "c": 1})"})
    EXPECT_FALSE(accepts(schema, text)) << text;
}

TEST(JsonSchema, TellsOptionsOfOneOfApart) {
  const std::string schema =
      R"({"oneOf": [{"type": "object", "properties": {"kind": {"const": "a"}, "x": {"type": "integer"}}, "required": ["kind"]},
    {"type": "object", "properties": {"kind": {"const": "b"}, "y": {"type": "string"}}, "required": ["kind"]}]})";
  EXPECT_TRUE(accepts(schema, R"({"kind": "a", "x": 1})"));
  EXPECT_TRUE(accepts(schema, R"({"kind": "b", "y": "z"})"));
  EXPECT_FALSE(accepts(schema, R"({"kind": "b", "y": 1})"));
  EXPECT_FALSE(accepts(schema, R"({"kind": "c"})"));
  // Where they overlap, what both allow is not allowed.
  const std::string overlap =
      R"({"oneOf": [{"type": "integer", "minimum": 0}, {"type": "integer", "maximum": 10}]})";
  EXPECT_TRUE(accepts(overlap, "11"));
  EXPECT_TRUE(accepts(overlap, "-1"));
  EXPECT_FALSE(accepts(overlap, "5"));
}

TEST(JsonSchema, JoinsPatternAndLengthAndFormat) {
  const std::string schema =
      R"({"type": "string", "pattern": "^[a-z]+(-[a-z]+)*$", "minLength": 3, "maxLength": 5, "not": {"enum": ["abc"]}})";
  for (const char* text : {R"("abd")", R"("a-b")", R"("abcde")"}) EXPECT_TRUE(accepts(schema, text)) << text;
  for (const char* text : {R"("abc")", R"("ab")", R"("abcdef")", R"("a--b")", R"("abC")"})
    EXPECT_FALSE(accepts(schema, text)) << text;
  const std::string within = R"({"type": "string", "pattern": "b\""})";
  EXPECT_TRUE(accepts(within, R"("ab\"c")"));
  EXPECT_FALSE(accepts(within, R"("ab")"));
}

TEST(JsonSchema, WritesAnyJson) {
  JsonOptions options;
  const auto object = grammarOfJsonObject(options);
  const auto value = grammarOfJsonValue(options);
  ASSERT_TRUE(object && value);
  EXPECT_TRUE(plainlyMatches(*object, R"({"a": [1, -2.5e+3, true, null, {"b": []}], "": "x"})"));
  EXPECT_FALSE(plainlyMatches(*object, "[]"));
  EXPECT_TRUE(plainlyMatches(*value, "[]"));
  EXPECT_TRUE(plainlyMatches(*value, "-0"));
  for (const char* text : {"1e400", "01", "1.", "[1,]", "nul", ""})
    EXPECT_FALSE(plainlyMatches(*value, text)) << text;
  RandomText texts(*value, 7);
  for (int i = 0; i < 500; ++i) {
    const std::string text = texts.next();
    EXPECT_FALSE(nlohmann::ordered_json::parse(text, nullptr, false).is_discarded()) << text;
  }
}

TEST(JsonSchemaLimits, NamesTheKeywordThatMakesAnAutomatonTooLarge) {
  const std::pair<const char*, const char*> schemas[] = {
      // The outer keyword makes thousands of what the inner one makes.
      {R"({"properties":{"tags":{"type":"array","maxItems":2000,"items":{"type":"string","maxLength":300}}}})",
       "\"maxItems\" at /properties/tags."},
      {R"({"properties":{"a":{"type":"array","maxItems":3,"items":{"type":"string","maxLength":90000}}}})",
       "\"maxLength\" at /properties/a/items."},
      {R"({"$defs":{"x":{"type":"string","minLength":90000}},"properties":{"a":{"$ref":"#/$defs/x"},
           "b":{"$ref":"#/$defs/x"},"c":{"$ref":"#/$defs/x"},"d":{"type":"string","maxLength":10}}})",
       "\"minLength\" at /$defs/x."}};
  for (const auto& [schema, part] : schemas) {
    const auto grammar = grammarOfSchemaText(schema);
    ASSERT_TRUE(grammar) << grammar.error().describe();
    const auto automaton = Automaton::compile(*grammar);
    ASSERT_FALSE(automaton) << schema;
    EXPECT_EQ(automaton.error().code(), ErrorCode::kLimit);
    EXPECT_TRUE(automaton.error().message().ends_with(part)) << automaton.error().message();
  }
}

TEST(JsonSchemaLimits, RefusesDepthBeforeItRecurs) {
  base::Result<Grammar> made = base::Error(ErrorCode::kInternal, "");
  EXPECT_LT(costOf(repeated(R"({"items":)", 3000) + "{}" + std::string(3000, '}'), &made), kSecond);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), ErrorCode::kLimit);
  EXPECT_LT(costOf(std::string(3000, '[') + std::string(3000, ']'), &made), kSecond);
  EXPECT_FALSE(made);
  EXPECT_LT(costOf(repeated("[", 500'000), &made), kSecond);
  EXPECT_FALSE(made);
  nlohmann::ordered_json deep;
  for (int i = 0; i < 3000; ++i) deep = nlohmann::ordered_json{{"items", std::move(deep)}};
  EXPECT_FALSE(grammarOfSchema(deep));
}

TEST(JsonSchemaLimits, BoundsCombinations) {
  // 2^24 combinations of alternatives, none of them empty.
  std::string all = R"({"allOf": [)";
  for (int i = 0; i < 24; ++i) {
    const std::string n = std::to_string(i);
    all += std::string(i > 0 ? "," : "") + R"({"anyOf": [{"required": ["a)" + n + R"("]}, {"required": ["b)" +
           n + R"("]}]})";
  }
  base::Result<Grammar> made = base::Error(ErrorCode::kInternal, "");
  EXPECT_LT(costOf(all + "]}", &made), kSecond);
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message().find("allOf"), std::string::npos) << made.error().message();

  // Each definition twice the one before it.
  for (const char* form : {R"({"allOf": [%, %]})", R"({"anyOf": [%, %]})",
                           R"({"properties": {"x": %, "y": %}})", R"({"oneOf": [%, {"not": %}]})"}) {
    std::string laughs = R"({"$ref": "#/$defs/d60", "$defs": {"d0": {"type": "string"})";
    for (int i = 1; i <= 60; ++i) {
      std::string body = form;
      const std::string ref = R"({"$ref": "#/$defs/d)" + std::to_string(i - 1) + "\"}";
      for (std::size_t at = body.find('%'); at != std::string::npos; at = body.find('%'))
        body.replace(at, 1, ref);
      laughs += ", \"d" + std::to_string(i) + "\": " + body;
    }
    EXPECT_LT(costOf(laughs + "}}"), kSecond) << form;
  }

  // Sets of definitions that hold together: 2^20 of them.
  std::string sets = R"({"$ref": "#/$defs/a0", "$defs": {)";
  for (int i = 0; i < 40; ++i) {
    const std::string next = std::to_string((i + 1) % 40);
    const std::string far = std::to_string((i * 7 + 3) % 40);
    sets += std::string(i > 0 ? "," : "") + "\"a" + std::to_string(i) +
            R"(": {"properties": {"x": {"allOf": [{"$ref": "#/$defs/a)" + next +
            R"("}, {"$ref": "#/$defs/a)" + far + R"("}]}, "y": {"$ref": "#/$defs/a)" + far + "\"}}}";
  }
  EXPECT_LT(costOf(sets + "}}"), kSecond);
}

TEST(JsonSchemaLimits, TakesLargeEnumsAndObjects) {
  std::string words;
  for (int i = 0; i < 20'000; ++i)
    words += (i > 0 ? ",\"word " : "\"word ") + std::to_string(i * 7919) + "\"";
  base::Result<Grammar> made = base::Error(ErrorCode::kInternal, "");
  EXPECT_LT(costOf(R"({"enum": [)" + words + "]}", &made), kSecond);
  ASSERT_TRUE(made) << made.error().describe();
  EXPECT_TRUE(plainlyMatches(*made, "\"word 7919\""));
  EXPECT_FALSE(plainlyMatches(*made, "\"word 7918\""));

  std::string members;
  for (int i = 0; i < 1'000; ++i)
    members += (i > 0 ? ",\"p" : "\"p") + std::to_string(i) + R"(": {"type": "integer"})";
  EXPECT_LT(costOf(R"({"type": "object", "properties": {)" + members + "}}", &made), kSecond);
  ASSERT_TRUE(made) << made.error().describe();
  EXPECT_TRUE(plainlyMatches(*made, R"({"p0": 1, "p999": 2})"));
  EXPECT_FALSE(plainlyMatches(*made, R"({"p999": 1, "p0": 2})"));
}

TEST(JsonSchemaLimits, CountsAsManyCharactersAsPeopleAllow) {
  for (const char* most : {"255", "1000", "1001", "10000", "65535"}) {
    const auto grammar =
        grammarOf(R"({"type": "string", "minLength": 1, "maxLength": )" + std::string(most) + "}");
    const test::ProcessorTime time;
    const auto automaton = Automaton::compile(grammar);
    const double ms = time.seconds() * 1000;
    ASSERT_TRUE(automaton) << most << automaton.error().describe();
    std::printf("maxLength %s: %.0f ms, %zu states\n", most, ms, automaton->states());
    EXPECT_LT(ms, kSecond);
  }
  const std::string schema = R"({"type": "string", "minLength": 2, "maxLength": 1200})";
  EXPECT_FALSE(accepts(schema, R"("a")"));
  EXPECT_TRUE(accepts(schema, R"("a\n")"));
  EXPECT_TRUE(accepts(schema, "\"" + std::string(1200, 'a') + "\""));
  EXPECT_FALSE(accepts(schema, "\"" + std::string(1201, 'a') + "\""));
}

TEST(JsonSchemaLimits, BoundsPatternsTogether) {
  std::string many = R"({"type": "string", "allOf": [)";
  for (int i = 0; i < 12; ++i)
    many += std::string(i > 0 ? "," : "") + R"({"pattern": "a.{)" + std::to_string(9 + i) + R"(}b"})";
  base::Result<Grammar> made = base::Error(ErrorCode::kInternal, "");
  EXPECT_LT(costOf(many + "]}", &made), kSecond);
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message().find("\"pattern\""), std::string::npos);
  EXPECT_LT(costOf(R"({"type": "string", "maxLength": 50000, "pattern": "^(a|b)*$"})", &made), kSecond);
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message().find("\"maxLength\""), std::string::npos);
}

}  // namespace
}  // namespace quern::engine::grammar
