// What a step under a grammar costs: grammar_steps VOCABULARY.gguf
//
// JSON texts of a fixed seed are tokenized and read under GBNF's JSON grammar as an engine would: before each
// token the mask, then the token. Times are of the mask and the token together, without the sampler. The same
// for free text of an answer that may call tools, in two families' forms.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "engine/answer/call_grammar.h"
#include "engine/gguf/file.h"
#include "engine/grammar/constraint.h"
#include "engine/grammar/gbnf.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::bench {
namespace {

using namespace engine::grammar;
using Clock = std::chrono::steady_clock;

constexpr const char* kJson = R"GBNF(
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt/] | "u" [0-9a-fA-F]{4}) )* "\"" ws
number ::= "-"? ("0" | [1-9] [0-9]{0,15}) ("." [0-9]{1,15})? ([eE] [-+]? [0-9]{1,3})? ws
ws     ::= [ \t\n]*
)GBNF";

double microseconds(Clock::time_point from) {
  return std::chrono::duration<double, std::micro>(Clock::now() - from).count();
}

std::string randomText(std::mt19937& random) {
  static constexpr const char* kWords[] = {
      "name",   "the quick brown fox", "Übergröße", "naïve café", "東京都",
      "a\nb",   "say \"hi\"",          "path/to",   "x",          "identifier",
      "\\d+\\", "привет мир",          "😀",         "description"};
  std::string text = kWords[random() % 14];
  while (random() % 3 == 0) text += std::string(" ") + kWords[random() % 14];
  return text;
}

nlohmann::json randomJson(std::mt19937& random, int depth) {
  switch (random() % (depth > 0 ? 7 : 5)) {
    case 0:
      return static_cast<int>(random() % 100000);
    case 1:
      return static_cast<double>(random() % 1000) / 8;
    case 2:
      return random() % 2 == 0;
    case 3:
    case 4:
      return randomText(random);
    case 5: {
      auto list = nlohmann::json::array();
      for (std::uint32_t i = 0; i < random() % 5; ++i) list.push_back(randomJson(random, depth - 1));
      return list;
    }
    default: {
      auto object = nlohmann::json::object();
      for (std::uint32_t i = 0; i < random() % 6; ++i)
        object[randomText(random)] = randomJson(random, depth - 1);
      return object;
    }
  }
}

struct Reading {
  std::vector<double> steps;  ///< µs
  bool isRight = true;
};

Reading read(const std::shared_ptr<const Constraint>& constraint,
             const std::vector<std::vector<std::int32_t>>& texts) {
  Reading reading;
  std::vector<std::uint64_t> mask(maskWords(constraint->vocabulary().size()));
  for (const auto& tokens : texts) {
    Matcher matcher(constraint);
    for (const std::int32_t token : tokens) {
      const auto began = Clock::now();
      matcher.allowed(mask);
      const bool isAccepted = matcher.accept(token);
      reading.steps.push_back(microseconds(began));
      const auto number = static_cast<std::size_t>(token);
      if (isAccepted && ((mask[number / 64] >> (number % 64)) & 1) != 0) continue;
      reading.isRight = false;
      break;
    }
  }
  std::sort(reading.steps.begin(), reading.steps.end());
  return reading;
}

void print(const char* what, const Reading& reading) {
  const auto at = [&](double share) {
    return reading.steps[static_cast<std::size_t>(share * static_cast<double>(reading.steps.size() - 1))];
  };
  std::printf("%-28s %6zu steps: median %.2f µs, p99 %.1f µs, worst %.1f µs%s\n", what, reading.steps.size(),
              at(0.5), at(0.99), reading.steps.back(), reading.isRight ? "" : "  (a text was refused!)");
}

