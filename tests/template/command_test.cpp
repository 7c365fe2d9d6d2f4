// quern template as a person calls it.

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include "app/cli/command.h"

namespace quern::app {
namespace {

struct Outcome {
  int code = 0;
  std::string out;
  std::string err;
};

std::string written(const std::string& name, const std::string& text) {
  const std::string path = (std::filesystem::path(testing::TempDir()) / name).string();
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

Outcome run(const std::string& arguments) {
  CLI::App cli("test", "quern");
  Action action;
  addTemplateCommand(cli, action);
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Outcome outcome;
  try {
    cli.parse("template " + arguments);
    outcome.code = action ? action() : kWrongUse;
  } catch (const CLI::ParseError&) {
    outcome.code = kWrongUse;
  }
  outcome.out = testing::internal::GetCapturedStdout();
  outcome.err = testing::internal::GetCapturedStderr();
  return outcome;
}

TEST(TemplateCommand, PrintsThePromptAndNothingElse) {
  const std::string file = written("quern_t.jinja",
                                   "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
                                   "{% if add_generation_prompt %}<assistant>{% endif %}{{ bos_token }}");
  const std::string list = written("quern_list.json", R"([{"role": "user", "content": "Grüße"}])");
  EXPECT_EQ(run("--file " + file + " --messages " + list).out, "<user>Grüße<assistant>");
  EXPECT_EQ(run("--file " + file + " --messages " + list + " --no-generation-prompt").out, "<user>Grüße");
  const std::string object = written("quern_object.json", R"({"messages": [], "bos_token": "<s>"})");
  EXPECT_EQ(run("--file " + file + " --messages " + object).out, "<assistant><s>");
}

TEST(TemplateCommand, FailsWithTheTemplatesOwnMessage) {
  const std::string file = written("quern_raise.jinja", "{{ raise_exception('roles must alternate') }}");
  const std::string list = written("quern_list.json", "[]");
  const Outcome outcome = run("--file " + file + " --messages " + list);
  EXPECT_EQ(outcome.code, kFailed);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, "quern: roles must alternate\n");
}

TEST(TemplateCommand, RefusesWrongUseAndBrokenFiles) {
  const std::string list = written("quern_list.json", "[]");
  EXPECT_EQ(run("--messages " + list).code, kWrongUse);
  EXPECT_EQ(run("--file /nowhere/t.jinja --messages " + list).code, kFailed);
  const std::string file = written("quern_plain.jinja", "x");
  for (const char* text : {"{", "3", ""}) {
    EXPECT_EQ(run("--file " + file + " --messages " + written("quern_bad.json", text)).code, kFailed) << text;
  }
  const std::string deep = written("quern_deep.json", std::string(100000, '['));
  EXPECT_EQ(run("--file " + file + " --messages " + deep).code, kFailed);
}

}  // namespace
}  // namespace quern::app
