#include "engine/base/places.h"

#include <cstdlib>
#include <string>

namespace quern::engine::base {
namespace {

std::filesystem::path place(const char* below, const char* variable, const char* fallback) {
  if (const char* home = std::getenv("QUERN_HOME"); home != nullptr && *home != '\0') {
    return std::filesystem::path(home) / below;
  }
  // The XDG specification: a relative path in these variables is to be ignored.
  if (const char* xdg = std::getenv(variable); xdg != nullptr && *xdg == '/') {
    return std::filesystem::path(xdg) / "quern";
  }
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home != nullptr && *home != '\0' ? home : "/tmp") / fallback / "quern";
}

}  // namespace

std::filesystem::path configFolder() { return place("config", "XDG_CONFIG_HOME", ".config"); }
std::filesystem::path dataFolder() { return place("data", "XDG_DATA_HOME", ".local/share"); }
std::filesystem::path cacheFolder() { return place("cache", "XDG_CACHE_HOME", ".cache"); }
std::filesystem::path modelsFolder() { return dataFolder() / "models"; }

}  // namespace quern::engine::base
