#include "ui/bridge/presets.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "ui/bridge/sampling_json.h"

namespace quern::ui {
namespace {

using nlohmann::json;

constexpr char kKey[] = "window.presets";

auto named(const QString& name) {
  return [name](const Preset& preset) { return preset.name.compare(name, Qt::CaseInsensitive) == 0; };
}

std::string textOf(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

Presets::Presets(engine::store::Store& store, QObject* parent) : QObject(parent), store_(store) {
  const auto kept = store_.setting(kKey);
  if (!kept || !*kept) return;
  const json list = json::parse(**kept, nullptr, false);
  if (!list.is_array()) return;
  for (const json& entry : list) {
    if (!entry.is_object()) continue;
    Preset preset;
    preset.name = QString::fromStdString(textOf(entry, "name")).simplified();
    if (preset.name.isEmpty() || find(preset.name)) continue;
    preset.systemPrompt = QString::fromStdString(textOf(entry, "systemPrompt"));
    if (entry.contains("sampling")) preset.sampling = samplingFromJson(entry["sampling"]);
    const auto limit = entry.find("maxTokens");
    if (limit != entry.end() && limit->is_number_unsigned() && *limit < 1'000'000'000U) {
      preset.maxTokens = limit->get<int>();
    }
    presets_.push_back(std::move(preset));
  }
}

QStringList Presets::names() const {
  QStringList names;
  for (const Preset& preset : presets_) names.append(preset.name);
  std::sort(names.begin(), names.end(),
            [](const QString& a, const QString& b) { return a.localeAwareCompare(b) < 0; });
  return names;
}

std::optional<Preset> Presets::find(const QString& name) const {
  const auto found = std::find_if(presets_.begin(), presets_.end(), named(name));
  return found == presets_.end() ? std::nullopt : std::optional(*found);
}

bool Presets::save(Preset preset) {
  preset.name = preset.name.simplified();
  if (preset.name.isEmpty()) return false;
  const auto found = std::find_if(presets_.begin(), presets_.end(), named(preset.name));
  if (found == presets_.end()) {
    presets_.push_back(std::move(preset));
  } else {
    *found = std::move(preset);
  }
  store();
  return true;
}

bool Presets::rename(const QString& from, const QString& to) {
  const QString name = to.simplified();
  const auto found = std::find_if(presets_.begin(), presets_.end(), named(from));
  const auto taken = std::find_if(presets_.begin(), presets_.end(), named(name));
  if (found == presets_.end() || name.isEmpty() || (taken != presets_.end() && taken != found)) return false;
  found->name = name;
  store();
  return true;
}

void Presets::remove(const QString& name) {
  if (std::erase_if(presets_, named(name)) > 0) store();
}

void Presets::store() {
  json list = json::array();
  for (const Preset& preset : presets_) {
    json entry = {{"name", preset.name.toStdString()},
                  {"systemPrompt", preset.systemPrompt.toStdString()},
                  {"sampling", samplingToJson(preset.sampling)}};
    if (preset.maxTokens >= 0) entry["maxTokens"] = preset.maxTokens;
    list.push_back(std::move(entry));
  }
  store_.setSetting(kKey, list.dump(-1, ' ', false, json::error_handler_t::replace));
  Q_EMIT changed();
}

}  // namespace quern::ui
