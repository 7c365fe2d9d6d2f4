// Prefixes on disk: what was put comes back, also after a restart; what is broken or another's never does;
// the limit holds and ends of chains go first.

#include "engine/scheduler/prefix_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <random>

#include "tests/scheduler/saved_blocks.h"
#include "tests/support/folder.h"

namespace quern::engine::scheduler {
namespace {

namespace fs = std::filesystem;

class PrefixStoreTest : public testing::Test {
 protected:
  std::unique_ptr<PrefixStore> open(std::uint64_t records = 1000,
                                    const CacheIdentity& identity = smallIdentity()) {
    auto store = PrefixStore::open(path_, records * recordBytes(smallIdentity()), identity);
    EXPECT_TRUE(store) << (store ? "" : store.error().describe());
    return std::move(*store);
  }
  /// Puts a chain, of which block i has the contents first + i.
  static std::vector<BlockHead> put(PrefixStore& store, std::uint32_t first, std::size_t count) {
    const auto chain = chainOf(first, count);
    for (std::uint32_t i = 0; i < count; ++i) {
      EXPECT_TRUE(store.put(chain[i], contentsOf(first + i)));
      store.flush();
    }
    return chain;
  }
  static bool reads(PrefixStore& store, const BlockHead& head, std::uint32_t number) {
    std::vector<std::byte> contents(300, std::byte{0xEE});
    const auto read = store.read(head, contents);
    if (read) {
      EXPECT_EQ(contents, contentsOf(number));
    }
    return read.has_value();
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::recursive_directory_iterator(path_)) {
      if (entry.is_regular_file()) found.push_back(entry.path());
    }
    return found;
  }
  /// The only file of the folder, with `change` made to its bytes.
  void damage(const std::function<void(std::string&)>& change) const {
    ASSERT_EQ(files().size(), 1U);
    const fs::path path = files()[0];
    std::ifstream in(path, std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(in)), {});
    change(bytes);
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }

  const test::Folder folder_;
  const fs::path path_ = folder_ / "prefixes";
};

TEST_F(PrefixStoreTest, GivesBackWhatWasPutAlsoAfterARestart) {
  std::vector<BlockHead> chain;
  {
    const auto store = open();
    chain = put(*store, 1, 3);
    for (std::uint32_t i = 0; i < 3; ++i) {
      EXPECT_TRUE(store->contains(chain[i].key));
      EXPECT_TRUE(reads(*store, chain[i], 1 + i));
    }
    EXPECT_EQ(store->stats().written, 3);
    EXPECT_EQ(store->stats().read, 3);
  }
  const auto store = open();
  EXPECT_EQ(store->stats().blocks, 3);
  EXPECT_EQ(store->stats().bytes, 3 * recordBytes(smallIdentity()));
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_TRUE(reads(*store, chain[i], 1 + i));
  EXPECT_FALSE(store->contains(headAfter(chain[2].key, 9).key));
  EXPECT_FALSE(reads(*store, headAfter(chain[2].key, 9), 9));
  EXPECT_EQ(store->stats().rejected, 0);
}

TEST_F(PrefixStoreTest, WritesWhatIsQueuedBeforeItEnds) {
  const auto chain = chainOf(1, 10);
  {
    const auto store = open();
    for (std::uint32_t i = 0; i < 10; ++i) EXPECT_TRUE(store->put(chain[i], contentsOf(i)));
  }
  const auto store = open();
  for (std::uint32_t i = 0; i < 10; ++i) EXPECT_TRUE(reads(*store, chain[i], i));
}

TEST_F(PrefixStoreTest, IsNobodyElsesToRead) {
  fs::create_directory(path_);
  fs::permissions(path_, fs::perms::all);
  put(*open(), 1, 1);
  const auto modeOf = [](const fs::path& path) {
    struct stat facts {};
    EXPECT_EQ(::stat(path.c_str(), &facts), 0);
    return facts.st_mode & 0777;
  };
  EXPECT_EQ(modeOf(path_), 0700U);
  EXPECT_EQ(modeOf(files()[0].parent_path()), 0700U);
  EXPECT_EQ(modeOf(files()[0]), 0600U);
}

