#include "app/serve/api/catalog.h"

#include <algorithm>
#include <chrono>

#include "engine/base/text.h"
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

Catalog::Catalog(std::vector<ServedModel> named, bool installed)
    : named_(std::move(named)), installed_(installed) {
  for (ServedModel& model : named_) {
    std::error_code error;
    if (model.sizeBytes == 0) {
      const auto size = std::filesystem::file_size(model.path, error);
      if (!error) model.sizeBytes = size;
    }
    if (model.modifiedMs == 0) model.modifiedMs = modifiedMs(model.path);
  }
}

std::vector<ServedModel> Catalog::all() const {
  std::vector<ServedModel> models = named_;
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
  if (name.empty()) {
    if (!named_.empty()) return named_.front();
    const auto models = all();
    return models.size() == 1 ? std::optional(models.front()) : std::nullopt;
  }
  const auto matching = [&](const std::vector<ServedModel>& models) -> std::optional<ServedModel> {
    for (const std::string_view wanted : {name, plainName(name)}) {
      for (const ServedModel& model : models) {
        if (model.name == wanted || plainName(model.name) == wanted) return model;
      }
    }
    return std::nullopt;
  };
  if (const auto named = matching(named_)) return named;
  return matching(all());
}

std::string Catalog::whyNot(std::string_view name) const {
  const auto models = all();
  if (models.empty()) return "There is no model here yet.";
  constexpr std::size_t kMostListed = 12;
  std::string names;
  for (std::size_t i = 0; i < std::min(models.size(), kMostListed); ++i) {
    names += (i > 0 ? ", \"" : "\"") + engine::base::printable(models[i].name) + "\"";
  }
  if (models.size() > kMostListed) names += " and others";
  const std::string begin = name.empty() ? "The request names no model"
                                         : "There is no model \"" + engine::base::printable(name) + "\" here";
  return begin + (models.size() == 1 ? "; here is " : "; here are ") + names + ".";
}

}  // namespace quern::app::serve
