// From safetensors to logits: tiny models converted by Quern and run by Quern, beside transformers in float32
// (tests/conformance/make_convert_cases.py).

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

const fs::path kFolder = fs::path(QUERN_SOURCE_DIR) / "tests/data/convert";

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

class Logits : public testing::TestWithParam<std::string> {};

TEST_P(Logits, AreThoseOfTransformers) {
  test::Folder folder;
  for (const auto& entry : fs::directory_iterator(kFolder / GetParam())) {
    fs::copy_file(entry.path(), folder.path() / entry.path().filename());
  }
  testing_craft::write(folder / "vocab.txt", testing_craft::kVocabTxt);
  ConvertOptions options;
  options.type = OutputType::kF32;
  const auto report = convertFolder(folder.path(), folder / "out.gguf", options);
  ASSERT_TRUE(report) << report.error().describe();
  const auto known = model::supportedArchitectures();
  if (std::find(known.begin(), known.end(), report->architecture) == known.end()) {
    GTEST_SKIP() << "Quern does not run " << report->architecture << " yet";
  }
  const auto file = *gguf::File::open(folder / "out.gguf");
  const auto program = model::buildProgram(*file);
  ASSERT_TRUE(program) << program.error().describe();

  const json expected = json::parse(testing_craft::read(kFolder / GetParam() / "logits.json"));
  const auto tokens = expected["tokens"].get<std::vector<std::int32_t>>();
  const auto logits = expected["logits"].get<std::vector<std::vector<double>>>();
  runtime::CompileOptions compile;
  compile.kvTokens = 32;
  compile.kvType = runtime::KvCacheType::kF32;
  compile.contextTokens = 16;  // LongRoPE: as long as the original context, and the texts are shorter
  compile.threads = 1;
  compile.kernels = "generic";
  const auto executable = *runtime::makeCpuBackend()->compile(file, *program, compile, {});
  const std::uint32_t blocks[] = {0};
  const runtime::Slice whole{tokens, 0, blocks, static_cast<std::int32_t>(tokens.size())};
  ASSERT_TRUE(executable->run({std::span(&whole, 1)}));
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    EXPECT_GE(cosine(executable->logits(static_cast<std::int32_t>(i)), logits[i]), 0.9999)
        << "position " << i;
  }
}

std::vector<std::string> names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kFolder)) {
    if (fs::exists(entry.path() / "logits.json")) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, Logits, testing::ValuesIn(names()), [](const auto& test) {
  std::string name = test.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace quern::engine::convert
