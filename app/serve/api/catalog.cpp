#include "app/serve/api/catalog.h"

#include <algorithm>
#include <chrono>

#include "engine/hub/library.h"

namespace quern::app::serve {
namespace {

std::string_view plainName(std::string_view name) {
  for (const std::string_view tail : {std::string_view(":latest"), std::string_view(".gguf")}) {
    if (name.ends_with(tail)) name.remove_suffix(tail.size());
  }
  return name;
}

std::int64_t modifiedMs(const std::filesystem::path& path) {
  std::error_code error;
  const auto time = std::filesystem::last_write_time(path, error);
  if (error) return 0;
  const auto system = std::chrono::file_clock::to_sys(time);
  return std::chrono::duration_cast<std::chrono::milliseconds>(system.time_since_epoch()).count();
}

}  // namespace

Catalog::Catalog(std::vector<ServedModel> named, bool installed) : installed_(installed) {
  setNamed(std::move(named));
}

void Catalog::setNamed(std::vector<ServedModel> named) {
  for (ServedModel& model : named) {
    std::error_code error;
    if (model.sizeBytes == 0) {
      const auto size = std::filesystem::file_size(model.path, error);
      if (!error) model.sizeBytes = size;
    }
    if (model.modifiedMs == 0) model.modifiedMs = modifiedMs(model.path);
  }
  const std::lock_guard lock(mutex_);
  named_ = std::move(named);
}

std::vector<ServedModel> Catalog::named() const {
  const std::lock_guard lock(mutex_);
  return named_;
}

std::vector<ServedModel> Catalog::all() const {
  std::vector<ServedModel> models = named();
  if (!installed_) return models;
  const auto installed = engine::hub::installedModels();
  if (!installed) return models;  // a folder that cannot be read has no models
  for (const auto& one : *installed) {
    const bool isKnown =
        std::any_of(models.begin(), models.end(), [&](const auto& other) { return other.name == one.name; });
    if (!isKnown) models.push_back({one.name, one.path, one.sizeBytes, one.modifiedMs});
  }
  return models;
}

std::optional<ServedModel> Catalog::find(std::string_view name) const {
  const std::vector<ServedModel> first = named();
  if (name.empty()) {
    if (first.empty()) return std::nullopt;
    return first.front();
  }
  const auto matching = [&](const std::vector<ServedModel>& models) -> std::optional<ServedModel> {
    for (const std::string_view wanted : {name, plainName(name)}) {
      for (const ServedModel& model : models) {
        if (model.name == wanted || plainName(model.name) == wanted) return model;
      }
    }
    return std::nullopt;
  };
  if (const auto named = matching(first)) return named;
  return matching(all());
}

}  // namespace quern::app::serve
