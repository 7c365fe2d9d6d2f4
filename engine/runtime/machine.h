// What machine this is: for `quern doctor`, for choosing numbers of threads, for the limits that speeds are
// held against. Read from Linux's /proc and /sys; what a machine does not say is empty or 0.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace quern::engine::runtime {

struct Cache {
  std::int32_t level = 0;
  std::string kind;  ///< "data", "instruction", "unified"
  std::uint64_t sizeBytes = 0;
  std::int32_t instances = 0;        ///< how many of them the machine has
  std::vector<std::string> sharers;  ///< the logical processors of each, as Linux lists them: "0-3,8-11"
};

struct NumaNode {
  std::int32_t id = 0;
  std::string cpus;  ///< all its logical processors, as Linux lists them
  std::uint64_t memoryBytes = 0;
};

struct Machine {
  std::string cpu;                 ///< "AMD Ryzen 9 7950X 16-Core Processor"
  std::int32_t physicalCores = 1;  ///< that this process may use (affinity, containers)
  std::int32_t logicalCores = 1;   ///< likewise
  double cpuQuota = 0;             ///< processors' worth of time that a container grants; 0: no limit
  std::int32_t numaNodes = 1;
  std::vector<NumaNode> nodes;        ///< with processors or memory; empty where Linux lists none
  std::vector<Cache> caches;          ///< by level
  std::vector<std::string> features;  ///< instruction sets that matter here: "avx2", "avx512_vnni" …
  std::uint64_t memoryBytes = 0;
  std::uint64_t availableBytes = 0;  ///< that could be used now without swapping
  std::string hugePages;             ///< "always", "madvise" or "never": who gets transparent huge pages
  std::string system;                ///< "Linux 6.1.0-18-amd64"
};

Machine describeMachine();
/// The same for the /proc and /sys below `root`, for a process that may run on `cpus`.
Machine describeMachine(const std::filesystem::path& root, const std::vector<int>& cpus);

/// The most memory that this process has had resident at once, mapped files included; 0 where the system does
/// not say.
std::uint64_t peakResidentBytes();

/// int8 multiply-adds per second that `threads` threads (0: one per physical core) of the kernels called
/// `kernels` (empty: the best) reach on registers alone: the ceiling of prompt processing; 0 where this
/// machine cannot run them. Measured once (≈ 0.3 s) and remembered.
double measuredInt8Peak(std::int32_t threads, const std::string& kernels = {});

/// Measure again what measuredReadBandwidth() (backend.h) and measuredInt8Peak() remember, so that they
/// answer the better of the two: a limit that was disturbed when it was measured would make every share of it
/// too large. Working sets that share a measurement are measured once.
void remeasureReadBandwidth(std::int32_t threads, std::span<const std::uint64_t> workingSets);
void remeasureInt8Peak(std::int32_t threads, const std::string& kernels = {});

}  // namespace quern::engine::runtime
