// From PEFT's adapters to logits: tiny models and their adapters, converted and run by Quern, beside
// transformers with the adapters merged in float32 (tests/conformance/make_lora_cases.py).

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/convert/convert.h"
#include "engine/gguf/file.h"
#include "engine/model/architecture.h"
#include "engine/model/program.h"
#include "engine/runtime/backend.h"
#include "tests/convert/craft.h"
#include "tests/support/folder.h"

namespace quern::engine::convert {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const fs::path kModels = fs::path(QUERN_SOURCE_DIR) / "tests/data/convert";
const fs::path kAdapters = fs::path(QUERN_SOURCE_DIR) / "tests/data/lora";

double cosine(std::span<const float> ours, const std::vector<double>& theirs) {
  double dot = 0;
  double a = 0;
  double b = 0;
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    dot += ours[i] * theirs[i];
    a += ours[i] * ours[i];
    b += theirs[i] * theirs[i];
  }
  return dot / std::sqrt(a * b);
}

class ConvertedAdapters : public testing::TestWithParam<std::string> {};

TEST_P(ConvertedAdapters, GiveTheLogitsOfTheMergedModel) {
  test::Folder folder;
  fs::create_directory(folder / "model");
  for (const auto& entry : fs::directory_iterator(kModels / GetParam())) {
    fs::copy_file(entry.path(), folder / "model" / entry.path().filename());
  }
  testing_craft::write(folder / "model" / "vocab.txt", testing_craft::kVocabTxt);
  ConvertOptions options;
  options.type = OutputType::kF32;
  const auto report = convertFolder(folder / "model", folder / "model.gguf", options);
  ASSERT_TRUE(report) << report.error().describe();
  options.base = folder / "model";
  const auto adapted = convertFolder(kAdapters / GetParam(), folder / "adapter.gguf", options);
  ASSERT_TRUE(adapted) << adapted.error().describe();

  const auto file = *gguf::File::open(folder / "model.gguf");
  const auto program = *model::buildProgram(*file);
  const json expected = json::parse(testing_craft::read(kAdapters / GetParam() / "logits.json"));
  const auto tokens = expected["tokens"].get<std::vector<std::int32_t>>();
  const auto logits = expected["logits"].get<std::vector<std::vector<double>>>();
  runtime::CompileOptions compile;
  compile.kvTokens = 32;
  compile.kvType = runtime::KvCacheType::kF32;
  compile.contextTokens = 16;
  compile.threads = 2;
  const auto executable = *runtime::makeCpuBackend()->compile(file, program, compile, {});
  const auto adapter = executable->compileAdapter(**gguf::File::open(folder / "adapter.gguf"));
  ASSERT_TRUE(adapter) << adapter.error().describe();
  ASSERT_TRUE(executable->makeRoomFor(**adapter));
  const runtime::AdapterUse uses[] = {{adapter->get(), 1.0F}};
  const std::uint32_t blocks[] = {0};
  const runtime::Slice whole{tokens, 0, blocks, static_cast<std::int32_t>(tokens.size()), true, 0, uses};
  ASSERT_TRUE(executable->run({std::span(&whole, 1)}));
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    EXPECT_GE(cosine(executable->logits(static_cast<std::int32_t>(i)), logits[i]), 0.9999)
        << "position " << i;
  }
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const runtime::Slice one{
        std::span(tokens).subspan(i, 1), static_cast<std::int32_t>(i), blocks, 1, false, 0, uses};
    ASSERT_TRUE(executable->run({std::span(&one, 1)}));
    EXPECT_GE(cosine(executable->logits(0), logits[i]), 0.9999) << "decoded " << i;
  }
}

std::vector<std::string> names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kAdapters))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Families, ConvertedAdapters, testing::ValuesIn(names()), [](const auto& test) {
  std::string name = test.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace quern::engine::convert
