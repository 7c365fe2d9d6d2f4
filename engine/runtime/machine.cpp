#include "engine/runtime/machine.h"

#include <sched.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <utility>

namespace quern::engine::runtime {
namespace {

namespace fs = std::filesystem;
std::string firstLine(const fs::path& path) {
  std::ifstream stream(path);
  std::string line;
  std::getline(stream, line);
  return line;
}

/// The CPUs that this process may run on.
std::vector<int> usableCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return {0};
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

fs::path cpuFolder(const fs::path& root, int cpu) {
  return root / "sys/devices/system/cpu" / ("cpu" + std::to_string(cpu));
}

/// "48K", "2048K", "1M" → bytes.
std::uint64_t sizeOf(const std::string& text) {
  std::uint64_t number = 0;
  char unit = ' ';
  std::istringstream(text) >> number >> unit;
  return unit == 'K' ? number << 10 : unit == 'M' ? number << 20 : unit == 'G' ? number << 30 : number;
}

std::vector<Cache> caches(const fs::path& root, const std::vector<int>& cpus) {
  // A cache is one by its level, kind and the set of CPUs that share it.
  std::map<std::pair<std::string, std::string>, std::pair<std::uint64_t, std::set<std::string>>> found;
  for (const int cpu : cpus) {
    for (int index = 0; index < 8; ++index) {
      const fs::path folder = cpuFolder(root, cpu) / "cache" / ("index" + std::to_string(index));
      const std::string level = firstLine(folder / "level");
      if (level.empty()) break;
      auto& [size, sharers] = found[{level, firstLine(folder / "type")}];
      size = sizeOf(firstLine(folder / "size"));
      sharers.insert(firstLine(folder / "shared_cpu_list"));
    }
  }
  std::vector<Cache> list;
  for (const auto& [key, value] : found) {
    std::string kind = key.second;
    std::transform(kind.begin(), kind.end(), kind.begin(), [](unsigned char c) { return std::tolower(c); });
    list.push_back({std::atoi(key.first.c_str()),
                    kind,
                    value.first,
                    static_cast<std::int32_t>(value.second.size()),
                    {value.second.begin(), value.second.end()}});
  }
  return list;
}

/// Fills what /proc/cpuinfo says: the name and the flags that the kernels care about.
void readCpuInfo(const fs::path& root, Machine& machine) {
  static const std::set<std::string> kWanted = {
      "avx",      "avx2",     "fma",         "f16c",        "bmi2",     "avx_vnni", "avx512f",    "avx512bw",
      "avx512dq", "avx512vl", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "avx512_fp16"};
  std::ifstream stream(root / "proc/cpuinfo");
  std::string line;
  while (std::getline(stream, line) && !line.empty()) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string key = line.substr(0, line.find_last_not_of(" \t", colon - 1) + 1);
    const std::string value = colon + 2 <= line.size() ? line.substr(colon + 2) : "";
    if (key == "model name") machine.cpu = value;
    if (key != "flags") continue;
    std::istringstream words(value);
    std::string word;
    while (words >> word) {
      if (kWanted.count(word) > 0) machine.features.push_back(word);
    }
  }
}

void readMemory(const fs::path& root, Machine& machine) {
  std::ifstream stream(root / "proc/meminfo");
  std::string key;
  std::uint64_t kib = 0;
  std::string rest;
  while (stream >> key >> kib) {
    std::getline(stream, rest);
    if (key == "MemTotal:") machine.memoryBytes = kib << 10;
    if (key == "MemAvailable:") machine.availableBytes = kib << 10;
  }
  // A container's own limit counts where it is the tighter one.
  const std::string limit = firstLine(root / "sys/fs/cgroup/memory.max");
  if (!limit.empty() && limit != "max") {
    const std::uint64_t bytes = std::strtoull(limit.c_str(), nullptr, 10);
    if (bytes > 0 && bytes < machine.memoryBytes) {
      const std::uint64_t used =
          std::strtoull(firstLine(root / "sys/fs/cgroup/memory.current").c_str(), nullptr, 10);
      machine.memoryBytes = bytes;
      machine.availableBytes = std::min(machine.availableBytes, bytes > used ? bytes - used : 0);
    }
  }
}

/// "max 100000" or "150000 100000" (microseconds of every period) → processors' worth; 0: no limit.
double cpuQuota(const fs::path& root) {
  double allowed = 0;
  double period = 0;
  std::istringstream words(firstLine(root / "sys/fs/cgroup/cpu.max"));
  return words >> allowed >> period && period > 0 ? allowed / period : 0;
}

/// "always [madvise] never" → "madvise".
std::string bracketed(const std::string& line) {
  const std::size_t open = line.find('[');
  const std::size_t close = line.find(']', open);
  return close == std::string::npos ? "" : line.substr(open + 1, close - open - 1);
}

std::vector<NumaNode> numaNodes(const fs::path& root) {
  std::vector<NumaNode> nodes;
  std::error_code failure;
  for (fs::directory_iterator entry(root / "sys/devices/system/node", failure), end; !failure && entry != end;
       entry.increment(failure)) {
    const std::string name = entry->path().filename().string();
    if (name.size() <= 4 || !name.starts_with("node") ||
        name.find_first_not_of("0123456789", 4) != std::string::npos) {
      continue;
    }
    NumaNode node;
    node.id = std::atoi(name.c_str() + 4);
    node.cpus = firstLine(entry->path() / "cpulist");
    // "Node 0 MemTotal:       24102028 kB"
    std::istringstream words(firstLine(entry->path() / "meminfo"));
    std::string word;
    std::uint64_t kib = 0;
    if (words >> word >> word >> word >> kib) node.memoryBytes = kib << 10;
    nodes.push_back(std::move(node));
  }
  std::sort(nodes.begin(), nodes.end(), [](const NumaNode& a, const NumaNode& b) { return a.id < b.id; });
  return nodes;
}

}  // namespace

Machine describeMachine(const fs::path& root, const std::vector<int>& cpus) {
  Machine machine;
  readCpuInfo(root, machine);
  readMemory(root, machine);
  machine.logicalCores = std::max(1, static_cast<std::int32_t>(cpus.size()));
  std::set<std::pair<std::string, std::string>> cores;
  for (const int cpu : cpus) {
    const fs::path topology = cpuFolder(root, cpu) / "topology";
    cores.emplace(firstLine(topology / "physical_package_id"), firstLine(topology / "core_id"));
  }
  machine.physicalCores = std::max(1, static_cast<std::int32_t>(cores.size()));
  machine.cpuQuota = cpuQuota(root);
  machine.caches = caches(root, cpus);
  machine.nodes = numaNodes(root);
  machine.numaNodes = std::max(1, static_cast<std::int32_t>(machine.nodes.size()));
  machine.hugePages = bracketed(firstLine(root / "sys/kernel/mm/transparent_hugepage/enabled"));
  utsname system{};
  if (uname(&system) == 0) machine.system = std::string(system.sysname) + " " + system.release;
  return machine;
}

Machine describeMachine() { return describeMachine("/", usableCpus()); }

std::uint64_t peakResidentBytes() {
  std::ifstream stream("/proc/self/status");
  std::string line;
  while (std::getline(stream, line)) {
    if (line.starts_with("VmHWM:")) return std::strtoull(line.c_str() + 6, nullptr, 10) << 10;
  }
  return 0;
}

}  // namespace quern::engine::runtime
