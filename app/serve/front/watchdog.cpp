#include "app/serve/front/watchdog.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

namespace quern::app::serve::front {
namespace {

std::string firstLine(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// The words of /proc/…/stat behind the name: state first, processor times 12th and 13th (proc(5)).
std::string stateOf(const std::string& stat) {
  const std::size_t name = stat.rfind(')');
  if (name == std::string::npos) return "?";
  std::istringstream words(stat.substr(name + 1));
  std::string word;
  std::string state;
  std::string times;
  for (int i = 0; words >> word; ++i) {
    if (i == 0) state = word;
    if (i == 11 || i == 12) times += " " + word;
  }
  return state + times;
}

}  // namespace

std::string threadReport() {
  std::string report;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task", failed)) {
    const std::string where = firstLine(entry.path() / "wchan");
    report += (report.empty() ? "" : "; ") + entry.path().filename().string() + " " +
              firstLine(entry.path() / "comm") + " " + stateOf(firstLine(entry.path() / "stat")) +
              (where.empty() || where == "0" ? "" : " in " + where);
  }
  return report;
}

Watchdog::Watchdog(WatchdogOptions options) : options_(std::move(options)) {
  thread_ = std::thread([this] { run(); });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    isStopping_ = true;
  }
  stop_.notify_all();
  thread_.join();
}

void Watchdog::run() {
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, options_.period, [this] { return isStopping_; })) {
    lock.unlock();
    look(Clock::now());
    if (options_.tick) options_.tick();
    lock.lock();
  }
}

void Watchdog::look(Clock::time_point now) {
  if (!options_.progress) return;
  std::map<const void*, Watched> seen;
  auto longest = Clock::time_point::max();
  for (const EngineProgress& progress : options_.progress()) {
    const auto before = engines_.find(progress.engine);
    const bool stands = before != engines_.end() && progress.hasWork && before->second.last.hasWork &&
                        before->second.last.steps == progress.steps;
    const auto movedAt = stands ? before->second.movedAt : now;
    if (now - movedAt >= options_.limit) longest = std::min(longest, movedAt);
    seen[progress.engine] = {progress, movedAt};
  }
  engines_.swap(seen);
  const bool isStalled = longest != Clock::time_point::max();
  const bool wasStalled = stalledSince_.exchange(isStalled ? longest.time_since_epoch().count() : 0) != 0;
  if (isStalled && !wasStalled && options_.onStall) options_.onStall(threadReport());
}

std::optional<std::chrono::milliseconds> Watchdog::stalledFor() const {
  const Clock::rep since = stalledSince_;
  if (since == 0) return std::nullopt;
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() -
                                                               Clock::time_point(Clock::duration(since)));
}

}  // namespace quern::app::serve::front
