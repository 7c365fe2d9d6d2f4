// What machine this is: for `quern doctor`, for choosing numbers of threads, for the limits that speeds are
// held against. Read from Linux's /proc and /sys; what a machine does not say is empty or 0.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace quern::engine::runtime {

struct Cache {
  std::int32_t level = 0;
  std::string kind;  ///< "data", "instruction", "unified"
  std::uint64_t sizeBytes = 0;
  std::int32_t instances = 0;  ///< how many of them the machine has
};

struct Machine {
  std::string cpu;                 ///< "AMD Ryzen 9 7950X 16-Core Processor"
  std::int32_t physicalCores = 1;  ///< that this process may use (affinity, containers)
  std::int32_t logicalCores = 1;   ///< likewise
  std::int32_t numaNodes = 1;
  std::vector<Cache> caches;          ///< by level
  std::vector<std::string> features;  ///< instruction sets that matter here: "avx2", "avx512_vnni" …
  std::uint64_t memoryBytes = 0;
  std::uint64_t availableBytes = 0;  ///< that could be used now without swapping
  std::string system;                ///< "Linux 6.1.0-18-amd64"
};

Machine describeMachine();

/// The kernels that a model would run on, and the reason in one sentence.
struct KernelChoice {
  std::string name;
  std::string reason;
};
KernelChoice chosenKernels();

/// int8 multiply-adds per second that `threads` threads (0: one per physical core) of the chosen kernels
/// reach on registers alone: the ceiling of prompt processing. Measured once (≈ 0.3 s) and remembered.
double measuredInt8Peak(std::int32_t threads);

}  // namespace quern::engine::runtime
