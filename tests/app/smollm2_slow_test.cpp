// The verbs over the real SmolLM2, as a person and a script use them.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/environment.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"

namespace quern {
namespace {

using nlohmann::json;
using test::Outcome;

class SmolLm2 : public testing::Test {
 protected:
  void SetUp() override {
    const std::filesystem::path model =
        std::filesystem::path(QUERN_TEST_DATA) / "smollm2-135m-instruct-q4_1.gguf";
    if (!std::filesystem::exists(model))
      GTEST_SKIP() << model << " is missing: run packaging/fetch-test-data.sh";
    std::filesystem::create_directories(folder_ / "data/models");
    std::filesystem::create_symlink(model, folder_ / "data/models/smollm2.gguf");
  }
  Outcome quern(std::vector<std::string> arguments, std::string input = "") {
    return test::runProgram(QUERN_PROGRAM, std::move(arguments), std::move(input));
  }

  test::Folder folder_;
  test::Environment home_{"QUERN_HOME", folder_.path().c_str()};
  test::Environment display_{"DISPLAY", nullptr};
  test::Environment wayland_{"WAYLAND_DISPLAY", nullptr};
  test::Environment platform_{"QT_QPA_PLATFORM", nullptr};
};

TEST_F(SmolLm2, ShowsAndListsItself) {
  const Outcome show = quern({"show", "smollm2", "--json", "--tensors"});
  ASSERT_EQ(show.code, 0) << show.err;
  const auto document = json::parse(show.out);
  EXPECT_EQ(document["architecture"], "llama");
  EXPECT_EQ(document["quantization"], "Q4_1");
  EXPECT_EQ(document["layers"], 30);
  EXPECT_EQ(document["vocabulary"], 49152);
  EXPECT_EQ(document["chat_template"], true);
  EXPECT_EQ(document["tensors"].size(), 272U);
  EXPECT_EQ(document["metadata"]["llama.block_count"], 30);
  const Outcome text = quern({"show", "smollm2"});
  EXPECT_EQ(text.code, 0);
  EXPECT_NE(text.out.find("135 M"), std::string::npos) << text.out;
  const Outcome list = quern({"list"});
  EXPECT_NE(list.out.find("smollm2"), std::string::npos);
  EXPECT_NE(list.out.find("Q4_1"), std::string::npos);
}

TEST_F(SmolLm2, KnowsWhatGravityIs) {
  const Outcome outcome = quern({"run", "smollm2", "What is gravity?", "--temp", "0", "-n", "40", "--stats"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("physics"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.err.find("tok/s"), std::string::npos) << outcome.err;
}

TEST_F(SmolLm2, AnswersAsJson) {
  const Outcome outcome = quern(
      {"run", "smollm2", "-p", "The capital of France is", "--raw", "--temp", "0", "-n", "8", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto document = json::parse(outcome.out);
  EXPECT_NE(document["text"].get<std::string>().find("Paris"), std::string::npos) << outcome.out;
  EXPECT_EQ(document["tokens"].size(), 8U);
  EXPECT_EQ(document["finish_reason"], "max_tokens");
  EXPECT_GT(document["timings"]["tokens_per_second"].get<double>(), 0);
  EXPECT_GT(document["timings"]["first_token_ms"].get<double>(), 0);
}

TEST_F(SmolLm2, MustCallTheToolThatIsNamed) {
  const std::string tools = std::string(QUERN_SOURCE_DIR) + "/tests/data/answer/tools.json";
  const Outcome outcome = quern({"run", "smollm2", "What is the weather in Paris?", "--temp", "0", "-n",
                                 "120", "--tools", tools, "--tool-choice", "get_weather", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto answer = json::parse(outcome.out);
  ASSERT_EQ(answer["tool_calls"].size(), 1U) << outcome.out;
  const auto& function = answer["tool_calls"][0]["function"];
  EXPECT_EQ(function["name"], "get_weather");
  EXPECT_TRUE(json::parse(function["arguments"].get<std::string>())["city"].is_string());
}

TEST_F(SmolLm2, AnswersWithToolsAreTakenApart) {
  const std::string tools = std::string(QUERN_SOURCE_DIR) + "/tests/data/answer/tools.json";
  const Outcome outcome = quern({"run", "smollm2", "What is gravity?", "--temp", "0", "-n", "30", "--tools",
                                 tools, "--tool-choice", "none", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto answer = json::parse(outcome.out);
  EXPECT_TRUE(answer["tool_calls"].is_array() && answer["tool_calls"].empty());
  EXPECT_EQ(answer["reasoning"], "");
  EXPECT_FALSE(answer["text"].get<std::string>().empty());
  const Outcome offered =
      quern({"run", "smollm2", "Call now.", "--temp", "0", "-n", "30", "--tools", tools, "--json"});
  ASSERT_EQ(offered.code, 0) << offered.err;
  EXPECT_GT(json::parse(offered.out)["usage"]["prompt_tokens"], answer["usage"]["prompt_tokens"]);
}

TEST_F(SmolLm2, HoldsAnswersToAForm) {
  const Outcome regex = quern({"run", "smollm2", "When was the moon landing?", "--temp", "1.5", "--seed", "3",
                               "--regex", "(19|20)\\d\\d-[01]\\d", "--json"});
  ASSERT_EQ(regex.code, 0) << regex.err;
  const auto date = json::parse(regex.out);
  EXPECT_EQ(date["text"].get<std::string>().size(), 7U) << regex.out;
  EXPECT_EQ(date["text"].get<std::string>()[4], '-') << regex.out;
  EXPECT_EQ(date["finish_reason"], "end_of_turn");
  const Outcome grammar = quern({"run", "smollm2", "Is water wet?", "--temp", "1.5", "--seed", "3",
                                 "--grammar", "root ::= \"yes\" | \"no\""});
  ASSERT_EQ(grammar.code, 0) << grammar.err;
  EXPECT_TRUE(grammar.out == "yes\n" || grammar.out == "no\n") << grammar.out;

  const Outcome schema =
      quern({"run", "smollm2", "Is water wet?", "--temp", "1.5", "--seed", "3", "--json-schema",
             R"({"type": "object", "properties": {"wet": {"type": "boolean"}}, "required": ["wet"],
                                    "additionalProperties": false})"});
  ASSERT_EQ(schema.code, 0) << schema.err;
  EXPECT_TRUE(json::parse(schema.out).at("wet").is_boolean()) << schema.out;
  const Outcome cut = quern({"run", "smollm2", "Count", "-n", "5", "--regex", "[0-9 ]{200}", "--json"});
  ASSERT_EQ(cut.code, 0) << cut.err;
  EXPECT_EQ(json::parse(cut.out)["finish_reason"], "max_tokens");
}

TEST_F(SmolLm2, TheSameSeedIsTheSameAnswer) {
  const std::vector<std::string> arguments = {"run", "smollm2", "Tell me a story", "--seed", "7",
                                              "-n",  "24",      "--json"};
  const auto first = json::parse(quern(arguments).out);
  const auto second = json::parse(quern(arguments).out);
  EXPECT_EQ(first["tokens"], second["tokens"]);
  EXPECT_EQ(first["tokens"].size(), 24U);
}

TEST_F(SmolLm2, GuessingAheadChangesNothingButTheTime) {
  const auto ask = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"run", "smollm2", "Count: one, two, three, one, two, three, one,",
                                          "-n",  "60",      "--seed",
                                          "7",   "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = quern(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return json::parse(outcome.out);
  };
  const auto plain = ask({"--no-guess"});
  EXPECT_EQ(plain["usage"]["drafted_tokens"], 0);
  EXPECT_EQ(plain["usage"]["cache"], "nothing like it is known");
  EXPECT_EQ(ask({})["tokens"], plain["tokens"]);
  const auto drafted = ask({"--draft", "smollm2"});
  EXPECT_EQ(drafted["tokens"], plain["tokens"]);
  const Outcome both = quern({"run", "smollm2", "Hi", "--no-guess", "--draft", "smollm2"});
  EXPECT_EQ(both.code, 2);
  EXPECT_NE(both.err.find("exclude"), std::string::npos) << both.err;
  EXPECT_EQ(quern({"run", "smollm2", "Hi", "--draft", "nosuchmodel"}).code, 1);
}

TEST_F(SmolLm2, StopsBeforeAStopText) {
  const Outcome outcome = quern({"run", "smollm2", "-p", "1, 2, 3, 4, 5,", "--raw", "--temp", "0", "-n", "40",
                                 "--stop", "9", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto document = json::parse(outcome.out);
  EXPECT_EQ(document["finish_reason"], "stop_string");
  EXPECT_EQ(document["text"].get<std::string>().find('9'), std::string::npos) << outcome.out;
}

TEST_F(SmolLm2, AnswersPipedQuestionsInOneConversation) {
  const Outcome outcome = quern({"run", "smollm2", "--temp", "0", "-n", "32", "--json"},
                                "What is gravity?\n\nSay that again.\r\n");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  std::istringstream lines(outcome.out);
  std::string line;
  std::vector<json> answers;
  while (std::getline(lines, line)) answers.push_back(json::parse(line));
  ASSERT_EQ(answers.size(), 2U) << outcome.out;
  // The second prompt holds the first question and its answer, most of it still in the cache.
  const auto usage = [&](std::size_t answer, const char* key) {
    return answers[answer]["usage"][key].get<int>();
  };
  EXPECT_GT(usage(1U, "prompt_tokens"), usage(0U, "prompt_tokens") + usage(0U, "completion_tokens"));
  EXPECT_GE(usage(1U, "cached_tokens"), 32);
  EXPECT_FALSE(answers[1]["text"].get<std::string>().empty());
}

TEST_F(SmolLm2, WithoutADisplayPipedQuestionsAreAnswered) {
  const Outcome outcome = quern({}, "What is gravity?\n");
  // Once in a hundred times so small a model repeats itself to the end of its context and is still at it when
  // its time is up; only the answer is asked for here.
  ASSERT_TRUE(outcome.code == 0 || outcome.out.size() > 4096) << outcome.code << " " << outcome.err;
  EXPECT_NE(outcome.err.find("here in the terminal"), std::string::npos);
  EXPECT_FALSE(outcome.out.empty());
}

TEST_F(SmolLm2, AQuestionThatIsTooLongFailsAloneAndSaysBothNumbers) {
  std::string longLine;
  for (int i = 0; i < 400; ++i) longLine += "many words ";
  const Outcome outcome =
      quern({"run", "smollm2", "--temp", "0", "-n", "8", "--ctx", "256"}, longLine + "\nHello!\n");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("256"), std::string::npos) << outcome.err;
  EXPECT_FALSE(outcome.out.empty());  // the second question was answered
}

TEST_F(SmolLm2, CtrlCStopsAnAnswer) {
  test::Program program(QUERN_PROGRAM,
                        {"run", "smollm2", "-p", "Once upon a time", "--raw", "--temp", "0.9", "-n", "4000"});
  ASSERT_TRUE(program.waitForOutput(" ", std::chrono::seconds(60)));
  program.signal(SIGINT);
  const auto began = std::chrono::steady_clock::now();
  const Outcome outcome = program.finish();
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
  EXPECT_EQ(outcome.code, 1) << outcome.err;  // it ended by itself, not by the signal
}

TEST_F(SmolLm2, BenchSpeaksTheContractsJson) {
  const Outcome outcome =
      quern({"bench", "-m", "smollm2", "-p", "64", "-n", "8", "-b", "1,4", "-d", "32", "-r", "2", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto document = json::parse(outcome.out);
  EXPECT_EQ(document["model"], "smollm2");
  EXPECT_GE(document["threads"].get<int>(), 1);
  EXPECT_GT(document["limits"]["read_gb_s"].get<double>(), 0);
  EXPECT_GT(document["limits"]["int8_gmac_s"].get<double>(), 0);
  const auto& results = document["results"];
  ASSERT_EQ(results.size(), 3U);
  EXPECT_EQ(results[0]["name"], "prefill");
  EXPECT_EQ(results[1]["name"], "decode");
  EXPECT_EQ(results[2]["batch"], 4);
  for (const auto& result : results) {
    EXPECT_EQ(result["depth"], 32);
    const auto& rate = result["tokens_per_second"];
    EXPECT_GT(rate["min"].get<double>(), 0);
    EXPECT_LE(rate["min"], rate["median"]);
    EXPECT_LE(rate["median"], rate["max"]);
    EXPECT_GT(result["limit_share"].get<double>(), 0);
    // Small as it is, the model may stay in a large cache: beyond 1, but not beyond all measure.
    EXPECT_LT(result["limit_share"].get<double>(), 20) << result;
  }
}

TEST_F(SmolLm2, PerplexityOfATextIsThatOfATextAndOfNoiseIsHigh) {
  std::ofstream text(folder_ / "text.txt");
  for (int i = 0; i < 40; ++i) text << "The quick brown fox jumps over the lazy dog. ";
  text.close();
  const Outcome outcome =
      quern({"perplexity", "-m", "smollm2", "-f", (folder_ / "text.txt").string(), "--ctx", "128", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto document = json::parse(outcome.out);
  EXPECT_EQ(document["scored_tokens"].get<int>(), document["windows"].get<int>() * 63);
  EXPECT_GT(document["perplexity"].get<double>(), 1);
  EXPECT_LT(document["perplexity"].get<double>(), 2) << "a text that repeats itself is easy";
  const Outcome shortText =
      quern({"perplexity", "-m", "smollm2", "-f", (folder_ / "text.txt").string(), "--ctx", "4096"});
  EXPECT_EQ(shortText.code, 1);
  EXPECT_NE(shortText.err.find("at least two windows"), std::string::npos) << shortText.err;
}

TEST_F(SmolLm2, ABaseIsWrittenOnceAndThenComparedWith) {
  std::ofstream text(folder_ / "text.txt");
  for (int i = 0; i < 30; ++i)
    text << "A quern is the hand mill that ground grain at home, number " << i * i << ". ";
  text.close();
  const std::vector<std::string> arguments = {"perplexity",
                                              "-m",
                                              "smollm2",
                                              "-f",
                                              (folder_ / "text.txt").string(),
                                              "--ctx",
                                              "64",
                                              "--kl-base",
                                              (folder_ / "base").string(),
                                              "--json"};
  const Outcome written = quern(arguments);
  ASSERT_EQ(written.code, 0) << written.err;
  EXPECT_FALSE(json::parse(written.out).contains("kl_divergence"));
  const Outcome compared = quern(arguments);
  ASSERT_EQ(compared.code, 0) << compared.err;
  const auto divergence = json::parse(compared.out)["kl_divergence"];
  EXPECT_NEAR(divergence["mean_nats"].get<double>(), 0, 1e-4);
  EXPECT_GT(divergence["same_top_share"].get<double>(), 0.98);
  EXPECT_NEAR(
      divergence["base_perplexity"].get<double>() / json::parse(compared.out)["perplexity"].get<double>(), 1,
      1e-3);
  std::ofstream(folder_ / "text.txt", std::ios::trunc) << std::string(4000, 'x');
  const Outcome other = quern(arguments);
  EXPECT_EQ(other.code, 1);
  EXPECT_NE(other.err.find("another text"), std::string::npos) << other.err;
}

}  // namespace
}  // namespace quern
