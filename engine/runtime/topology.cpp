#include "engine/runtime/topology.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "engine/base/text.h"

namespace quern::engine::runtime {
namespace {

namespace fs = std::filesystem;

/// Linux is built for at most so many; a list that goes beyond it is no list.
constexpr int kMostProcessors = 8192;
/// More threads than any core has (SPARC and POWER have eight): whoever claims them makes one core of a
/// machine.
constexpr std::size_t kMostSiblings = 16;
/// "0-8191" in the longest way that one can write it.
constexpr std::size_t kMostListBytes = 64 << 10;

/// The first line of a small file; empty where there is none.
std::string firstLine(const fs::path& path) {
  std::error_code failure;
  if (!fs::is_regular_file(path, failure)) return {};
  std::ifstream stream(path, std::ios::binary);
  std::string text(kMostListBytes, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  const auto count = static_cast<std::size_t>(std::max<std::streamsize>(0, stream.gcount()));
  if (count == text.size()) return {};  // no list is that long
  text.resize(count);
  return text.substr(0, text.find('\n'));
}

std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size() || value < 0 || value >= kMostProcessors)
    return std::nullopt;
  return value;
}

/// "0-3,8,10-11" as the numbers that it means, ascending; empty for anything else.
std::vector<int> listed(std::string_view text) {
  std::set<int> all;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    const std::size_t dash = part.find('-');
    const auto first = number(part.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : number(part.substr(dash + 1));
    if (!first || !last || *first > *last) return {};
    for (int i = *first; i <= *last; ++i) all.insert(i);
  }
  return {all.begin(), all.end()};
}

bool holds(const std::vector<int>& list, int processor) {
  return std::binary_search(list.begin(), list.end(), processor);
}

/// The processors that share `processor`'s core, itself among them.
std::vector<int> siblings(const fs::path& folder, int processor) {
  for (const char* name : {"core_cpus_list", "thread_siblings_list"}) {
    std::vector<int> list = listed(firstLine(folder / "topology" / name));
    if (holds(list, processor) && list.size() <= kMostSiblings) return list;
  }
  return {processor};
}

/// The lowest processor that shares `processor`'s last-level cache; −1 where the system does not say.
int lastCache(const fs::path& folder, int processor) {
  int level = 0;
  int sharer = -1;
  for (int index = 0; index < 16; ++index) {
    const fs::path cache = folder / "cache" / ("index" + std::to_string(index));
    const auto its = number(firstLine(cache / "level"));
    if (!its) break;
    const std::vector<int> list = listed(firstLine(cache / "shared_cpu_list"));
    if (*its > level && holds(list, processor)) {
      level = *its;
      sharer = list.front();
    }
  }
  // A second-level cache that one core has for itself says nothing about which cores belong together.
  return level >= 3 ? sharer : -1;
}

/// The NUMA node of every processor that is in one.
std::map<int, int> nodeOf(const fs::path& root) {
  std::map<int, int> nodes;
  for (const int node : listed(firstLine(root / "sys/devices/system/node/online"))) {
    const fs::path folder = root / "sys/devices/system/node" / ("node" + std::to_string(node));
    for (const int processor : listed(firstLine(folder / "cpulist"))) nodes.emplace(processor, node);
  }
  return nodes;
}

double quotaOf(const fs::path& root) {
  const std::string text = firstLine(root / "sys/fs/cgroup/cpu.max");
  const std::size_t space = text.find(' ');
  if (space == std::string::npos) return 0;
  double granted = 0;
  double period = 0;
  const auto read = [](std::string_view part, double& value) {
    const auto [end, failure] = std::from_chars(part.data(), part.data() + part.size(), value);
    return failure == std::errc() && end == part.data() + part.size() && std::isfinite(value) && value > 0;
  };
  const std::string_view view = text;
  if (!read(view.substr(0, space), granted) || !read(view.substr(space + 1), period)) return 0;
  return granted / period;
}

/// Numbers in order of appearance: 0 for the first key, 1 for the next …
template <class Key>
std::int32_t numbered(std::map<Key, std::int32_t>& known, const Key& key) {
  return known.emplace(key, static_cast<std::int32_t>(known.size())).first->second;
}

std::string counted(std::int32_t count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

}  // namespace

std::int32_t Topology::threads() const {
  const auto all = static_cast<std::int32_t>(cores.size());
  if (quota <= 0 || quota >= all) return all;
  return std::max(1, static_cast<std::int32_t>(std::ceil(quota)));
}

std::vector<Core> Topology::spread(std::int32_t count) const {
  const std::size_t wanted =
      std::clamp<std::size_t>(static_cast<std::size_t>(std::max(1, count)), 1, cores.size());
  std::vector<Core> chosen;
  for (std::size_t i = 0; i < wanted; ++i) chosen.push_back(cores[i * cores.size() / wanted]);
  return chosen;
}

std::string Topology::describe() const {
  const auto all = static_cast<std::int32_t>(cores.size());
  std::string text = counted(all, "core", "cores");
  if (processors != all) text += " (" + counted(processors, "thread", "threads") + ")";
  text += ", " + counted(nodes, "NUMA node", "NUMA nodes");
  text += ", " + counted(caches, "last-level cache", "last-level caches");
  if (quota > 0) text += ", of which a container grants " + std::to_string(threads());
  return text;
}

std::vector<int> usableProcessors() {
  // Larger machines than a plain cpu_set_t has bits for make the call fail: ask with more bits.
  for (int most = CPU_SETSIZE; most <= kMostProcessors; most *= 2) {
    cpu_set_t* set = CPU_ALLOC(static_cast<std::size_t>(most));
    if (set == nullptr) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(static_cast<std::size_t>(most));
    CPU_ZERO_S(bytes, set);
    std::vector<int> usable;
    const bool known = sched_getaffinity(0, bytes, set) == 0;
    for (int processor = 0; known && processor < most; ++processor) {
      if (CPU_ISSET_S(static_cast<std::size_t>(processor), bytes, set)) usable.push_back(processor);
    }
    CPU_FREE(set);
    if (!usable.empty()) return usable;
  }
  return {0};
}

const Topology& topology() {
  static const Topology known = readTopology("/", usableProcessors());
  return known;
}

Topology readTopology(const fs::path& root, std::span<const int> usable) {
  std::set<int> left(usable.begin(), usable.end());
  if (left.empty()) left.insert(0);
  const std::map<int, int> nodes = nodeOf(root);

  struct Found {
    int node, cache;
    std::vector<int> processors;
  };
  std::vector<Found> found;
  while (!left.empty()) {
    const int processor = *left.begin();
    const fs::path folder = root / "sys/devices/system/cpu" / ("cpu" + std::to_string(processor));
    const auto node = nodes.find(processor);
    Found core{node == nodes.end() ? -1 : node->second, lastCache(folder, processor), {}};
    for (const int sibling : siblings(folder, processor)) {
      if (left.erase(sibling) > 0) core.processors.push_back(sibling);
    }
    found.push_back(std::move(core));
  }
  std::stable_sort(found.begin(), found.end(), [](const Found& a, const Found& b) {
    return std::pair(a.node, a.cache) < std::pair(b.node, b.cache);
  });

  Topology made;
  std::map<int, std::int32_t> nodeNumbers;
  std::map<std::pair<int, int>, std::int32_t> cacheNumbers;
  made.processors = 0;
  for (Found& core : found) {
    made.processors += static_cast<std::int32_t>(core.processors.size());
    made.cores.push_back({std::move(core.processors),
                          numbered(cacheNumbers, std::pair(core.node, core.cache)),
                          numbered(nodeNumbers, core.node)});
  }
  made.nodes = static_cast<std::int32_t>(nodeNumbers.size());
  made.caches = static_cast<std::int32_t>(cacheNumbers.size());
  made.quota = quotaOf(root);
  return made;
}

}  // namespace quern::engine::runtime