TEST_F(PrefixStoreTest, NeverUsesABrokenFileAndRemovesIt) {
  const std::function<void(std::string&)> damages[] = {
      [](std::string& s) { s[0] = 'q'; },                         // magic
      [](std::string& s) { s[8] = 9; },                           // version
      [](std::string& s) { s[12] = 1; },                          // type of the cache
      [](std::string& s) { s[20] = static_cast<char>(~s[20]); },  // model
      [](std::string& s) { s[90] = static_cast<char>(~s[90]); },  // a token
      [](std::string& s) { s[300] = static_cast<char>(~s[300]); },
      [](std::string& s) { s.back() = static_cast<char>(~s.back()); },
      [](std::string& s) { s.pop_back(); },
      [](std::string& s) { s += 'x'; },
      [](std::string& s) { s.clear(); },
  };
  for (std::size_t i = 0; i < std::size(damages); ++i) {
    const auto store = open();
    const auto chain = put(*store, 1, 1);
    damage(damages[i]);
    EXPECT_FALSE(reads(*store, chain[0], 1)) << i;
    EXPECT_FALSE(store->contains(chain[0].key)) << i;
    EXPECT_EQ(store->stats().rejected, 1) << i;
    EXPECT_EQ(store->stats().bytes, 0U) << i;
    EXPECT_TRUE(files().empty()) << i;
    // The same may be put again.
    put(*store, 1, 1);
    EXPECT_TRUE(reads(*store, chain[0], 1)) << i;
    fs::remove_all(path_);
  }
}

/// A key is a hash; only equal tokens make a block the same.
TEST_F(PrefixStoreTest, RefusesABlockOfOtherTokensUnderTheSameKey) {
  const auto store = open();
  const auto chain = put(*store, 1, 1);
  BlockHead other = chain[0];
  other.tokens[31] += 1;
  EXPECT_FALSE(reads(*store, other, 1));
}

TEST_F(PrefixStoreTest, LeavesOtherModelsFilesAloneAndNeverUsesThem) {
  auto other = smallIdentity();
  other.model.high += 1;
  std::vector<BlockHead> theirs;
  {
    const auto store = open(1000, other);
    theirs = put(*store, 1, 2);
  }
  const auto store = open();
  EXPECT_FALSE(store->contains(theirs[0].key));
  EXPECT_FALSE(reads(*store, theirs[0], 1));
  EXPECT_EQ(store->stats().blocks, 0);
  EXPECT_EQ(store->stats().bytes, 2 * recordBytes(other));
  EXPECT_EQ(files().size(), 2U);
  // Laid under this model's name, it is still another's.
  const fs::path mine = path_ / "00000000000012340000000000005678";
  ASSERT_TRUE(fs::is_directory(mine));
  for (const fs::path& file : files()) fs::copy_file(file, mine / file.filename());
  const auto again = open();
  EXPECT_TRUE(again->contains(theirs[0].key));
  EXPECT_FALSE(reads(*again, theirs[0], 1));
  EXPECT_EQ(again->stats().rejected, 1);
}

TEST_F(PrefixStoreTest, GivesUpWhatWasUsedLongestAgoAndEndsOfChainsFirst) {
  const auto store = open(6);
  const auto first = put(*store, 1, 3);
  const auto second = put(*store, 50, 3);
  EXPECT_TRUE(reads(*store, first[2], 3));  // the whole first chain counts as used
  const auto third = put(*store, 100, 2);
  EXPECT_LE(store->stats().bytes, 6 * recordBytes(smallIdentity()));
  EXPECT_EQ(files().size(), 6U);
  EXPECT_EQ(store->stats().evicted, 2);
  for (const BlockHead& head : first) EXPECT_TRUE(store->contains(head.key));
  EXPECT_TRUE(store->contains(second[0].key));
  EXPECT_FALSE(store->contains(second[1].key));
  EXPECT_FALSE(store->contains(second[2].key));
  for (const BlockHead& head : third) EXPECT_TRUE(store->contains(head.key));
}

TEST_F(PrefixStoreTest, AChainLongerThanTheLimitKeepsItsBeginning) {
  const auto store = open(3);
  const auto chain = chainOf(1, 6);
  for (std::uint32_t i = 0; i < 6; ++i) {
    store->put(chain[i], contentsOf(i));
    store->flush();
  }
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(store->contains(chain[i].key), i < 3) << i;
  EXPECT_EQ(store->stats().dropped, 3);
}

TEST_F(PrefixStoreTest, KnowsAfterARestartWhatWasUsedLast) {
  std::vector<BlockHead> a, b;
  {
    const auto store = open();
    a = put(*store, 1, 1);
    b = put(*store, 50, 1);
    // Times of files may be as coarse as a clock's tick.
    for (const fs::path& file : files()) {
      fs::last_write_time(file, fs::file_time_type::clock::now() - std::chrono::hours(1));
    }
    EXPECT_TRUE(reads(*store, a[0], 1));
  }
  const auto store = open(1);
  EXPECT_TRUE(store->contains(a[0].key));
  EXPECT_FALSE(store->contains(b[0].key));
  EXPECT_EQ(files().size(), 1U);
}

