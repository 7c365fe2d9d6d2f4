// Topologies from trees that look like /sys.

#include "engine/runtime/topology.h"

#include <gtest/gtest.h>

#include <fstream>
#include <numeric>

#include "tests/support/folder.h"

namespace quern::engine::runtime {
namespace {

namespace fs = std::filesystem;

class FakeSystem {
 public:
  void write(const std::string& path, const std::string& text) {
    const fs::path file = root() / path;
    fs::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
  }
  void processor(int number, const std::string& siblings, const std::string& lastCache) {
    const std::string folder = "sys/devices/system/cpu/cpu" + std::to_string(number);
    if (!siblings.empty()) write(folder + "/topology/thread_siblings_list", siblings + "\n");
    if (lastCache.empty()) return;
    write(folder + "/cache/index0/level", "1\n");
    write(folder + "/cache/index0/shared_cpu_list", siblings + "\n");
    write(folder + "/cache/index1/level", "3\n");
    write(folder + "/cache/index1/shared_cpu_list", lastCache + "\n");
  }
  void node(int number, const std::string& processors) {
    write("sys/devices/system/node/node" + std::to_string(number) + "/cpulist", processors + "\n");
  }
  void nodesOnline(const std::string& list) { write("sys/devices/system/node/online", list + "\n"); }
  Topology read(int processors) {
    std::vector<int> all(static_cast<std::size_t>(processors));
    std::iota(all.begin(), all.end(), 0);
    return readTopology(root(), all);
  }
  fs::path root() const { return folder_.path(); }

