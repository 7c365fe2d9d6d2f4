// The command line's contract: verbs, options, exit codes, one sentence on stderr. No model is loaded here.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/environment.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"

namespace quern {
namespace {

using test::Outcome;

class CommandLine : public testing::Test {
 protected:
  Outcome quern(std::vector<std::string> arguments, std::string input = "") {
    return test::runProgram(QUERN_PROGRAM, std::move(arguments), std::move(input));
  }
  void expectFailure(const std::vector<std::string>& arguments, int code, const std::string& part) {
    const Outcome outcome = quern(arguments);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
    EXPECT_TRUE(outcome.out.empty()) << outcome.out;
  }

  test::Folder folder_;
  test::Environment home_{"QUERN_HOME", folder_.path().c_str()};
  test::Environment display_{"DISPLAY", nullptr};
  test::Environment wayland_{"WAYLAND_DISPLAY", nullptr};
  test::Environment platform_{"QT_QPA_PLATFORM", nullptr};
};

TEST_F(CommandLine, EveryVerbHasHelp) {
  const Outcome all = quern({"--help"});
  EXPECT_EQ(all.code, 0);
  for (const char* verb : {"run", "list", "show", "tokenize", "template", "perplexity", "bench", "doctor"}) {
    EXPECT_NE(all.out.find(verb), std::string::npos) << verb;
    const Outcome one = quern({verb, "--help"});
    EXPECT_EQ(one.code, 0) << verb;
    EXPECT_NE(one.out.find("Options:"), std::string::npos) << verb;
    EXPECT_TRUE(one.err.empty()) << one.err;
  }
}

TEST_F(CommandLine, WrongUseIsTwo) {
  expectFailure({"run"}, 2, "MODEL is required");
  expectFailure({"show"}, 2, "MODEL is required");
  expectFailure({"bench"}, 2, "--model is required");
  expectFailure({"perplexity", "-m", "x"}, 2, "--file is required");
  expectFailure({"run", "x", "--no-such-option"}, 2, "--no-such-option");
  expectFailure({"run", "x", "--temp", "-1"}, 2, "--temp");
  expectFailure({"run", "x", "--top-p", "1.5"}, 2, "--top-p");
  expectFailure({"run", "x", "-n", "many"}, 2, "many");
  expectFailure({"run", "x", "hello", "-p", "hello"}, 2, "give the prompt once");
  expectFailure({"run", "x", "hello", "--raw", "--system", "s"}, 2, "--system has no place");
  expectFailure({"run", "x", "hello", "--json-schema", "{}"}, 2, "--json-schema is not available yet");
  expectFailure({"bench", "-m", "x", "-p", "0", "-n", "0"}, 2, "nothing to measure");
  expectFailure({"bench", "-m", "x", "-b", "1,0"}, 2, "");
  expectFailure({"perplexity", "-m", "x", "-f", "y", "--ctx", "2"}, 2, "--ctx");
}

TEST_F(CommandLine, AModelThatIsNotThereIsOne) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"run", "absent", "hello"}, {"show", "absent"}, {"bench", "-m", "absent"}}) {
    expectFailure(arguments, 1, "There is no model or file called \"absent\"");
    const std::string err = quern(arguments).err;
    EXPECT_EQ(std::count(err.begin(), err.end(), '\n'), 1) << err;
  }
}

TEST_F(CommandLine, AFileThatIsNoModelIsOne) {
  std::ofstream(folder_ / "notes.gguf") << "dear diary";
  expectFailure({"show", (folder_ / "notes.gguf").string()}, 1, "is not a GGUF model");
  std::ofstream(folder_ / "short.gguf") << "GGUF";
  expectFailure({"show", (folder_ / "short.gguf").string()}, 1, "short.gguf");
  expectFailure({"run", (folder_ / "short.gguf").string(), "hello"}, 1, "short.gguf");
}

TEST_F(CommandLine, ListsNothingWhereNothingIs) {
  const Outcome text = quern({"list"});
  EXPECT_EQ(text.code, 0);
  EXPECT_NE(text.err.find("No models are installed"), std::string::npos);
  const Outcome json = quern({"list", "--json"});
  EXPECT_EQ(json.code, 0);
  EXPECT_EQ(nlohmann::json::parse(json.out), nlohmann::json::array());
}

TEST_F(CommandLine, ListsABrokenModelAsBroken) {
  std::filesystem::create_directories(folder_ / "data/models");
  std::ofstream(folder_ / "data/models/broken.gguf") << "GGUF and nothing else";
  const Outcome json = quern({"list", "--json"});
  ASSERT_EQ(json.code, 0) << json.err;
  const auto document = nlohmann::json::parse(json.out);
  ASSERT_EQ(document.size(), 1U);
  EXPECT_EQ(document[0]["name"], "broken");
  EXPECT_TRUE(document[0].contains("error"));
}

TEST_F(CommandLine, DoctorKnowsThisMachine) {
  const Outcome outcome = quern({"doctor", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto document = nlohmann::json::parse(outcome.out);
  EXPECT_GE(document["cpu"]["physical_cores"].get<int>(), 1);
  EXPECT_GE(document["cpu"]["logical_cores"].get<int>(), document["cpu"]["physical_cores"].get<int>());
  EXPECT_GT(document["memory"]["total_bytes"].get<std::uint64_t>(), 1U << 20);
  EXPECT_LE(document["memory"]["available_bytes"], document["memory"]["total_bytes"]);
  EXPECT_GT(document["limits"]["read_gb_s"].get<double>(), 0.1);
  EXPECT_LT(document["limits"]["read_gb_s"].get<double>(), 10'000);
  EXPECT_GT(document["limits"]["int8_gmac_s"].get<double>(), 0.1);
  EXPECT_FALSE(document["kernels"]["reason"].get<std::string>().empty());
  EXPECT_EQ(document["places"]["data"], (folder_ / "data").string());
  const Outcome text = quern({"doctor"});
  EXPECT_EQ(text.code, 0);
  EXPECT_NE(text.out.find("built without CUDA"), std::string::npos);
}

TEST_F(CommandLine, WithoutADisplayTheChatIsInTheTerminal) {
  const Outcome outcome = quern({}, "hello\n");
  EXPECT_EQ(outcome.code, 1);  // the starter model is not installed here
  EXPECT_NE(outcome.err.find("here in the terminal"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("\"smollm2\""), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace quern
