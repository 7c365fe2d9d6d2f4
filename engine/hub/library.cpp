#include "engine/hub/library.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <system_error>

#include "engine/base/places.h"
#include "engine/base/text.h"
#include "engine/gguf/file.h"

namespace quern::engine::hub {
namespace fs = std::filesystem;
namespace {

/// "name-00002-of-00005" → {"name", 2}; nullopt for the name of a single file.
std::optional<std::pair<std::string, int>> splitName(const std::string& stem) {
  constexpr std::size_t kSuffix = sizeof("-00001-of-00005") - 1;
  if (stem.size() <= kSuffix) return std::nullopt;
  int part = 0;
  int parts = 0;
  int read = 0;
  const char* suffix = stem.c_str() + stem.size() - kSuffix;
  if (std::sscanf(suffix, "-%5d-of-%5d%n", &part, &parts, &read) != 2 || read != static_cast<int>(kSuffix)) {
    return std::nullopt;
  }
  return std::pair(stem.substr(0, stem.size() - kSuffix), part);
}

std::int64_t unixMs(fs::file_time_type time) {
  const auto system = std::chrono::file_clock::to_sys(time);
  return std::chrono::duration_cast<std::chrono::milliseconds>(system.time_since_epoch()).count();
}

}  // namespace

base::Result<std::vector<InstalledModel>> installedModels() {
  std::vector<InstalledModel> models;
  std::error_code failure;
  fs::directory_iterator entries(base::modelsFolder(), failure);
  if (failure == std::errc::no_such_file_or_directory) return models;
  if (failure) {
    return base::Error(base::ErrorCode::kIo, "The models folder \"" + base::modelsFolder().string() +
                                                 "\" cannot be read: " + failure.message() + ".");
  }
  for (; entries != fs::directory_iterator(); entries.increment(failure)) {
    const fs::path& path = entries->path();
    std::error_code ignored;
    if (!entries->is_regular_file(ignored) || !gguf::hasGgufMagic(path)) continue;
    const std::string stem = path.extension() == ".gguf" ? path.stem().string() : path.filename().string();
    const auto split = splitName(stem);
    const std::string name = split ? split->first : stem;
    auto known = std::find_if(models.begin(), models.end(), [&](const auto& m) { return m.name == name; });
    if (known == models.end()) known = models.insert(models.end(), InstalledModel{name, path, 0, 0});
    if (split && split->second == 1) known->path = path;
    known->sizeBytes += entries->file_size(ignored);
    known->modifiedMs = std::max(known->modifiedMs, unixMs(entries->last_write_time(ignored)));
  }
  std::sort(models.begin(), models.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return models;
}

base::Result<fs::path> resolveModel(std::string_view model) {
  const auto models = installedModels();
  if (models) {
    for (const InstalledModel& installed : *models) {
      if (installed.name == model) return installed.path;
    }
  }
  const fs::path path(model);
  std::error_code ignored;
  if (fs::is_regular_file(path, ignored)) {
    if (gguf::hasGgufMagic(path)) return path;
    return base::Error(
        base::ErrorCode::kMalformed,
        "\"" + base::printable(model) + "\" is not a GGUF model: it does not begin with GGUF's magic.");
  }
  std::string names;
  if (models) {
    for (const InstalledModel& installed : *models) names += (names.empty() ? "" : ", ") + installed.name;
  }
  return base::Error(
      base::ErrorCode::kNotFound,
      "There is no model or file called \"" + base::printable(model) + "\". " +
          (names.empty() ? "No models are installed in \"" + base::modelsFolder().string() + "\"."
                         : "Installed: " + names + "."));
}

}  // namespace quern::engine::hub
