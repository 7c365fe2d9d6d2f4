// all-MiniLM-L6-v2 as it is published (packaging/fetch-test-data.sh), beside what llama.cpp's converter makes
// of it.

#include <gtest/gtest.h>

#include "engine/convert/convert.h"
#include "engine/gguf/file.h"
#include "engine/tokenizer/tokenizer.h"
#include "tests/convert/craft.h"
#include "tests/convert/expected.h"
#include "tests/support/folder.h"

namespace quern::engine::convert {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

TEST(MiniLm, BecomesWhatLlamaCppMakesOfIt) {
  const fs::path folder = fs::path(QUERN_TEST_DATA) / "minilm";
  if (!fs::exists(folder / "model.safetensors")) {
    GTEST_SKIP() << folder << " is not here: run packaging/fetch-test-data.sh";
  }
  const test::Folder out;
  ConvertOptions options;
  options.type = OutputType::kF16;
  const auto report = convertFolder(folder, out / "minilm.gguf", options);
  ASSERT_TRUE(report) << report.error().describe();
  EXPECT_EQ(report->parameters, 22565376U);
  const auto file = *gguf::File::open(out / "minilm.gguf");
  json expected =
      json::parse(testing_craft::read(fs::path(QUERN_SOURCE_DIR) / "tests/data/convert-minilm.json"));
  // Readers ask for it with byte-pair vocabularies only; llama.cpp names it after another model.
  expected["keys"].erase("tokenizer.ggml.pre");
  testing_expected::expectFile(*file, expected);

  const auto tokenizer = *tokenizer::Tokenizer::fromGguf(*file);
  const fs::path data = fs::path(QUERN_SOURCE_DIR) / "tests/data";
  const json texts = json::parse(testing_craft::read(data / "convert-tokenizers/texts.json"));
  const json ids = json::parse(testing_craft::read(data / "convert-minilm-ids.json"));
  for (std::size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(json(tokenizer->encode(texts[i].get<std::string>(), {.addSpecial = true})), ids["added"][i])
        << texts[i];
  }
}

}  // namespace
}  // namespace quern::engine::convert
