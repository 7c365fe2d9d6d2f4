#include "engine/runtime/machine.h"

#include <sched.h>
#include <sys/utsname.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <utility>

#include "kernels/cpu/kernels.h"

namespace quern::engine::runtime {
namespace {

namespace fs = std::filesystem;
const fs::path kCpus = "/sys/devices/system/cpu";

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

fs::path cpuFolder(int cpu) { return kCpus / ("cpu" + std::to_string(cpu)); }

/// "48K", "2048K", "1M" → bytes.
std::uint64_t sizeOf(const std::string& text) {
  std::uint64_t number = 0;
  char unit = ' ';
  std::istringstream(text) >> number >> unit;
  return unit == 'K' ? number << 10 : unit == 'M' ? number << 20 : unit == 'G' ? number << 30 : number;
}

std::vector<Cache> caches(const std::vector<int>& cpus) {
  // A cache is one by its level, kind and the set of CPUs that share it.
  std::map<std::pair<std::string, std::string>, std::pair<std::uint64_t, std::set<std::string>>> found;
  for (const int cpu : cpus) {
    for (int index = 0; index < 8; ++index) {
      const fs::path folder = cpuFolder(cpu) / "cache" / ("index" + std::to_string(index));
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
    list.push_back(
        {std::atoi(key.first.c_str()), kind, value.first, static_cast<std::int32_t>(value.second.size())});
  }
  return list;
}

/// Fills what /proc/cpuinfo says: the name and the flags that the kernels care about.
void readCpuInfo(Machine& machine) {
  static const std::set<std::string> kWanted = {
      "avx",      "avx2",     "fma",         "f16c",        "bmi2",     "avx_vnni", "avx512f",    "avx512bw",
      "avx512dq", "avx512vl", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "avx512_fp16"};
  std::ifstream stream("/proc/cpuinfo");
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

void readMemory(Machine& machine) {
  std::ifstream stream("/proc/meminfo");
  std::string key;
  std::uint64_t kib = 0;
  std::string rest;
  while (stream >> key >> kib) {
    std::getline(stream, rest);
    if (key == "MemTotal:") machine.memoryBytes = kib << 10;
    if (key == "MemAvailable:") machine.availableBytes = kib << 10;
  }
  // A container's own limit counts where it is the tighter one.
  const std::string limit = firstLine("/sys/fs/cgroup/memory.max");
  if (!limit.empty() && limit != "max") {
    const std::uint64_t bytes = std::strtoull(limit.c_str(), nullptr, 10);
    if (bytes > 0 && bytes < machine.memoryBytes) {
      const std::uint64_t used =
          std::strtoull(firstLine("/sys/fs/cgroup/memory.current").c_str(), nullptr, 10);
      machine.memoryBytes = bytes;
      machine.availableBytes = std::min(machine.availableBytes, bytes > used ? bytes - used : 0);
    }
  }
}

}  // namespace

Machine describeMachine() {
  Machine machine;
  readCpuInfo(machine);
  readMemory(machine);
  const std::vector<int> cpus = usableCpus();
  machine.logicalCores = static_cast<std::int32_t>(cpus.size());
  std::set<std::pair<std::string, std::string>> cores;
  for (const int cpu : cpus) {
    const fs::path topology = cpuFolder(cpu) / "topology";
    cores.emplace(firstLine(topology / "physical_package_id"), firstLine(topology / "core_id"));
  }
  machine.physicalCores = std::max(1, static_cast<std::int32_t>(cores.size()));
  machine.caches = caches(cpus);
  std::error_code failure;
  int nodes = 0;
  for (fs::directory_iterator entry("/sys/devices/system/node", failure), end; !failure && entry != end;
       entry.increment(failure)) {
    const std::string name = entry->path().filename().string();
    if (name.size() > 4 && name.rfind("node", 0) == 0 &&
        name.find_first_not_of("0123456789", 4) == std::string::npos) {
      ++nodes;
    }
  }
  machine.numaNodes = std::max(1, nodes);
  utsname system{};
  if (uname(&system) == 0) machine.system = std::string(system.sysname) + " " + system.release;
  return machine;
}

KernelChoice chosenKernels() {
  const kernels::cpu::Kernels* table = kernels::cpu::selectKernels();
  const kernels::cpu::CpuFeatures features = kernels::cpu::cpuFeatures();
  const std::string name = table == nullptr ? kernels::cpu::genericKernels().name : table->name;
  if (name == "avx512vnni") {
    return {name, "The processor has AVX-512 with VNNI: 64 int8 multiply-adds an instruction."};
  }
  if (name == "avxvnni") {
    return {name, features.avx512vnni
                      ? "This build has no AVX-512 kernels; the processor would run them."
                      : "The processor has AVX-VNNI, but no AVX-512: 32 int8 multiply-adds an instruction."};
  }
  if (name == "avx2") {
    return {name, features.avx512vnni ? "This build has no AVX-512 kernels; the processor would run them."
                  : features.avxvnni  ? "This build has no AVX-VNNI kernels; the processor would run them."
                                      : "The processor has AVX2 and FMA, but no VNNI."};
  }
  return {name, features.avx2 ? "This build has no AVX2 kernels; the processor would run them."
                              : "The processor has no AVX2: plain C++ runs everywhere, slowly."};
}

}  // namespace quern::engine::runtime