/// Text up to a call, which may be anything but a marker.
void runFreeText(const engine::tokenizer::Tokenizer& tokenizer,
                 const std::shared_ptr<const VocabularyIndex>& vocabulary) {
  std::vector<engine::answer::Tool> tools;
  for (int i = 0; i < 8; ++i) {
    tools.push_back(
        {"tool_" + std::to_string(i), "",
         nlohmann::ordered_json::parse(R"({"type": "object", "properties": {"path": {"type": "string"},
                       "count": {"type": "integer"}, "mode": {"enum": ["r", "w"]}}, "required": ["path"]})")});
  }
  std::mt19937 random(12);
  std::vector<std::vector<std::int32_t>> texts;
  for (int i = 0; i < 200; ++i) {
    std::string text = i % 4 == 0 ? randomJson(random, 3).dump() : randomText(random);
    for (int word = 0; word < 10; ++word) text += " " + randomText(random) + (word % 5 == 0 ? " <b>\n" : ",");
    texts.push_back(tokenizer.encode(text, {false, false}));
  }
  for (const char* family : {"hermes", "generic"}) {
    const engine::answer::AnswerForm form{engine::answer::findToolForm(family),
                                          engine::answer::findReasoningForm("think")};
    const auto began = Clock::now();
    const auto grammar = callGrammar(form, tools, {});
    const auto constraint = grammar ? Constraint::compile(*grammar, vocabulary) : grammar.error();
    if (!constraint)
      return static_cast<void>(std::fprintf(stderr, "%s\n", constraint.error().describe().c_str()));
    std::printf("calls as %s, 8 tools: compiled in %.2f ms, %zu states\n", family, microseconds(began) / 1000,
                (*constraint)->automaton().states());
    print("free text, cold", read(*constraint, texts));
    print("free text, warm", read(*constraint, texts));
  }
}

int run(const char* path) {
  const auto file = engine::gguf::File::open(path);
  if (!file) return std::fprintf(stderr, "%s\n", file.error().describe().c_str()), 1;
  const auto tokenizer = engine::tokenizer::Tokenizer::fromGguf(**file);
  if (!tokenizer) return std::fprintf(stderr, "%s\n", tokenizer.error().describe().c_str()), 1;

  auto began = Clock::now();
  const auto vocabulary = std::make_shared<const VocabularyIndex>(*tokenizer);
  std::printf("vocabulary: %zu tokens, %zu nodes, %.1f MiB, made once in %.0f ms\n", vocabulary->size(),
              vocabulary->nodes().size(), static_cast<double>(vocabulary->memoryBytes()) / (1 << 20),
              microseconds(began) / 1000);

  std::mt19937 random(11);
  std::vector<std::vector<std::int32_t>> texts;
  for (int i = 0; i < 200; ++i) {
    nlohmann::json object = {
        {"id", i}, {randomText(random), randomJson(random, 4)}, {"more", randomJson(random, 3)}};
    texts.push_back((*tokenizer)->encode(object.dump(i % 3 == 0 ? 2 : -1), {false, false}));
  }

  began = Clock::now();
  const auto grammar = parseGbnf(kJson);
  const auto constraint = Constraint::compile(*grammar, vocabulary);
  if (!constraint) return std::fprintf(stderr, "%s\n", constraint.error().describe().c_str()), 1;
  std::printf("JSON grammar: parsed and compiled in %.2f ms, %zu states\n", microseconds(began) / 1000,
              (*constraint)->automaton().states());
  print("cold (no mask known)", read(*constraint, texts));

  const auto warmed = Constraint::compile(*grammar, vocabulary);
  began = Clock::now();
  const bool isAll = (*warmed)->warm(std::chrono::milliseconds(5000));
  std::printf("all masks ahead: %.1f ms, %zu entries, %.1f MiB%s\n", microseconds(began) / 1000,
              (*warmed)->masks().entries(), static_cast<double>((*warmed)->masks().bytes()) / (1 << 20),
              isAll ? "" : " (not finished)");
  print("warm", read(*warmed, texts));
  const auto partly = Constraint::compile(*grammar, vocabulary);
  (void)(*partly)->warm(std::chrono::milliseconds(40));
  print("as the cache hands it out", read(*partly, texts));
  runFreeText(**tokenizer, vocabulary);
  return 0;
}

}  // namespace
}  // namespace quern::bench

int main(int argc, char** argv) {
  if (argc == 2) return quern::bench::run(argv[1]);
  std::fprintf(stderr, "grammar_steps VOCABULARY.gguf\n");
  return 2;
}
