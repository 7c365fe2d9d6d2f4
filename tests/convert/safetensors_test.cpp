#include "engine/convert/safetensors.h"

#include <gtest/gtest.h>

#include "engine/convert/checkpoint.h"
#include "tests/convert/craft.h"
#include "tests/support/folder.h"

namespace quern::engine::convert {
namespace {

using testing_craft::floatTensors;
using testing_craft::safetensors;
using testing_craft::write;

base::Result<std::shared_ptr<const SafetensorsFile>> open(const std::string& bytes) {
  return SafetensorsFile::fromMemory(std::as_bytes(std::span(bytes)), "x.safetensors");
}

std::string entry(const std::string& name, const std::string& type, const std::string& shape, int begin,
                  int end) {
  return "\"" + name + "\":{\"dtype\":\"" + type + "\",\"shape\":" + shape + ",\"data_offsets\":[" +
         std::to_string(begin) + "," + std::to_string(end) + "]}";
}

void expectRefused(const std::string& header, const std::string& data, const std::string& why,
                   base::ErrorCode code = base::ErrorCode::kMalformed) {
  const auto file = open(safetensors(header, data));
  ASSERT_FALSE(file) << header;
  EXPECT_EQ(file.error().code(), code) << file.error().message();
  EXPECT_NE(file.error().message().find(why), std::string::npos) << file.error().message();
}

TEST(Safetensors, HasItsTensorsInTheOrderOfTheirBytes) {
  const std::string bytes =
      safetensors("{\"__metadata__\":{\"format\":\"pt\"}," + entry("b", "F16", "[2,3]", 4, 16) + "," +
                      entry("a", "F32", "[]", 0, 4) + "," + entry("empty", "I64", "[0,5]", 16, 16) + "}  ",
                  std::string(16, 'x'));
  const auto file = open(bytes);
  ASSERT_TRUE(file) << file.error().message();
  const auto& tensors = (*file)->tensors();
  ASSERT_EQ(tensors.size(), 3U);
  EXPECT_EQ(tensors[0].name, "a");
  EXPECT_EQ(tensors[0].elements(), 1U);
  EXPECT_EQ(tensors[1].name, "b");
  EXPECT_EQ(tensors[1].data.size(), 12U);
  EXPECT_EQ(tensors[1].shape, (std::vector<std::uint64_t>{2, 3}));
  EXPECT_EQ(tensors[2].elements(), 0U);
}

TEST(Safetensors, RefusesTensorsThatOverlapOrLeaveGaps) {
  expectRefused("{" + entry("a", "U8", "[4]", 0, 4) + "," + entry("b", "U8", "[4]", 2, 6) + "}", "123456",
                "overlap");
  expectRefused("{" + entry("a", "U8", "[4]", 0, 4) + "," + entry("b", "U8", "[4]", 6, 10) + "}",
                "1234567890", "gap");
  expectRefused("{" + entry("a", "U8", "[4]", 1, 5) + "}", "12345", "gap");
  expectRefused("{" + entry("a", "U8", "[4]", 0, 4) + "}", "12345", "behind its last");
}

TEST(Safetensors, RefusesOffsetsAndShapesThatDisagree) {
  expectRefused("{" + entry("a", "F32", "[2]", 0, 4) + "}", "1234", "its shape needs 8");
  expectRefused("{" + entry("a", "U8", "[8]", 0, 8) + "}", "1234", "past the file");
  expectRefused("{" + entry("a", "U8", "[4]", 4, 0) + "}", "1234", "past the file");
  expectRefused("{" + entry("a", "U8", "[4294967296,4294967296,2]", 0, 4) + "}", "1234", "64 bits");
  expectRefused("{" + entry("a", "U8", "[-4]", 0, 4) + "}", "1234", "list of counts");
  expectRefused("{" + entry("a", "U8", "[1,1,1,1,1,1,1,1,4]", 0, 4) + "}", "1234", "shape");
  expectRefused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0]}}", "1234", "data_offsets");
  expectRefused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4.0]}}", "1234", "data_offsets");
  expectRefused("{\"a\":3}", "", "description");
}

TEST(Safetensors, RefusesNamesThatStandTwice) {
  expectRefused("{" + entry("a", "U8", "[2]", 0, 2) + "," + entry("a", "U8", "[2]", 2, 4) + "}", "1234",
                "twice");
}

TEST(Safetensors, RefusesHeadersThatLie) {
  EXPECT_FALSE(open(""));
  EXPECT_FALSE(open("1234567"));
  std::string huge(8, '\xFF');
  EXPECT_EQ(open(huge).error().code(), base::ErrorCode::kMalformed);
  std::string beyond = safetensors("{}", "");
  beyond[0] = 100;
  EXPECT_NE(open(beyond).error().message().find("within its header"), std::string::npos);
  expectRefused("[1]", "", "no JSON object");
  expectRefused("{", "", "not JSON");
  expectRefused(std::string(100000, '['), "", "nested");
  expectRefused("{" + entry("a", "Q4", "[2]", 0, 2) + "}", "12", "Q4", base::ErrorCode::kUnsupported);
}

TEST(Checkpoint, ReadsShardsAsTheIndexSays) {
  const test::Folder folder;
  write(folder / "one.safetensors", floatTensors({{"model.norm.weight", {4}}}));
  write(folder / "two.safetensors",
        floatTensors({{"bert.x.gamma", {2}}, {"language_model.model.y.bias", {2}}}));
  write(folder / "model.safetensors.index.json",
        R"({"weight_map": {"model.norm.weight": "one.safetensors", "bert.x.gamma": "two.safetensors",
            "language_model.model.y.bias": "two.safetensors"}})");
  const auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(checkpoint) << checkpoint.error().message();
  for (const char* name : {"norm.weight", "x.weight", "y.bias"})
    EXPECT_NE(checkpoint->find(name), nullptr) << name;
  EXPECT_EQ(checkpoint->sizeBytes(), 32U);
}

TEST(Checkpoint, RefusesIndexesThatLie) {
  const test::Folder folder;
  const auto refused = [&](const std::string& index) {
    write(folder / "model.safetensors.index.json", index);
    const auto checkpoint = Checkpoint::open(folder.path());
    return checkpoint ? std::string() : checkpoint.error().message();
  };
  write(folder / "one.safetensors", floatTensors({{"a", {1}}}));
  write(folder / "two.safetensors", floatTensors({{"model.a", {1}}}));
  EXPECT_NE(refused(R"({"weight_map": {"a": "../one.safetensors"}})").find("outside"), std::string::npos);
  EXPECT_NE(refused(R"({"weight_map": {"a": "/etc/passwd"}})").find("outside"), std::string::npos);
  EXPECT_NE(refused(R"({"weight_map": {"b": "one.safetensors"}})").find("where the index says"),
            std::string::npos);
  EXPECT_NE(refused(R"({"weight_map": {"a": "one.safetensors", "x": "two.safetensors"}})").find("twice"),
            std::string::npos);
  EXPECT_NE(refused(R"({"weight_map": {"a": "three.safetensors"}})").find("no file"), std::string::npos);
  EXPECT_NE(refused(R"([])").find("weight_map"), std::string::npos);
}

TEST(Checkpoint, SaysWhereTheWeightsAreWhenTheyAreNotSafetensors) {
  const test::Folder folder;
  EXPECT_EQ(Checkpoint::open(folder.path()).error().code(), base::ErrorCode::kNotFound);
  write(folder / "pytorch_model.bin", "x");
  EXPECT_NE(Checkpoint::open(folder.path()).error().message().find("pytorch_model.bin"), std::string::npos);
}

}  // namespace
}  // namespace quern::engine::convert
