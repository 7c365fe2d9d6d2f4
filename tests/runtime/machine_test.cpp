// What Quern says of a machine, read from made-up /proc and /sys trees: two sockets with hyper-threads, a
// container's limits, and nothing at all.

#include "engine/runtime/machine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <numeric>

#include "engine/runtime/kernel_choice.h"
#include "kernels/cpu/kernels.h"
#include "tests/support/folder.h"

namespace quern::engine::runtime {
namespace {

class FakeMachine : public testing::Test {
 protected:
  void put(const std::string& path, const std::string& text) {
    const auto file = root_ / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text << "\n";
  }
  /// Logical processor `cpu` as a thread of core `core` on socket `package`.
  void putCpu(int cpu, int package, int core, const std::string& siblings, const std::string& cluster) {
    const std::string folder = "sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/";
    put(folder + "topology/physical_package_id", std::to_string(package));
    put(folder + "topology/core_id", std::to_string(core));
    put(folder + "cache/index0/level", "1");
    put(folder + "cache/index0/type", "Data");
    put(folder + "cache/index0/size", "48K");
    put(folder + "cache/index0/shared_cpu_list", siblings);
    put(folder + "cache/index1/level", "3");
    put(folder + "cache/index1/type", "Unified");
    put(folder + "cache/index1/size", "32M");
    put(folder + "cache/index1/shared_cpu_list", cluster);
  }
  /// Two sockets, two cores each, two threads a core: processors 0–3 first threads, 4–7 second.
  void putTwoSockets() {
    for (int cpu = 0; cpu < 8; ++cpu) {
      const int core = cpu % 4;
      putCpu(cpu, core / 2, core % 2, std::to_string(core) + "," + std::to_string(core + 4),
             core < 2 ? "0-1,4-5" : "2-3,6-7");
    }
    put("sys/devices/system/node/node0/cpulist", "0-1,4-5");
    put("sys/devices/system/node/node0/meminfo", "Node 0 MemTotal:       1024 kB");
    put("sys/devices/system/node/node1/cpulist", "2-3,6-7");
    put("sys/devices/system/node/node1/meminfo", "Node 1 MemTotal:       2048 kB");
    put("sys/devices/system/node/possible", "0-1");
    put("proc/cpuinfo",
        "processor\t: 0\nmodel name\t: Quick 9000\nflags\t\t: fpu avx avx2 fma f16c bmi2 amx_int8 pku");
    put("proc/meminfo", "MemTotal:       3072 kB\nMemAvailable:   1000 kB");
  }
  Machine describe(int cpus) const {
    std::vector<int> usable(static_cast<std::size_t>(cpus));
    std::iota(usable.begin(), usable.end(), 0);
    return describeMachine(root_.path(), usable);
  }

