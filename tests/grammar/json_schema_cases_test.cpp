// Schemas and instances as data: every line of tests/data/grammar/schemas/*.jsonl is a schema with values
// that satisfy it and others that do not. A schema is refused by a keyword that refused.txt names for it, or
// its grammar has all of the first and none of the second.

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "engine/grammar/json_pieces.h"
#include "engine/grammar/json_schema.h"
#include "engine/grammar/json_schema_values.h"
#include "tests/grammar/plain_matcher.h"
#include "tests/grammar/random_text.h"

namespace quern::engine::grammar {
namespace {

using nlohmann::ordered_json;

const std::string kFolder = std::string(QUERN_SOURCE_DIR) + "/tests/data/grammar/schemas/";

std::vector<ordered_json> casesOf(const std::string& file) {
  std::ifstream stream(kFolder + file);
  std::vector<ordered_json> cases;
  for (std::string line; std::getline(stream, line);) cases.push_back(ordered_json::parse(line));
  return cases;
}

/// Lines "file | about | rest", by "file | about"; "#" begins a comment.
std::multimap<std::string, std::string> notesOf(const std::string& file) {
  std::ifstream stream(kFolder + file);
  std::multimap<std::string, std::string> notes;
  for (std::string line; std::getline(stream, line);) {
    const std::size_t last = line.rfind(" | ");
    if (!line.starts_with("#") && last != std::string::npos)
      notes.emplace(line.substr(0, last), line.substr(last + 3));
  }
  return notes;
}

/// How a value may be written: members in every order, since the schema decides which one is the grammar's.
std::vector<std::string> spellings(const ordered_json& value) {
  constexpr std::size_t kMost = 800;
  if (!value.is_structured()) return {JsonPieces::scalar(value)};
  std::vector<std::string> all;
  std::vector<std::size_t> order;
  for (std::size_t at = 0; at < value.size(); ++at) order.push_back(at);
  do {
    std::vector<std::string> texts{value.is_object() ? "{" : "["};
    for (const std::size_t at : order) {
      const auto item = std::next(value.items().begin(), static_cast<std::ptrdiff_t>(at));
      const std::string name = value.is_object() ? JsonPieces::quoted(item.key()) + ": " : "";
      std::vector<std::string> longer;
      for (const std::string& text : texts) {
        for (const std::string& part : spellings(item.value())) {
          if (longer.size() < kMost) longer.push_back(text + (text.size() > 1 ? ", " : "") + name + part);
        }
      }
      texts = std::move(longer);
    }
    for (const std::string& text : texts) all.push_back(text + (value.is_object() ? "}" : "]"));
  } while (value.is_object() && all.size() < kMost && std::next_permutation(order.begin(), order.end()));
  return all;
}

bool hasSpelling(const Grammar& grammar, const ordered_json& value) {
  for (const std::string& text : spellings(value)) {
    if (plainlyMatches(grammar, text)) return true;
  }
  return false;
}

/// The keyword that an error begins with.
std::string keywordOf(const std::string& message) {
  if (!message.starts_with("\"")) return message;
  return message.substr(1, message.find('"', 1) - 1);
}

class SchemaCases : public testing::TestWithParam<const char*> {};

TEST_P(SchemaCases, AreHonouredOrRefusedByName) {
  const auto refused = notesOf("refused.txt");
  const auto narrower = notesOf("narrower.txt");
  std::size_t honoured = 0;
  std::size_t instances = 0;
  for (const ordered_json& one : casesOf(GetParam())) {
    const std::string name = one.value("file", GetParam()) + " | " + one["about"].get<std::string>();
    const auto grammar = grammarOfSchema(one["schema"]);
    const auto expected = refused.find(name);
    const std::string got = grammar ? "(honoured)" : keywordOf(grammar.error().message());
    EXPECT_EQ(got, expected == refused.end() ? "(honoured)" : expected->second)
        << "REFUSED " << name << " | " << got << "\n"
        << (grammar ? "" : grammar.error().describe());
    if (!grammar) continue;
    ++honoured;
    for (const ordered_json& test : one["tests"]) {
      ++instances;
      const std::string what = test.value("about", test["data"].dump());
      bool isNarrower = false;
      for (auto [at, end] = narrower.equal_range(name); at != end; ++at)
        isNarrower = isNarrower || at->second == what;
      EXPECT_EQ(hasSpelling(*grammar, test["data"]), test["valid"].get<bool>() && !isNarrower)
          << (test["valid"].get<bool>() ? "NARROWER " : "WRONG ") << name << " | " << what << "\n"
          << one["schema"] << "\n"
          << test["data"];
    }
  }
  std::printf("%s: %zu schemas honoured, %zu instances\n", GetParam(), honoured, instances);
  EXPECT_GE(honoured, 60u);
}

/// What the grammar says at random satisfies the schema, as a checker that knows nothing of grammars sees it.
TEST_P(SchemaCases, AreSatisfiedByRandomTexts) {
  std::ofstream kept(testing::TempDir() + "json_schema_texts_" + GetParam());
  for (const ordered_json& one : casesOf(GetParam())) {
    const auto grammar = grammarOfSchema(one["schema"]);
    if (!grammar) continue;
    RandomText texts(*grammar, 11);
    SchemaSource source(one["schema"]);
    SchemaTexts automata(source);
    SchemaValues checker(source, automata);
    for (int i = 0; i < 12; ++i) {
      const std::string text = texts.next();
      const auto value = ordered_json::parse(text, nullptr, false);
      ASSERT_FALSE(value.is_discarded()) << one["about"] << "\n" << text;
      // Python reads other regular expressions than ECMAScript.
      const bool isForPython =
          !one.contains("only") && one.value("file", "") != "optional/ecmascript-regex.json";
      if (isForPython) kept << ordered_json{{"schema", one["schema"]}, {"text", text}} << "\n";
      const auto fits = checker.satisfies(source.root(), value);
      if (!fits) continue;  // what the checker does not judge
      EXPECT_TRUE(*fits) << one["schema"] << "\n" << text;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, SchemaCases, testing::Values("handmade.jsonl", "suite.jsonl"),
                         [](const auto& one) {
                           return std::string(one.param).substr(0, std::string(one.param).find('.'));
                         });

}  // namespace
}  // namespace quern::engine::grammar
