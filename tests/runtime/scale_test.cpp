// Factors of a program's operations, in the paths for prompts and for decoding, with weights of 4 bits.

#include <variant>

#include "engine/model/program.h"
#include "tests/bench/synthetic/model.h"
#include "tests/runtime/loaded_model.h"
#include "tests/support/folder.h"

namespace quern::engine::runtime {
namespace {

constexpr std::int32_t kTokens = 30;

CompileOptions sized() {
  CompileOptions options;
  options.kvTokens = 64;
  options.batchTokens = kTokens;
  options.logitRows = kTokens;
  options.threads = 2;
  options.kvType = KvCacheType::kF32;
  return options;
}

std::vector<Row> logitsOf(const std::shared_ptr<const gguf::File>& file, const model::Program& program,
                          bool isPrompt) {
  const auto executable = *makeCpuBackend()->compile(file, program, sized(), {});
  const auto tokens = someTokens(kTokens, program.vocabulary);
  const auto table = blocks(0, 1);
  const Slice slice{tokens, 0, table, kTokens, isPrompt};
  EXPECT_TRUE(executable->run({std::span(&slice, 1)}));
  std::vector<Row> rows;
  for (std::int32_t i = 0; i < kTokens; ++i) {
    const auto logits = executable->logits(i);
    rows.emplace_back(logits.begin(), logits.end());
  }
  return rows;
}

/// Norms do not know how long what they norm was, and halves are exact: where embeddings and all that joins
/// them are halved, nothing changes to the last bit.
TEST(Scale, HalvingTheResidualStreamChangesNothing) {
  const test::Folder folder;
  const auto path = folder / "m.gguf";
  ASSERT_TRUE(bench::writeModel(path, bench::findPreset("tiny")->shape, bench::Mix::kQ4_0, 1));
  const std::shared_ptr<const gguf::File> file = *gguf::File::open(path);
  model::Program program = *model::buildProgram(*file);
  for (auto* operations : {&program.body, &program.head}) {
    for (model::Operation& operation : *operations) {
      if (auto* norm = std::get_if<model::Norm>(&operation)) norm->epsilon = 0;
    }
  }
  model::Program halved = program;
  int scaled = 0;
  for (model::Operation& operation : halved.body) {
    if (auto* embed = std::get_if<model::Embed>(&operation)) embed->scale *= 0.5F;
    auto* project = std::get_if<model::Project>(&operation);
    if (project == nullptr || project->outputs.front().out != model::Buffer::kResidual) continue;
    project->scale = 0.5F;
    ++scaled;
  }
  ASSERT_EQ(scaled, 2 * program.layers);
  for (const bool isPrompt : {false, true}) {
    EXPECT_EQ(logitsOf(file, halved, isPrompt), logitsOf(file, program, isPrompt)) << isPrompt;
  }
}

TEST(Scale, AFactorOfTheOutputMatrixIsOneOfTheLogits) {
  for (const std::string name : {"llama", "phi2"}) {  // phi2's logits have biases
    const std::shared_ptr<const gguf::File> file = *gguf::File::open(tinyModel(name));
    const model::Program program = *model::buildProgram(*file);
    model::Program quartered = program;
    std::get<model::Project>(quartered.head.back()).scale = 0.25F;
    auto expected = logitsOf(file, program, false);
    for (Row& row : expected) {
      for (float& logit : row) logit *= 0.25F;
    }
    EXPECT_EQ(logitsOf(file, quartered, false), expected) << name;
  }
}

}  // namespace
}  // namespace quern::engine::runtime
