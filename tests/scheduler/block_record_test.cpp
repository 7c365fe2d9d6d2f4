// A record serves only when every part of it is what it must be.

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "engine/gguf/file.h"
#include "engine/scheduler/block_file.h"
#include "engine/scheduler/model_hash.h"
#include "tests/bench/synthetic/model.h"
#include "tests/scheduler/saved_blocks.h"
#include "tests/support/folder.h"

namespace quern::engine::scheduler {
namespace {

TEST(BlockRecord, ComesBackAsItWas) {
  const auto identity = smallIdentity();
  const auto chain = chainOf(1, 2);
  const auto record = recordOf(identity, chain[1], contentsOf(2));
  ASSERT_EQ(record.size(), recordBytes(identity));
  const auto head = decodeRecord(identity, record);
  ASSERT_TRUE(head) << head.error().describe();
  EXPECT_EQ(*head, chain[1]);
}

TEST(BlockRecord, NoBitOfItMayChange) {
  const auto identity = smallIdentity();
  const auto record = recordOf(identity, headAfter({}, 1), contentsOf(1));
  for (std::size_t bit = 0; bit < record.size() * 8; ++bit) {
    auto changed = record;
    changed[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    ASSERT_FALSE(decodeRecord(identity, changed)) << bit;
  }
}

TEST(BlockRecord, IsOfOneModelOneTypeAndOneSize) {
  const auto identity = smallIdentity();
  const auto record = recordOf(identity, headAfter({}, 1), contentsOf(1));
  auto other = identity;
  other.model.low ^= 1;
  EXPECT_EQ(decodeRecord(other, record).error().code(), base::ErrorCode::kUnsupported);
  other = identity;
  other.kvType = runtime::KvCacheType::kF16;
  EXPECT_EQ(decodeRecord(other, record).error().code(), base::ErrorCode::kUnsupported);
  other = identity;
  other.blockBytes = 299;
  EXPECT_EQ(decodeRecord(other, record).error().code(), base::ErrorCode::kMalformed);
  for (std::size_t size = 0; size < record.size(); ++size) {
    ASSERT_FALSE(decodeRecord(identity, std::span(record).first(size))) << size;
  }
}

/// The checksum alone is easily made; the tokens must give the key.
TEST(BlockRecord, AKeyThatItsTokensDoNotGiveIsRefusedThoughTheChecksumIsRight) {
  const auto identity = smallIdentity();
  BlockHead head = headAfter({}, 1);
  head.tokens[7] += 1;
  EXPECT_FALSE(decodeRecord(identity, recordOf(identity, head, contentsOf(1))));
  head = headAfter({}, 1);
  head.promptTokens = 5;
  EXPECT_FALSE(decodeRecord(identity, recordOf(identity, head, contentsOf(1))));
  head = headAfter({}, 1);
  head.parent.low += 1;
  EXPECT_FALSE(decodeRecord(identity, recordOf(identity, head, contentsOf(1))));
}

class BlockFile : public testing::Test {
 protected:
  void write(const std::vector<BlockHead>& heads) {
    auto writer = BlockFileWriter::create(path_, identity_);
    ASSERT_TRUE(writer);
    for (std::uint32_t i = 0; i < heads.size(); ++i) ASSERT_TRUE(writer->append(heads[i], contentsOf(i)));
    ASSERT_TRUE(writer->finish());
  }
  /// How many blocks are read; each is as it was written.
  std::size_t read(const std::vector<BlockHead>& heads) {
    std::uint32_t at = 0;
    const auto count = readBlockFile(path_, identity_, [&](const BlockHead& head, auto contents) {
      const auto expected = contentsOf(at);
      EXPECT_EQ(head, heads.at(at++));
      EXPECT_TRUE(std::equal(contents.begin(), contents.end(), expected.begin(), expected.end()));
      return true;
    });
    EXPECT_TRUE(count);
    EXPECT_EQ(*count, at);
    return *count;
  }

  const test::Folder folder_;
  const std::filesystem::path path_ = folder_ / "chat.kvblocks";
  const CacheIdentity identity_ = smallIdentity();
};

TEST_F(BlockFile, IsReadFrontToBackAndIsNobodyElses) {
  const auto chain = chainOf(1, 5);
  write(chain);
  EXPECT_EQ(read(chain), 5U);
  struct stat facts {};
  ASSERT_EQ(::stat(path_.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600U);
  EXPECT_EQ(folder_.entries(), 1U);
}

TEST_F(BlockFile, WhenCutShortIsWorthItsWholeRecords) {
  const auto chain = chainOf(1, 4);
  write(chain);
  const std::uint64_t whole = recordBytes(identity_);
  for (const std::uint64_t size :
       {4 * whole - 1, 3 * whole, 3 * whole - 1, whole, whole - 1, std::uint64_t{0}}) {
    std::filesystem::resize_file(path_, size);
    EXPECT_EQ(read(chain), size / whole);
  }
}

TEST_F(BlockFile, EndsWhereARecordIsBrokenOrBelongsElsewhere) {
  auto chain = chainOf(1, 4);
  write(chain);
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(2 * recordBytes(identity_) + 250));
    file.put('?');
  }
  EXPECT_EQ(read(chain), 2U);
  chain[2] = chainOf(50, 3)[2];
  write(chain);
  EXPECT_EQ(read(chain), 2U);
}

TEST_F(BlockFile, ThatIsNotFinishedLeavesNothingAndKeepsTheOldOne) {
  const auto chain = chainOf(1, 2);
  write(chain);
  {
    auto writer = BlockFileWriter::create(path_, identity_);
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writer->append(headAfter({}, 9), contentsOf(9)));
  }
  EXPECT_EQ(folder_.entries(), 1U);
  EXPECT_EQ(read(chain), 2U);
}

TEST_F(BlockFile, ThatIsMissingOrNoFileIsAnError) {
  const auto never = [](const BlockHead&, std::span<const std::byte>) { return true; };
  EXPECT_EQ(readBlockFile(path_, identity_, never).error().code(), base::ErrorCode::kNotFound);
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_FALSE(readBlockFile(path_, identity_, never));
}

TEST(ModelHash, HangsOnWeightsMetadataAndArithmetic) {
  const test::Folder folder;
  const auto path = folder / "m.gguf";
  const auto& shape = bench::findPreset("tiny")->shape;
  ASSERT_TRUE(bench::writeModel(path, shape, bench::Mix::kQ4_0, 1));
  const auto hashOf = [&](const char* numerics) { return hashModel(**gguf::File::open(path), numerics); };
  const ModelHash first = hashOf("cpu 1");
  EXPECT_EQ(hashOf("cpu 1"), first);
  EXPECT_FALSE(hashOf("cpu 2") == first);
  // A copy under another name is the same model.
  std::filesystem::copy_file(path, folder / "copy.gguf");
  EXPECT_EQ(hashModel(**gguf::File::open(folder / "copy.gguf"), "cpu 1"), first);
  // Other weights in a file of the same size.
  const auto size = std::filesystem::file_size(path);
  ASSERT_TRUE(bench::writeModel(path, shape, bench::Mix::kQ4_0, 2));
  ASSERT_EQ(std::filesystem::file_size(path), size);
  EXPECT_FALSE(hashOf("cpu 1") == first);
  // The first and the last byte of each tensor count.
  ASSERT_TRUE(bench::writeModel(path, shape, bench::Mix::kQ4_0, 1));
  std::vector<std::streamoff> places;
  {
    std::ifstream file(path, std::ios::binary);
    const std::string all((std::istreambuf_iterator<char>(file)), {});
    const auto opened = *gguf::File::fromMemory(std::as_bytes(std::span(all)), "m");
    for (const gguf::Tensor& tensor : opened->tensors()) {
      const auto at = reinterpret_cast<const char*>(tensor.data.data()) - all.data();
      places.push_back(at);
      places.push_back(at + static_cast<std::streamoff>(tensor.data.size()) - 1);
    }
  }
  ASSERT_GT(places.size(), 10U);
  for (const std::streamoff place : places) {
    const auto flip = [&] {
      std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
      file.seekg(place);
      const int byte = file.get();
      file.seekp(place);
      file.put(static_cast<char>(byte ^ 1));
    };
    flip();
    EXPECT_FALSE(hashOf("cpu 1") == first) << place;
    flip();
  }
  EXPECT_EQ(hashOf("cpu 1"), first);
}

}  // namespace
}  // namespace quern::engine::scheduler