TEST_F(PrefixStoreTest, TakesAwayWhatIsUnfinishedOrOfAnotherSizeAndNothingElse) {
  { const auto store = open(); }
  const fs::path mine = path_ / "00000000000012340000000000005678";
  const std::string name = std::string(32, 'a') + "-" + std::string(32, 'b') + ".kvblock";
  const auto make = [&](const fs::path& path) { std::ofstream(path) << "short"; };
  make(mine / name);
  make(mine / (name + ".part-1-1"));
  make(mine / (name + ".part-1-2"));
  make(mine / "notes.txt");
  make(path_ / name);
  fs::create_symlink("/etc/passwd", mine / (std::string(32, 'c') + "-" + std::string(32, 'd') + ".kvblock"));
  fs::last_write_time(mine / (name + ".part-1-1"), fs::file_time_type::clock::now() - std::chrono::hours(2));
  const auto store = open();
  EXPECT_EQ(store->stats().blocks, 0);
  EXPECT_FALSE(fs::exists(mine / name));
  EXPECT_FALSE(fs::exists(mine / (name + ".part-1-1")));
  EXPECT_TRUE(fs::exists(mine / (name + ".part-1-2")));  // somebody may be writing it
  EXPECT_TRUE(fs::exists(mine / "notes.txt"));
  EXPECT_TRUE(fs::exists(path_ / name));
}

TEST_F(PrefixStoreTest, DropsRatherThanWaitsWhenTheDiskIsSlow) {
  // Blocks so large that the queue holds few of them.
  CacheIdentity large = smallIdentity();
  large.blockBytes = 32U << 20;
  const auto store = open(1'000'000'000, large);
  const auto chain = chainOf(1, 40);
  int kept = 0;
  int filled = 0;
  for (const BlockHead& head : chain) kept += store->put(head, [&](auto) { ++filled; }) ? 1 : 0;
  EXPECT_EQ(filled, kept);
  store->flush();
  EXPECT_EQ(store->stats().written, kept);
  EXPECT_EQ(store->stats().dropped, 40 - kept);
  EXPECT_GE(kept, 4);
}

TEST_F(PrefixStoreTest, WhatCannotBeWrittenIsDropped) {
  const auto store = open();
  fs::remove_all(path_);
  const auto chain = chainOf(1, 2);
  for (const BlockHead& head : chain) store->put(head, contentsOf(1));
  store->flush();
  EXPECT_EQ(store->stats().dropped, 2);
  EXPECT_FALSE(store->contains(chain[0].key));
  EXPECT_FALSE(reads(*store, chain[0], 1));
  // A file where the folder should be.
  std::ofstream(path_) << "x";
  EXPECT_FALSE(PrefixStore::open(path_, 1000, smallIdentity()));
}

TEST_F(PrefixStoreTest, PutsTheSameOnce) {
  const auto store = open();
  const auto chain = put(*store, 1, 1);
  int filled = 0;
  EXPECT_TRUE(store->put(chain[0], [&](auto) { ++filled; }));
  EXPECT_EQ(filled, 0);
  store->flush();
  EXPECT_EQ(store->stats().written, 1);
}

/// Two stores over one folder, as of two programs, in random order: no wrong contents, and the books agree
/// with the folder when they are opened anew.
TEST_F(PrefixStoreTest, HoldsUnderRandomUseByTwo) {
  std::mt19937 random(3);
  const auto upTo = [&](std::uint32_t most) { return random() % most; };
  std::vector<std::vector<BlockHead>> chains;
  for (std::uint32_t c = 0; c < 6; ++c) chains.push_back(chainOf(100 * c, 5));
  std::unique_ptr<PrefixStore> stores[2] = {open(12), open(12)};
  int read = 0;
  for (int i = 0; i < 600; ++i) {
    auto& store = stores[upTo(2)];
    const std::uint32_t c = upTo(6);
    const std::uint32_t b = upTo(5);
    switch (upTo(8)) {
      case 0:
        store.reset();
        store = open(12);
        break;
      case 1:
      case 2:
      case 3:
        store->put(chains[c][b], contentsOf(100 * c + b));
        break;
      case 4:
        store->flush();
        break;
      default:
        read += reads(*store, chains[c][b], 100 * c + b) ? 1 : 0;
    }
  }
  EXPECT_GT(read, 20);
  EXPECT_EQ(stores[0]->stats().rejected + stores[1]->stats().rejected, 0);
  for (auto& store : stores) store.reset();
  const auto store = open(12);
  EXPECT_EQ(store->stats().bytes, files().size() * recordBytes(smallIdentity()));
  EXPECT_LE(files().size(), 12U);
}

}  // namespace
}  // namespace quern::engine::scheduler
