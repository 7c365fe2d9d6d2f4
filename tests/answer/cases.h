// Recorded answers of tests/data/answer, and what a parser makes of them when they are cut.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "engine/answer/answer_parser.h"

namespace quern::engine::answer {

using Json = nlohmann::ordered_json;

inline const std::filesystem::path kCases = std::filesystem::path(QUERN_SOURCE_DIR) / "tests/data/answer";

inline Json readJson(const std::filesystem::path& path) {
  std::ifstream stream(path);
  return Json::parse(stream);
}

inline std::vector<Tool> testTools() {
  const auto tools = parseTools(readJson(kCases / "tools.json"));
  EXPECT_TRUE(tools);
  return tools ? *tools : std::vector<Tool>();
}

struct Case {
  std::string name;  ///< "hermes: two calls"
  AnswerForm form;
  std::string text;
  std::string prompt;
  Json expected;
};

inline std::vector<Case> allCases() {
  std::vector<Case> cases;
  for (const auto& entry : std::filesystem::directory_iterator(kCases)) {
    if (entry.path().filename() == "tools.json") continue;
    const Json file = readJson(entry.path());
    AnswerForm form{findToolForm(file["family"].get<std::string>()),
                    findReasoningForm(file.value("reasoning", "think"))};
    EXPECT_NE(form.tools, nullptr) << entry.path();
    EXPECT_NE(form.reasoning, nullptr) << entry.path();
    for (const Json& one : file["cases"]) {
      cases.push_back({file["family"].get<std::string>() + ": " + one["name"].get<std::string>(), form,
                       one["text"].get<std::string>(), one.value("prompt", ""), one["expected"]});
    }
  }
  return cases;
}

inline ParserOptions optionsOf(const Case& one) {
  ParserOptions options;
  options.form = one.form;
  options.tools = testTools();
  options.inReasoning = opensReasoning(*one.form.reasoning, one.prompt);
  options.inCalls = opensCalls(*one.form.tools, one.prompt);
  options.seed = 7;
  return options;
}

/// Pieces of `text` that end at `cuts`.
inline std::vector<std::string> cutAt(std::string_view text, std::vector<std::size_t> cuts) {
  std::vector<std::string> pieces;
  std::size_t begin = 0;
  cuts.push_back(text.size());
  for (const std::size_t end : cuts) {
    pieces.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  return pieces;
}

/// Everything that a parser says, with neighbouring deltas of one kind joined, as one text.
struct Transcript {
  std::string text;
  Part::Kind last = Part::Kind::kCallEnd;

  void add(const std::vector<Part>& parts) {
    for (const Part& part : parts) {
      const bool isDelta = part.kind != Part::Kind::kCallBegin && part.kind != Part::Kind::kCallEnd;
      EXPECT_TRUE(!isDelta || !part.text.empty()) << "a part that says nothing";
      if (!isDelta || part.kind != last || text.empty()) {
        constexpr const char* kNames[] = {"reasoning", "content", "begin", "arguments", "end"};
        text +=
            "\n" + std::string(kNames[static_cast<int>(part.kind)]) + " " + std::to_string(part.call) + ": ";
      }
      if (part.kind == Part::Kind::kCallBegin) {
        text += part.name + " " + part.id + (part.isKnown ? "" : " unknown");
      }
      if (part.kind == Part::Kind::kCallEnd) text += part.isComplete ? "complete" : "incomplete";
      text += part.text;
      last = part.kind;
    }
  }
};

struct Outcome {
  std::string transcript;
  Message message;
};

inline Outcome parsed(const ParserOptions& options, const std::vector<std::string>& pieces) {
  AnswerParser parser(options);
  Transcript transcript;
  for (const std::string& piece : pieces) transcript.add(parser.push(piece));
  transcript.add(parser.finish());
  return {transcript.text, parser.message()};
}

}  // namespace quern::engine::answer
