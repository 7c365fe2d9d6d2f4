// The command line's contract: verbs, options, exit codes, one sentence on stderr. No model is loaded here.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/model/architecture.h"
#include "tests/bench/synthetic/model.h"
#include "tests/support/crafted_adapter.h"
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

TEST_F(CommandLine, RefusesGrammarsAndPatternsBeforeAModelIsLoaded) {
  expectFailure({"run", "x", "hello", "--regex", "(?<=a)b"}, 2, "look-behind cannot be honoured");
  expectFailure({"run", "x", "hello", "--grammar", "root ::= root \"a\""}, 2, "left recursion");
  expectFailure({"run", "x", "hello", "--grammar", "no-such-file"}, 2, "neither a file that can be read nor");
  expectFailure({"run", "x", "hello", "--grammar", "root ::= \"a\"", "--regex", "a"}, 2, "not to both");
  // What is right goes on to the model.
  expectFailure({"run", "no-such-model", "hello", "--regex", "a+"}, 1, "no-such-model");
  std::ofstream(folder_ / "form.gbnf") << "root ::= \"a\" # one\n";
  expectFailure(
      {"run", "x", "hello", "--json-schema", R"({"type": "object", "properties": {"a": {"type": "strin"}}})"},
      2, "\"type\" at /properties/a must be one of");
  expectFailure({"run", "x", "hello", "--json-schema", R"({"properties": {"tags": {"uniqueItems": true}}})"},
                2, "\"uniqueItems\" at /properties/tags cannot be enforced");
  expectFailure({"run", "x", "hello", "--json-schema", "no-such-file"}, 2, "nor a JSON schema");
  expectFailure({"run", "x", "hello", "--json-schema", "{}", "--json-object"}, 2, "not to both");
  expectFailure({"run", "no-such-model", "hello", "--grammar", (folder_ / "form.gbnf").string()}, 1,
                "no-such-model");
}

