// The two real models and the vocabulary files, where packaging/fetch-test-data.sh has put them.

#include <gtest/gtest.h>

#include <filesystem>

#include "engine/gguf/file.h"
#include "engine/gguf/writer.h"
#include "tests/gguf/craft.h"

namespace quern::engine::gguf {
namespace {

const std::filesystem::path kData = QUERN_TEST_DATA;

#define QUERN_NEEDS(path)             \
  if (!std::filesystem::exists(path)) \
  GTEST_SKIP() << (path) << " is missing: run packaging/fetch-test-data.sh"

TEST(GgufReal, OpensSmolLm2) {
  const auto path = kData / "smollm2-135m-instruct-q4_1.gguf";
  QUERN_NEEDS(path);
  const auto file = File::open(path);
  ASSERT_TRUE(file) << file.error().describe();
  EXPECT_EQ(*(*file)->stringAt("general.architecture"), "llama");
  EXPECT_EQ(*(*file)->unsignedAt("llama.block_count"), 30U);
  EXPECT_EQ((*file)->tensors().size(), 272U);
  const Tensor* tensor = (*file)->tensor("blk.0.attn_q.weight");
  ASSERT_NE(tensor, nullptr);
  EXPECT_EQ(tensor->type, kernels::DType::kQ4_1);
  EXPECT_EQ((*file)->find("tokenizer.ggml.tokens")->asStrings()->size(), 49152U);
}

TEST(GgufReal, OpensGemma3) {
  const auto path = kData / "gemma-3-270m-q4_k_m.gguf";
  QUERN_NEEDS(path);
  const auto file = File::open(path);
  ASSERT_TRUE(file) << file.error().describe();
  EXPECT_EQ(*(*file)->stringAt("general.architecture"), "gemma3");
  EXPECT_EQ((*file)->find("tokenizer.ggml.scores")->asFloats()->size(),
            (*file)->find("tokenizer.ggml.tokens")->asStrings()->size());
}

TEST(GgufReal, OpensEveryVocabularyFile) {
  QUERN_NEEDS(kData / "vocab");
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kData / "vocab")) {
    if (entry.path().extension() != ".gguf") continue;
    const auto file = File::open(entry.path());
    ASSERT_TRUE(file) << file.error().describe();
    EXPECT_TRUE((*file)->find("tokenizer.ggml.tokens")->asStrings());
    ++files;
  }
  EXPECT_GE(files, 10);
}

TEST(GgufReal, SmolLm2SplitAndReadAgainIsTheSameModel) {
  const auto path = kData / "smollm2-135m-instruct-q4_1.gguf";
  QUERN_NEEDS(path);
  const auto whole = File::open(path);
  ASSERT_TRUE(whole);
  Writer writer;
  for (const Entry& entry : (*whole)->metadata()) writer.copy(entry);
  for (const Tensor& tensor : (*whole)->tensors()) {
    writer.addTensor(tensor.name, tensor.type, tensor.dims, tensor.data);
  }
  const Folder folder;
  const auto paths = writer.write(folder / "smol.gguf", {.maxPartBytes = 30U << 20});
  ASSERT_TRUE(paths) << paths.error().describe();
  EXPECT_EQ(paths->size(), 4U);
  const auto again = File::open(paths->back());
  ASSERT_TRUE(again) << again.error().describe();
  ASSERT_EQ((*again)->tensors().size(), (*whole)->tensors().size());
  for (const Tensor& tensor : (*whole)->tensors()) {
    const Tensor* other = (*again)->tensor(tensor.name);
    ASSERT_NE(other, nullptr);
    EXPECT_EQ(other->dims, tensor.dims);
    EXPECT_TRUE(std::equal(tensor.data.begin(), tensor.data.end(), other->data.begin(), other->data.end()))
        << tensor.name;
  }
  EXPECT_EQ((*again)->metadata().size(), (*whole)->metadata().size() + 3);
}

TEST(GgufReal, FilesThatAreNoFilesAreRefused) {
  const Folder folder;
  EXPECT_EQ(File::open(folder / "absent.gguf").error().code(), base::ErrorCode::kNotFound);
  EXPECT_EQ(File::open(folder.path()).error().code(), base::ErrorCode::kInvalidArgument);
  EXPECT_EQ(File::open("/dev/zero").error().code(), base::ErrorCode::kInvalidArgument);
  writeAll(folder / "empty.gguf", {});
  EXPECT_EQ(File::open(folder / "empty.gguf").error().code(), base::ErrorCode::kMalformed);
  writeAll(folder / "magic", Craft().head(0, 0).bytes());
  EXPECT_TRUE(hasGgufMagic(folder / "magic"));
  EXPECT_FALSE(hasGgufMagic(folder / "empty.gguf"));
  EXPECT_FALSE(hasGgufMagic(folder.path()));
}

}  // namespace
}  // namespace quern::engine::gguf
