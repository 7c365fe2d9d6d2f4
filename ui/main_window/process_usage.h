// What this process takes from the machine, read from /proc.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace quern::ui {

class ProcessUsage {
 public:
  /// CPU time since the last call in percent of one core (200: two cores busy); nullopt on the first call or
  /// where /proc cannot be read.
  std::optional<double> cpuPercent();
  /// Memory that is resident, in bytes; nullopt where /proc cannot be read.
  static std::optional<std::uint64_t> residentBytes();

 private:
  std::optional<double> lastCpuSeconds_;
  std::chrono::steady_clock::time_point lastRead_;
};

}  // namespace quern::ui
