#include "engine/hub/library.h"

#include <gtest/gtest.h>

#include <fstream>

#include "engine/base/places.h"
#include "tests/support/environment.h"
#include "tests/support/folder.h"

namespace quern::engine::hub {
namespace {

class Library : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(base::modelsFolder()); }

  std::filesystem::path put(const std::filesystem::path& path, const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  std::filesystem::path install(const std::string& name, const std::string& content = "GGUF and more") {
    return put(base::modelsFolder() / name, content);
  }

  test::Folder folder_;
  test::Environment home_{"QUERN_HOME", folder_.path().c_str()};
};

TEST_F(Library, AMissingFolderIsAnEmptyList) {
  std::filesystem::remove_all(base::modelsFolder());
  const auto models = installedModels();
  ASSERT_TRUE(models);
  EXPECT_TRUE(models->empty());
}

TEST_F(Library, ListsByMagicAndSortsByName) {
  install("zeta.gguf");
  install("alpha");  // a kind is told by content, not by name
  install("liar.gguf", "PK\3\4");
  install("short.gguf", "GG");
  std::filesystem::create_directory(base::modelsFolder() / "folder.gguf");
  const auto models = installedModels();
  ASSERT_TRUE(models);
  ASSERT_EQ(models->size(), 2U);
  EXPECT_EQ((*models)[0].name, "alpha");
  EXPECT_EQ((*models)[1].name, "zeta");
  EXPECT_EQ((*models)[1].sizeBytes, 13U);
  EXPECT_GT((*models)[1].modifiedMs, 1'600'000'000'000);
}

TEST_F(Library, ASplitModelStandsOnceUnderItsFirstPart) {
  install("big-00002-of-00003.gguf");
  const auto first = install("big-00001-of-00003.gguf");
  install("big-00003-of-00003.gguf");
  install("name-1-of-3.gguf");  // not how parts are named
  const auto models = installedModels();
  ASSERT_TRUE(models);
  ASSERT_EQ(models->size(), 2U);
  EXPECT_EQ((*models)[0].name, "big");
  EXPECT_EQ((*models)[0].path, first);
  EXPECT_EQ((*models)[0].sizeBytes, 39U);
}

TEST_F(Library, ResolvesNamesBeforePaths) {
  const auto installed = install("smollm2.gguf");
  const auto lying = put(folder_ / "side.gguf", "GGUF here");
  EXPECT_EQ(*resolveModel("smollm2"), installed);
  EXPECT_EQ(*resolveModel(lying.string()), lying);
}

TEST_F(Library, SaysWhatIsInstalledWhenNothingFits) {
  const auto none = resolveModel("smollm2");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), base::ErrorCode::kNotFound);
  EXPECT_NE(none.error().message().find("No models are installed"), std::string::npos);
  install("alpha.gguf");
  install("beta.gguf");
  const auto other = resolveModel("gamma\x1b");
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().message().find("Installed: alpha, beta."), std::string::npos);
  EXPECT_EQ(other.error().message().find('\x1b'), std::string::npos);
}

TEST_F(Library, RefusesAFileThatIsNoModel) {
  const auto text = put(folder_ / "notes.gguf", "dear diary");
  const auto refused = resolveModel(text.string());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), base::ErrorCode::kMalformed);
}

}  // namespace
}  // namespace quern::engine::hub
