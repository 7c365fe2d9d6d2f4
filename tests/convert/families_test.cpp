// Tiny models of every family beside what llama.cpp's converter makes of them
// (tests/conformance/make_convert_cases.py).

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/convert/convert.h"
#include "engine/gguf/file.h"
#include "engine/model/architecture.h"
#include "engine/model/program.h"
#include "tests/convert/craft.h"
#include "tests/convert/expected.h"
#include "tests/support/folder.h"

namespace quern::engine::convert {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const fs::path kFolder = fs::path(QUERN_SOURCE_DIR) / "tests/data/convert";

class Families : public testing::TestWithParam<std::string> {};

TEST_P(Families, BecomeWhatLlamaCppMakesOfThem) {
  test::Folder folder;
  for (const auto& entry : fs::directory_iterator(kFolder / GetParam())) {
    fs::copy_file(entry.path(), folder.path() / entry.path().filename());
  }
  testing_craft::write(folder.path() / "vocab.txt", testing_craft::kVocabTxt);
  const json cases = json::parse(testing_craft::read(kFolder / GetParam() / "expected.json"));
  ASSERT_FALSE(cases.empty());
  for (const json& expected : cases) {
    ConvertOptions options;
    options.type = *parseOutputType(expected["type"].get<std::string>());
    const fs::path out = folder.path() / "out.gguf";
    const auto report = convertFolder(folder.path(), out, options);
    ASSERT_TRUE(report) << report.error().describe();
    const auto file = *gguf::File::open(out);

    testing_expected::expectFile(*file, expected);
    // Those that are run, too (logits_test.cpp), are shaped as the engine wants them.
    const auto known = model::supportedArchitectures();
    if (report->kind == "model" && fs::exists(kFolder / GetParam() / "logits.json") &&
        std::find(known.begin(), known.end(), report->architecture) != known.end()) {
      const auto program = model::buildProgram(*file);
      EXPECT_TRUE(program) << program.error().describe();
    }
  }
}

std::vector<std::string> names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kFolder)) {
    if (fs::exists(entry.path() / "expected.json")) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, Families, testing::ValuesIn(names()), [](const auto& test) {
  std::string name = test.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(Families, AreAllThere) { EXPECT_EQ(names().size(), 30U); }

}  // namespace
}  // namespace quern::engine::convert
