// Templates against Python's jinja2: the expectations were written by
// tests/conformance/make_template_cases.py.

#include "engine/template/template.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/gguf/file.h"

namespace quern::engine::chat {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kNow = "2026-03-07 12:30:05";

std::vector<Json> readLines(const std::string& name) {
  std::ifstream stream(std::string(QUERN_SOURCE_DIR) + "/tests/data/template/" + name);
  std::vector<Json> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(Json::parse(line));
  return lines;
}

base::Result<std::string> render(const std::string& source, const Json& variables,
                                 const Limits& limits = {}) {
  const auto parsed = Template::parse(source, limits);
  if (!parsed) return parsed.error();
  RenderOptions options;
  options.limits = limits;
  options.now = kNow;
  return parsed->render(variables, options);
}

std::string fingerprint(const std::string& text) {
  std::uint64_t value = 0xCBF29CE484222325;
  for (const char byte : text) value = (value ^ static_cast<unsigned char>(byte)) * 0x100000001B3;
  std::array<char, 17> out{};
  std::snprintf(out.data(), out.size(), "%016llx", static_cast<unsigned long long>(value));
  return out.data();
}

/// The template under QUERN_TEST_DATA, out of a .jinja file or a model's metadata.
std::optional<std::string> vectorTemplate(const std::string& name) {
  const std::filesystem::path path = std::filesystem::path(QUERN_TEST_DATA) / name;
  if (!std::filesystem::exists(path)) return std::nullopt;
  if (path.extension() == ".gguf") {
    const auto file = gguf::File::open(path);
    if (!file) return std::nullopt;
    const auto source = (*file)->stringAt("tokenizer.chat_template");
    return source ? std::optional<std::string>(*source) : std::nullopt;
  }
  std::ifstream stream(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

/// What jinja2 says against what we say; empty when they agree.
std::string difference(const Json& expected, const base::Result<std::string>& actual) {
  if (expected.contains("raises")) {
    if (actual) return "rendered, but should raise: " + *actual;
    const std::string message = expected["raises"];
    if (actual.error().code() != base::ErrorCode::kInvalidArgument || actual.error().message() != message) {
      return "should raise \"" + message + "\", says: " + actual.error().message();
    }
    return "";
  }
  if (expected.contains("error")) {
    return actual ? "rendered \"" + *actual + "\", but should fail: " + expected["error"].get<std::string>()
                  : "";
  }
  if (!actual) return "failed: " + actual.error().message();
  if (expected.contains("output")) {
    const std::string output = expected["output"];
    return output == *actual ? "" : "expected \"" + output + "\"\n     got \"" + *actual + "\"";
  }
  const bool same = expected["bytes"] == actual->size() && expected["fnv1a"] == fingerprint(*actual);
  return same ? ""
              : "other text of " + std::to_string(actual->size()) + " bytes than the " +
                    expected["bytes"].dump() + " expected:\n" + *actual;
}

TEST(Template, AgreesWithJinja2OnSmallCases) {
  const std::vector<Json> lines = readLines("cases.jsonl");
  ASSERT_GT(lines.size(), 600u);
  const Json& common = lines.front()["common"];
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const Json variables = lines[i].contains("common") ? common : lines[i].value("variables", Json::object());
    const std::string source = lines[i]["template"];
    const std::string wrong = difference(lines[i], render(source, variables));
    EXPECT_EQ(wrong, "") << "line " << i + 1 << ": " << source;
  }
}

TEST(Template, AgreesWithJinja2OnEveryTemplateOfTheVectors) {
  std::map<std::string, Json> conversations;
  for (const Json& line : readLines("conversations.jsonl")) conversations[line["name"]] = line["variables"];
  std::map<std::string, std::optional<std::string>> sources;
  std::size_t checked = 0;
  for (const Json& line : readLines("expected.jsonl")) {
    const std::string name = line["template"];
    if (!sources.contains(name)) sources[name] = vectorTemplate(name);
    if (!sources[name]) continue;
    ++checked;
    const std::string wrong = difference(line, render(*sources[name], conversations[line["conversation"]]));
    EXPECT_EQ(wrong, "") << name << " with " << line["conversation"];
  }
  if (checked == 0) {
    GTEST_SKIP() << "SKIPPED: no templates below " << QUERN_TEST_DATA << "; packaging/test.sh fetches them";
  }
  EXPECT_GT(checked, 1000u);
}

TEST(Template, LimitsWhatATemplateMayTake) {
  const auto repeated = [](const std::string& text, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += text;
    return out;
  };
  const std::vector<std::pair<const char*, std::string>> hostile = {
      {"nested parentheses", "{{ " + repeated("(", 60000) + "1" + repeated(")", 60000) + " }}"},
      {"nested lists", "{{ " + repeated("[", 60000) + repeated("]", 60000) + " }}"},
      {"nested dicts", "{{ " + repeated("{1:", 60000) + "1" + repeated("}", 60000) + " }}"},
      {"not not not", "{{ " + repeated("not ", 60000) + "1 }}"},
      {"minus minus", "{{ " + repeated("-", 60001) + "1 }}"},
      {"a long sum", "{{ 1" + repeated("+1", 60000) + " }}"},
      {"a long chain of filters", "{{ 1" + repeated("|abs", 60000) + " }}"},
      {"a long chain of attributes", "{{ x" + repeated(".a", 60000) + " }}"},
      {"a long chain of calls", "{{ x" + repeated("()", 60000) + " }}"},
      {"else if else if", "{{ " + repeated("1 if 0 else ", 60000) + "1 }}"},
      {"nested targets",
       "{% for " + repeated("(", 60000) + "x" + repeated(")", 60000) + " in y %}{% endfor %}"},
      {"nested blocks", repeated("{% if 1 %}", 60000) + repeated("{% endif %}", 60000)},
      {"doubling",
       "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}"},
      {"doubling lists",
       "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}"},
      {"a wide value",
       "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ "
       "ns.x }}"},
      {"a wide comparison",
       "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% set "
       "ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}"},
      {"a deep value",
       "{% set ns = namespace(x=[1]) %}{% for i in range(99999) %}{% set ns.x = [ns.x] %}{% endfor %}"},
      {"a value that holds itself", "{% set ns = namespace() %}{% set ns.x = [ns] %}{{ ns }}"},
      {"a loop in a loop", "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"},
      {"repetition", "{{ 'x' * 10 ** 12 }}"},
      {"a huge list", "{{ [1] * 10 ** 12 }}"},
      {"a huge range", "{{ range(10 ** 12) | list }}"},
      {"a huge power", "{{ 10 ** 10 ** 10 }}"},
      {"a huge width", "{{ '%99999999999d' % 1 }}"},
      {"a huge precision", "{{ '%.999999999f' % 1 }}"},
      {"a huge field", "{{ '{:999999999}'.format(1) }}"},
      {"a huge margin", "{{ 'a\\nb' | indent(10 ** 12) }}"},
      {"a huge centre", "{{ 'a'.center(10 ** 12) }}"},
      {"a huge batch", "{{ [1] | batch(10 ** 12, 0) | list }}"},
      {"many slices", "{{ [1] | slice(10 ** 12) | list }}"},
      {"a macro without end", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"},
      {"a macro that doubles", "{% macro m(n) %}{{ m(n + 1) }}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}"},
      {"a loop without end", "{% for x in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}"},
      {"endless output",
       "{% for i in range(99999) %}{% for j in range(99999) %}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{% "
       "endfor %}{% endfor %}"},
      {"slow search",
       "{% set a = 'a' * 9999999 %}{% for i in range(99999) %}{{ ('a' * 999999 ~ 'b') in a }}{% endfor %}"},
      {"slow comparison",
       "{% set a = 'a' * 9999999 %}{% set b = 'a' * 9999999 %}{% for i in range(99999) %}{{ a == b }}{% "
       "endfor %}"},
      {"replacing nothing", "{{ ('a' * 9999999).replace('', 'b' * 999) }}"},
      {"a big integer", "{{ 99999999999999999999 }}"},
      {"sums that overflow", "{{ 9223372036854775807 + 1 }}"},
      {"products that overflow", "{{ 9223372036854775807 * 2 }}"},
  };
  for (const auto& [name, source] : hostile) {
    const auto start = std::chrono::steady_clock::now();
    const auto result = render(source, Json::object());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    EXPECT_FALSE(result) << name;
    EXPECT_LT(took.count(), 10) << name;
  }
}

TEST(Template, SurvivesManyLinesAndLongConversations) {
  Json messages = Json::array();
  for (int i = 0; i < 2000; ++i) {
    messages.push_back({{"role", i % 2 == 0 ? "user" : "assistant"}, {"content", std::string(400, 'x')}});
  }
  const auto result = render("{% for m in messages %}<|{{ m.role }}|>{{ m['content'] | trim }}\n{% endfor %}",
                             {{"messages", messages}});
  ASSERT_TRUE(result) << result.error().describe();
  EXPECT_GT(result->size(), 800'000u);
}

TEST(Template, NamesTheLineOfAnError) {
  const auto parsed = Template::parse("a\nb\n{{ 1 + }}");
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code(), base::ErrorCode::kMalformed);
  EXPECT_NE(parsed.error().message().find("line 3"), std::string::npos) << parsed.error().message();
  const auto rendered = render("a\n{% set x = 1 %}\n\n{{ x + 'a' }}", Json::object());
  ASSERT_FALSE(rendered);
  EXPECT_NE(rendered.error().message().find("line 4"), std::string::npos) << rendered.error().message();
}

TEST(Template, RefusesATooLongSourceAndVariablesThatAreNoObject) {
  Limits limits;
  limits.sourceBytes = 4;
  const auto parsed = Template::parse("12345", limits);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code(), base::ErrorCode::kLimit);
  EXPECT_FALSE(render("x", Json::array()));
  Json deep = 1;
  for (int i = 0; i < 500; ++i) deep = Json::array({deep});
  EXPECT_FALSE(render("x{{ x }}", {{"x", deep}}));
}

TEST(Template, KeepsBytesThatAreNoUtf8) {
  const std::string bytes = "a\xFF\xC3z\xE2\x82";
  const auto result =
      render("{{ x | upper }}|{{ x | length }}|{{ x | tojson }}|{{ x.strip() }}", {{"x", bytes}});
  ASSERT_TRUE(result) << result.error().describe();
  EXPECT_EQ(*result, "A\xFF\xC3Z\xE2\x82|6|\"" + bytes + "\"|" + bytes);
}

TEST(Template, TellsTheTimeOfTheClockUnlessGivenOne) {
  const auto parsed = Template::parse("{{ strftime_now('%Y-%m-%d') }}");
  ASSERT_TRUE(parsed);
  const auto result = parsed->render(Json::object());
  ASSERT_TRUE(result);
  EXPECT_EQ(result->size(), 10u);
  EXPECT_EQ((*result)[4], '-');
  RenderOptions wrong;
  wrong.now = "yesterday";
  EXPECT_FALSE(parsed->render(Json::object(), wrong));
}

}  // namespace
}  // namespace quern::engine::chat