 private:
  test::Folder folder_;
};

std::vector<int> firstProcessors(const std::vector<Core>& cores) {
  std::vector<int> list;
  for (const Core& core : cores) list.push_back(core.processors.front());
  return list;
}

TEST(Topology, WithoutSysEveryProcessorIsACoreAndAllAreAlike) {
  FakeSystem system;
  const Topology t = system.read(3);
  EXPECT_EQ(firstProcessors(t.cores), (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(t.caches, 1);
  EXPECT_EQ(t.nodes, 1);
  EXPECT_EQ(t.threads(), 3);
  EXPECT_EQ(t.describe(), "3 cores, 1 NUMA node, 1 last-level cache");
}

TEST(Topology, OneProcessorIsOneCore) {
  FakeSystem system;
  system.processor(0, "0", "0");
  system.nodesOnline("0");
  system.node(0, "0");
  const Topology t = system.read(1);
  EXPECT_EQ(t.cores.size(), 1U);
  EXPECT_EQ(t.describe(), "1 core, 1 NUMA node, 1 last-level cache");
}

TEST(Topology, ThreadsOfACoreAreOneCore) {
  FakeSystem system;
  for (int i = 0; i < 8; ++i)
    system.processor(i, std::to_string(i % 4) + "," + std::to_string(i % 4 + 4), "0-7");
  const Topology t = system.read(8);
  EXPECT_EQ(firstProcessors(t.cores), (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(t.cores[1].processors, (std::vector<int>{1, 5}));
  EXPECT_EQ(t.describe(), "4 cores (8 threads), 1 NUMA node, 1 last-level cache");
}

TEST(Topology, ACoreCountsWhileOneOfItsThreadsMayBeUsed) {
  FakeSystem system;
  for (int i = 0; i < 8; ++i)
    system.processor(i, std::to_string(i % 4) + "," + std::to_string(i % 4 + 4), "0-7");
  const std::vector<int> usable = {6, 7, 3};
  const Topology t = readTopology(system.root(), usable);
  EXPECT_EQ(firstProcessors(t.cores), (std::vector<int>{3, 6}));
  EXPECT_EQ(t.cores[0].processors, (std::vector<int>{3, 7}));
}

TEST(Topology, CoresOfASocketStandTogetherHoweverTheyAreNumbered) {
  // Two sockets, two caches each, even processors on the first: as many servers number them.
  FakeSystem system;
  for (int i = 0; i < 16; ++i) {
    const int socket = i % 2;
    const int cache = i / 8;
    std::string sharers;
    for (int p = 8 * cache + socket; p < 8 * cache + 8; p += 2)
      sharers += (sharers.empty() ? "" : ",") + std::to_string(p);
    system.processor(i, std::to_string(i), sharers);
  }
  system.nodesOnline("0-1");
  system.node(0, "0,2,4,6,8,10,12,14");
  system.node(1, "1,3,5,7,9,11,13,15");
  const Topology t = system.read(16);
  EXPECT_EQ(firstProcessors(t.cores),
            (std::vector<int>{0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15}));
  EXPECT_EQ(t.nodes, 2);
  EXPECT_EQ(t.caches, 4);
  EXPECT_EQ(t.cores[7].node, 0);
  EXPECT_EQ(t.cores[8].node, 1);
  EXPECT_EQ(t.cores[3].cache, 0);
  EXPECT_EQ(t.cores[4].cache, 1);
  // Fewer threads than cores: as many on either socket and under every cache.
  EXPECT_EQ(firstProcessors(t.spread(4)), (std::vector<int>{0, 8, 1, 9}));
  EXPECT_EQ(firstProcessors(t.spread(1)), (std::vector<int>{0}));
  EXPECT_EQ(t.spread(16).size(), 16U);
  EXPECT_EQ(t.spread(500).size(), 16U);
  EXPECT_EQ(t.spread(0).size(), 1U);
}

TEST(Topology, A128CoreMachineWithHolesInItsNumbers) {
  FakeSystem system;
  std::vector<int> usable;
  for (int i = 0; i < 128; ++i) {
    const int number = 2 * i + 100;
    usable.push_back(number);
    system.processor(number, std::to_string(number), "");
  }
  system.nodesOnline("0,4");
  system.node(0, "100-227");
  system.node(4, "228-400");
  const Topology t = readTopology(system.root(), usable);
  EXPECT_EQ(t.cores.size(), 128U);
  EXPECT_EQ(t.nodes, 2);
  EXPECT_EQ(t.cores[63].node, 0);
  EXPECT_EQ(t.cores[64].node, 1);
}

TEST(Topology, NonsenseIsNoInformation) {
  const char* nonsense[] = {"",       "\n",  "-1", "0-", "1-0", ",", "0,,",        "0-99999", "99999999999",
                            "0-8191", "0x0", " 0", "0 ", "abc", "1", "4294967296", "0-1-2",   "0\xFF"};
  for (const char* text : nonsense) {
    FakeSystem system;
    system.processor(0, text, text);
    system.processor(1, text, text);
    system.nodesOnline(text);
    system.node(0, text);
    const Topology t = system.read(3);
    EXPECT_EQ(t.cores.size(), 3U) << '"' << text << '"';
    EXPECT_LE(t.caches, 3) << '"' << text << '"';
    EXPECT_LE(t.nodes, 2) << '"' << text << '"';
  }
}

TEST(Topology, HugeAndMisplacedFilesAreNoInformation) {
  FakeSystem system;
  std::string huge = "0";
  while (huge.size() < (1U << 20)) huge += ",0";
  system.processor(0, huge + ",1", huge);
  fs::create_directories(system.root() / "sys/devices/system/cpu/cpu1/topology/thread_siblings_list");
  fs::create_directories(system.root() / "sys/devices/system/node/online");
  const Topology t = system.read(2);
  EXPECT_EQ(t.cores.size(), 2U);
  EXPECT_EQ(t.nodes, 1);
}

TEST(Topology, AContainersQuotaLimitsTheThreads) {
  FakeSystem system;
  const auto threadsWith = [&](const std::string& text) {
    system.write("sys/fs/cgroup/cpu.max", text);
    return system.read(8).threads();
  };
  EXPECT_EQ(threadsWith("max 100000\n"), 8);
  EXPECT_EQ(threadsWith("200000 100000\n"), 2);
  EXPECT_EQ(threadsWith("250000 100000\n"), 3);
  EXPECT_EQ(threadsWith("1000 100000\n"), 1);
  EXPECT_EQ(threadsWith("9900000 100000\n"), 8);
  for (const char* text :
       {"", "0 0\n", "-5 100000\n", "100000\n", "nan 1\n", "inf inf\n", "1e999 1\n", "x y\n"})
    EXPECT_EQ(threadsWith(text), 8) << text;
}

TEST(Topology, OfThisMachineHasTheProcessorsThatThisProcessMayUse) {
  const std::vector<int> usable = usableProcessors();
  ASSERT_FALSE(usable.empty());
  std::vector<int> all;
  for (const Core& core : topology().cores)
    all.insert(all.end(), core.processors.begin(), core.processors.end());
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, usable);
  EXPECT_GE(topology().threads(), 1);
}

}  // namespace
}  // namespace quern::engine::runtime
