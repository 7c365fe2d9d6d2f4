// How this machine's processors hang together: logical processors, the cores that they are threads of, the
// last-level caches that cores share, the NUMA nodes whose memory is theirs. Read from Linux's /sys in this
// one place; what the system does not say, or says nonsense about, counts as "all alike": every processor a
// core, one cache, one node.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace quern::engine::runtime {

struct Core {
  std::vector<int> processors;  ///< its hyper-threads that this process may use, ascending; at least one
  std::int32_t cache = 0;       ///< number of its last-level cache, counted from 0
  std::int32_t node = 0;        ///< number of its NUMA node, counted from 0 (not Linux's id)
};

struct Topology {
  std::vector<Core> cores;  ///< node by node, in a node cache by cache; at least one
  std::int32_t caches = 1;
  std::int32_t nodes = 1;
  std::int32_t processors = 1;  ///< logical ones, of all cores
  /// Processors' worth of time that a container grants; 0: no limit.
  double quota = 0;

  /// Threads that computing may use: one a core, and not more than the quota pays for.
  std::int32_t threads() const;
  /// `count` cores (at most all), spread evenly over nodes and caches, in the order of `cores`.
  std::vector<Core> spread(std::int32_t count) const;
  /// "16 cores (32 threads), 2 NUMA nodes, 4 last-level caches", for `quern doctor`.
  std::string describe() const;
};

/// The processors that this process may run on, ascending; at least one.
std::vector<int> usableProcessors();

/// This process's topology; read once.
const Topology& topology();

/// The same from another root than "/", for some processors, in any order.
Topology readTopology(const std::filesystem::path& root, std::span<const int> usable);

}  // namespace quern::engine::runtime