  test::Folder root_;
};

TEST_F(FakeMachine, HyperThreadsShareCores) {
  putTwoSockets();
  const Machine machine = describe(8);
  EXPECT_EQ(machine.cpu, "Quick 9000");
  EXPECT_EQ(machine.physicalCores, 4);
  EXPECT_EQ(machine.logicalCores, 8);
  EXPECT_EQ(machine.features, (std::vector<std::string>{"avx", "avx2", "fma", "f16c", "bmi2", "amx_int8"}));
}

TEST_F(FakeMachine, OnlyProcessorsThatMayBeUsedCount) {
  putTwoSockets();
  const Machine machine = describe(3);
  EXPECT_EQ(machine.physicalCores, 3);
  EXPECT_EQ(machine.logicalCores, 3);
}

TEST_F(FakeMachine, CachesAreCountedByWhoSharesThem) {
  putTwoSockets();
  const Machine machine = describe(8);
  ASSERT_EQ(machine.caches.size(), 2U);
  EXPECT_EQ(machine.caches[0].kind, "data");
  EXPECT_EQ(machine.caches[0].instances, 4);
  EXPECT_EQ(machine.caches[0].sizeBytes, 48U << 10);
  EXPECT_EQ(machine.caches[1].level, 3);
  EXPECT_EQ(machine.caches[1].instances, 2);
  EXPECT_EQ(machine.caches[1].sharers, (std::vector<std::string>{"0-1,4-5", "2-3,6-7"}));
}

TEST_F(FakeMachine, NodesHaveProcessorsAndMemory) {
  putTwoSockets();
  const Machine machine = describe(8);
  EXPECT_EQ(machine.numaNodes, 2);
  ASSERT_EQ(machine.nodes.size(), 2U);
  EXPECT_EQ(machine.nodes[1].id, 1);
  EXPECT_EQ(machine.nodes[1].cpus, "2-3,6-7");
  EXPECT_EQ(machine.nodes[1].memoryBytes, 2U << 20);
}

TEST_F(FakeMachine, AContainersLimitsAreTheMachines) {
  putTwoSockets();
  put("sys/fs/cgroup/memory.max", "1048576");
  put("sys/fs/cgroup/memory.current", "1000000");
  put("sys/fs/cgroup/cpu.max", "150000 100000");
  put("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never");
  const Machine machine = describe(8);
  EXPECT_EQ(machine.memoryBytes, 1048576U);
  EXPECT_EQ(machine.availableBytes, 48576U);
  EXPECT_EQ(machine.cpuQuota, 1.5);
  EXPECT_EQ(machine.hugePages, "madvise");
  put("sys/fs/cgroup/cpu.max", "max 100000");
  EXPECT_EQ(describe(8).cpuQuota, 0);
}

TEST_F(FakeMachine, AMachineThatSaysNothingHasOneCore) {
  const Machine machine = describe(1);
  EXPECT_EQ(machine.physicalCores, 1);
  EXPECT_EQ(machine.numaNodes, 1);
  EXPECT_TRUE(machine.caches.empty());
  EXPECT_TRUE(machine.nodes.empty());
  EXPECT_EQ(machine.memoryBytes, 0U);
}

TEST_F(FakeMachine, UnusedFeaturesAreNamed) {
  putTwoSockets();
  const auto unused = unusedFeatures(describe(8));
  EXPECT_NE(std::find(unused.begin(), unused.end(), "amx_int8"), unused.end());
  EXPECT_EQ(std::find(unused.begin(), unused.end(), "avx"), unused.end());
}

TEST(Machine, SaysWhatItIs) {
  const Machine machine = describeMachine();
  EXPECT_GE(machine.physicalCores, 1);
  EXPECT_GE(machine.logicalCores, machine.physicalCores);
  EXPECT_GT(machine.memoryBytes, 1U << 20);
  EXPECT_LE(machine.availableBytes, machine.memoryBytes);
  EXPECT_FALSE(machine.system.empty());
}

TEST(Machine, PeakMemoryGrowsWithWhatIsTouched) {
  const std::uint64_t before = peakResidentBytes();
  EXPECT_GT(before, 1U << 20);
  constexpr std::size_t kMore = 64U << 20;
  const std::vector<char> touched(before + kMore, 1);
  EXPECT_GE(peakResidentBytes(), before + kMore);
}

TEST(Kernels, ExactlyOneTableIsChosenAndEveryOneHasAReason) {
  const auto tables = kernelTables(describeMachine());
  ASSERT_EQ(tables.size(), 4U);
  int chosen = 0;
  for (const KernelTable& table : tables) {
    EXPECT_FALSE(table.reason.empty()) << table.name;
    EXPECT_EQ(table.usable, kernels::cpu::selectKernels(table.name.c_str()) != nullptr);
    EXPECT_EQ(table.reason.starts_with("refused"), !table.usable) << table.reason;
    if (table.chosen) {
      ++chosen;
      EXPECT_EQ(table.name, kernels::cpu::selectKernels()->name);
    }
  }
  EXPECT_EQ(chosen, 1);
}

TEST(Kernels, EveryDecodableTypeIsServedAndSaysHow) {
  const auto services = allServices();
  EXPECT_GE(services.size(), 16U);
  for (const TypeService& service : services) {
    EXPECT_TRUE(service.runs) << service.type;
    EXPECT_GT(service.fileBits, 1) << service.type;
    EXPECT_GE(service.packedBits, 4) << service.type;
    EXPECT_LE(service.packedBits, 32) << service.type;
    EXPECT_FALSE(service.instruction.empty()) << service.type;
  }
  const TypeService q8 = serviceOf(kernels::DType::kQ8_0);
  EXPECT_EQ(q8.fileBits, 8.5);
  EXPECT_TRUE(q8.int8);
  EXPECT_FALSE(serviceOf(kernels::DType::kF16).int8);
  EXPECT_FALSE(serviceOf(kernels::DType::kIQ1_S).runs);
}

}  // namespace
}  // namespace quern::engine::runtime
