// The classifier of a reranker beside transformers'.

#include "engine/model/classifier.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/gguf/file.h"
#include "engine/model/architecture.h"
#include "engine/model/program.h"
#include "engine/runtime/backend.h"

namespace quern::engine::model {
namespace {

const std::filesystem::path kFolder = std::filesystem::path(QUERN_SOURCE_DIR) / "tests/data/model";

TEST(Classifier, GivesTheScoresOfTransformers) {
  const auto file = *gguf::File::open(kFolder / "xlm-roberta-rank.gguf");
  std::ifstream stream(kFolder / "xlm-roberta-rank.json");
  const auto data = nlohmann::json::parse(stream);
  const auto tokens = data["tokens"].get<std::vector<std::int32_t>>();
  const auto expected = data["scores"].get<std::vector<double>>();
  const auto program = *buildProgram(*file);
  const auto classifier = *Classifier::read(*file, program.width);
  ASSERT_TRUE(classifier.has_value());
  ASSERT_EQ(classifier->labels(), 2);

  runtime::CompileOptions options;
  options.kvTokens = 32;
  options.kvType = runtime::KvCacheType::kF32;
  options.threads = 1;
  options.hiddenRows = static_cast<std::int32_t>(tokens.size());
  const auto executable = *runtime::makeCpuBackend()->compile(file, program, options, {});
  const std::uint32_t blocks[] = {0};
  const runtime::Slice slice{tokens, 0, blocks, 0, true, options.hiddenRows};
  ASSERT_TRUE(executable->run({std::span(&slice, 1)}));
  const auto scores = classifier->scores(executable->hidden(0));
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(scores[i], expected[i], 1e-4);
}

TEST(Classifier, IsNoneWhereAFileHasNone) {
  const auto file = *gguf::File::open(kFolder / "bert.gguf");
  const auto classifier = Classifier::read(*file, 32);
  ASSERT_TRUE(classifier);
  EXPECT_FALSE(classifier->has_value());
}

TEST(Classifier, RefusesAMatrixThatDoesNotFitTheEncoder) {
  const auto file = *gguf::File::open(kFolder / "xlm-roberta-rank.gguf");
  const auto classifier = Classifier::read(*file, 33);
  ASSERT_FALSE(classifier);
  EXPECT_EQ(classifier.error().code(), base::ErrorCode::kMalformed);
  EXPECT_NE(classifier.error().message().find("cls.weight"), std::string::npos);
}

}  // namespace
}  // namespace quern::engine::model
