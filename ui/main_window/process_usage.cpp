#include "ui/main_window/process_usage.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

namespace quern::ui {

namespace {

/// utime + stime of /proc/self/stat (proc(5)), in seconds. The name in parentheses may hold spaces, so
/// counting starts behind the last ')'.
std::optional<double> cpuSeconds() {
  std::ifstream file("/proc/self/stat");
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  const std::size_t end = line.rfind(')');
  if (end == std::string::npos) return std::nullopt;
  unsigned long long user = 0;
  unsigned long long system = 0;
  if (std::sscanf(line.c_str() + end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
                  &system) != 2) {
    return std::nullopt;
  }
  return double(user + system) / double(sysconf(_SC_CLK_TCK));
}

}  // namespace

std::optional<double> ProcessUsage::cpuPercent() {
  const auto now = std::chrono::steady_clock::now();
  const std::optional<double> seconds = cpuSeconds();
  std::optional<double> percent;
  const double elapsed = std::chrono::duration<double>(now - lastRead_).count();
  if (seconds && lastCpuSeconds_ && elapsed > 0) percent = (*seconds - *lastCpuSeconds_) / elapsed * 100;
  lastCpuSeconds_ = seconds;
  lastRead_ = now;
  return percent;
}

std::optional<std::uint64_t> ProcessUsage::residentBytes() {
  std::ifstream file("/proc/self/statm");
  unsigned long long size = 0;
  unsigned long long resident = 0;
  if (!(file >> size >> resident)) return std::nullopt;
  return resident * std::uint64_t(sysconf(_SC_PAGESIZE));
}

}  // namespace quern::ui