TEST_F(CommandLine, EveryVerbHasHelp) {
  const Outcome all = quern({"--help"});
  EXPECT_EQ(all.code, 0);
  for (const char* verb :
       {"run", "list", "show", "convert", "tokenize", "template", "embed", "perplexity", "bench", "serve", "key", "cert", "doctor"}) {
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
  expectFailure({"convert", "x"}, 2, "OUT is required");
  expectFailure({"convert", "x", "y", "--type", "q3"}, 2, "\"q3\" is no type");
  expectFailure({"embed"}, 2, "--model is required");
  expectFailure({"embed", "-m", "x", "--pooling", "median"}, 2, "median");
  expectFailure({"perplexity", "-m", "x"}, 2, "--file is required");
  expectFailure({"run", "x", "--no-such-option"}, 2, "--no-such-option");
  expectFailure({"run", "x", "--temp", "-1"}, 2, "--temp");
  expectFailure({"run", "x", "--top-p", "1.5"}, 2, "--top-p");
  expectFailure({"run", "x", "-n", "many"}, 2, "many");
  expectFailure({"run", "x", "hello", "-p", "hello"}, 2, "give the prompt once");
  expectFailure({"run", "x", "hello", "--raw", "--system", "s"}, 2, "--system has no place");
  const std::string tools = std::string(QUERN_SOURCE_DIR) + "/tests/data/answer/tools.json";
  expectFailure({"run", "x", "hello", "--tools", "absent.json"}, 2, "cannot be read as a JSON list of tools");
  expectFailure({"run", "x", "hello", "--tools", tools, "--tool-choice", "fly"}, 2, "\"fly\" is chosen");
  expectFailure({"run", "x", "hello", "--tools", tools, "--raw"}, 2, "--tools have no place");
  expectFailure({"run", "x", "hello", "--tool-choice", "none"}, 2, "--tools");
  expectFailure({"run", "x", "hello", "--tools", tools, "--tool-choice", "now", "--regex", "a"}, 2,
                "another form");
  expectFailure({"run", "x", "hello", "--reasoning-budget", "-2"}, 2, "--reasoning-budget");
  expectFailure({"bench", "-m", "x", "-p", "0", "-n", "0"}, 2, "nothing to measure");
  expectFailure({"bench", "-m", "x", "-b", "1,0"}, 2, "");
  expectFailure({"bench", "-m", "x", "-d", "0,-5"}, 2, "");
  expectFailure({"bench", "-m", "x", "--kv", "q3"}, 2, "q3");
  expectFailure({"bench", "-m", "x", "--json", "--csv"}, 2, "--csv");
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

TEST_F(CommandLine, DoctorSaysWhichKernelsServeWhat) {
  const Outcome every = quern({"doctor", "--json"});
  ASSERT_EQ(every.code, 0) << every.err;
  const auto types = nlohmann::json::parse(every.out)["types"];
  const auto q4 =
      std::find_if(types.begin(), types.end(), [](const auto& one) { return one["type"] == "Q4_K"; });
  ASSERT_NE(q4, types.end());
  EXPECT_EQ((*q4)["activations"], "int8");

  const auto model = folder_ / "m.gguf";
  ASSERT_TRUE(bench::writeModel(model, bench::findPreset("tiny")->shape, bench::Mix::kQ4_K_M, 1));
  const Outcome one = quern({"doctor", model.string(), "--json"});
  ASSERT_EQ(one.code, 0) << one.err;
  const auto document = nlohmann::json::parse(one.out);
  EXPECT_FALSE(document.contains("types"));
  std::string families;
  for (const auto& family : document["tensor_families"]) {
    families += family["family"].get<std::string>() + " " + family["type"].get<std::string>() + " " +
                std::to_string(family["tensors"].get<int>()) + "; ";
  }
  // Of two layers the second gets more bits for values and down projections.
  EXPECT_EQ(
      families,
      "embeddings Q6_K 1; attention q, k, v Q4_K 5; attention q, k, v Q6_K 1; attention output Q4_K 2; "
      "feed-forward gate, up Q4_K 4; feed-forward down Q4_K 1; feed-forward down Q6_K 1; output Q6_K 1; "
      "norms, biases F32 5; ");
  const Outcome text = quern({"doctor", "-m", model.string()});
  EXPECT_NE(text.out.find("feed-forward down"), std::string::npos) << text.out;
  expectFailure({"doctor", "absent"}, 1, "There is no model or file called \"absent\"");
}

TEST_F(CommandLine, BenchSpeaksJsonCsvAndText) {
  const auto model = folder_ / "m,1.gguf";
  ASSERT_TRUE(bench::writeModel(model, bench::findPreset("tiny")->shape, bench::Mix::kQ4_0, 1));
  const std::vector<std::string> base = {"bench", "-m",   model.string(), "-p",   "16,32", "-n", "4",
                                         "-b",    "1,2",  "-d",           "0,64", "-r",    "1",  "-t",
                                         "1",     "--kv", "q8_0"};
  const auto with = [&](const char* flag) {
    std::vector<std::string> arguments = base;
    if (*flag != '\0') arguments.emplace_back(flag);
    return quern(arguments);
  };
  const Outcome json = with("--json");
  ASSERT_EQ(json.code, 0) << json.err;
  const auto document = nlohmann::json::parse(json.out);
  EXPECT_EQ(document["kv"], "q8_0");
  EXPECT_EQ(document["threads"], 1);
  ASSERT_EQ(document["results"].size(), 8U);
  const auto& last = document["results"][7];
  EXPECT_EQ(last["name"], "decode");
  EXPECT_EQ(last["batch"], 2);
  EXPECT_EQ(last["depth"], 64);
  EXPECT_EQ(last["macs_per_token"], 2 * (256 * 768 + 3 * 256 * 512) + 256 * 512);
  EXPECT_GT(last["tokens_per_second"]["median"].get<double>(), 0);
  EXPECT_GT(document["memory"]["peak_bytes"].get<std::uint64_t>(), 1U << 20);

  const Outcome csv = with("--csv");
  ASSERT_EQ(csv.code, 0) << csv.err;
  EXPECT_EQ(std::count(csv.out.begin(), csv.out.end(), '\n'), 9) << csv.out;
  EXPECT_NE(csv.out.find("\n\"" + model.string() + "\","), std::string::npos) << csv.out;

  const Outcome text = with("");
  ASSERT_EQ(text.code, 0) << text.err;
  EXPECT_NE(text.out.find("first token after"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("OF LIMIT"), std::string::npos) << text.out;
  EXPECT_TRUE(text.err.empty()) << text.err;  // no progress line where stderr is no terminal
}

TEST_F(CommandLine, AnAdapterIsShownAndChangesAnswers) {
  const auto model = folder_ / "m.gguf";
  ASSERT_TRUE(bench::writeModel(model, bench::findPreset("tiny")->shape, bench::Mix::kQ8_0, 1));
  const auto file = *engine::gguf::File::open(model);
  const auto program = *engine::model::buildProgram(*file);
  const auto adapter = folder_ / "style.gguf";
  test::adapterOfAll(*file, program, 4, 1).write(adapter);

  const Outcome shown = quern({"show", adapter.string()});
  ASSERT_EQ(shown.code, 0) << shown.err;
  EXPECT_NE(shown.out.find("adapter (lora), for a model of the architecture \"llama\""), std::string::npos)
      << shown.out;
  const auto facts = nlohmann::json::parse(quern({"show", adapter.string(), "--json"}).out);
  EXPECT_EQ(facts["adapter"]["alpha"], 6);
  EXPECT_EQ(facts["adapter"]["most_rank"], 4);
  EXPECT_EQ(facts["adapter"]["matrices"], 2 * 7 + 1);
  EXPECT_FALSE(facts.contains("layers"));

  const auto answer = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"run", model.string(), "hello", "--temp",
                                          "0",   "-n",           "12",    "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = quern(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out)["tokens"];
  };
  const auto plain = answer({});
  const auto adapted = answer({"--lora", adapter.string()});
  EXPECT_NE(adapted, plain);
  EXPECT_EQ(answer({"--lora", adapter.string() + ":0"}), plain);
  EXPECT_EQ(answer({"--lora", adapter.string() + ":1.0"}), adapted);
  EXPECT_NE(answer({"--lora", adapter.string(), "--lora", adapter.string() + ":-0.5"}), adapted);

  const std::vector<std::string> embed = {"embed", "-m", model.string()};
  const Outcome vector = quern(embed, "hello\n");
  ASSERT_EQ(vector.code, 0) << vector.err;
  const Outcome other = quern({"embed", "-m", model.string(), "--lora", adapter.string()}, "hello\n");
  ASSERT_EQ(other.code, 0) << other.err;
  EXPECT_NE(other.out, vector.out);

  expectFailure({"run", model.string(), "hello", "--lora", (folder_ / "none.gguf").string()}, 1, "none.gguf");
  expectFailure({"run", model.string(), "hello", "--lora", model.string()}, 1, "is no adapter");
  expectFailure({"run", model.string(), "hello", "--lora", ":0.5"}, 1, "FILE:SCALE");
  expectFailure({"run", adapter.string(), "hello"}, 1, "is a LoRA adapter and no model");
}

TEST_F(CommandLine, WithoutADisplayTheChatIsInTheTerminal) {
  const Outcome outcome = quern({}, "hello\n");
  EXPECT_EQ(outcome.code, 1);  // the starter model is not installed here
  EXPECT_NE(outcome.err.find("here in the terminal"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("\"smollm2\""), std::string::npos) << outcome.err;
}

TEST_F(CommandLine, ADisplayThatDoesNotAnswerIsNone) {
  const test::Environment display("DISPLAY", ":987");
  const Outcome outcome = quern({}, "hello\n");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("here in the terminal"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace quern
