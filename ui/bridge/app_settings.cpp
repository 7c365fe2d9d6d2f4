#include "ui/bridge/app_settings.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <system_error>

#include "engine/base/places.h"

namespace quern::ui {
namespace {

using engine::runtime::KvCacheType;
using engine::scheduler::LoadOptions;
using nlohmann::json;
namespace fs = std::filesystem;

constexpr char kTheme[] = "window.theme";
constexpr char kTextPercent[] = "window.textPercent";
constexpr char kLastModel[] = "window.lastModel";
constexpr char kLastChat[] = "window.lastChat";
constexpr char kKeepPrompts[] = "models.keepPrompts";
constexpr char kLoadPrefix[] = "model.load:";
constexpr char kSideLoaded[] = "models.sideLoaded";
constexpr std::size_t kSideLoadedMost = 50;
/// Answers that are made together: chats of the window, and requests of the network while it serves.
constexpr std::int32_t kTogether = 4;
constexpr int kSmallestText = 90;
constexpr int kLargestText = 200;

std::optional<std::int64_t> numberOf(const std::string& text) {
  bool valid = false;
  const qlonglong number = QString::fromStdString(text).toLongLong(&valid);
  return valid ? std::optional<std::int64_t>(number) : std::nullopt;
}

fs::path promptsFolder() { return engine::base::cacheFolder() / "prompts"; }

std::string keyOf(const fs::path& model) { return kLoadPrefix + model.lexically_normal().string(); }

/// Reads a number of [least, most] into `into`; anything else leaves it.
void readInto(const json& object, const char* name, std::int32_t least, std::int32_t most,
              std::int32_t& into) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number_integer()) return;
  if (*found >= least && *found <= most) into = found->get<std::int32_t>();
}

}  // namespace

AppSettings::AppSettings(engine::store::Store& store, QObject* parent) : QObject(parent), store_(store) {}

std::string AppSettings::value(const char* key) const {
  const auto found = store_.setting(key);
  return found && *found ? **found : std::string();
}

void AppSettings::put(const char* key, const std::string& text) {
  if (value(key) == text) return;
  store_.setSetting(key, text);
  Q_EMIT changed();
}

AppSettings::ThemeMode AppSettings::themeMode() const {
  const auto mode = numberOf(value(kTheme)).value_or(0);
  return mode == 1 ? ThemeMode::kLight : mode == 2 ? ThemeMode::kDark : ThemeMode::kSystem;
}

void AppSettings::setThemeMode(ThemeMode mode) { put(kTheme, std::to_string(static_cast<int>(mode))); }

int AppSettings::textPercent() const {
  const auto percent = numberOf(value(kTextPercent)).value_or(100);
  return static_cast<int>(std::clamp<std::int64_t>(percent, kSmallestText, kLargestText));
}

void AppSettings::setTextPercent(int percent) {
  put(kTextPercent, std::to_string(std::clamp(percent, kSmallestText, kLargestText)));
}

fs::path AppSettings::lastModel() const { return value(kLastModel); }
void AppSettings::setLastModel(const fs::path& path) { put(kLastModel, path.string()); }

std::optional<engine::store::Id> AppSettings::lastChat() const {
  const auto id = numberOf(value(kLastChat));
  return id && *id > 0 ? id : std::nullopt;
}

void AppSettings::setLastChat(std::optional<engine::store::Id> chat) {
  put(kLastChat, chat ? std::to_string(*chat) : std::string());
}

bool AppSettings::keepsPrompts() const { return value(kKeepPrompts) == "1"; }

void AppSettings::setKeepsPrompts(bool keeps) {
  if (keepsPrompts() == keeps) return;
  // A model that is loaded may still want to write there: it finds no folder and keeps nothing.
  if (!keeps) forgetPrompts();
  put(kKeepPrompts, keeps ? "1" : "0");
}

void AppSettings::forgetPrompts() {
  std::error_code ignored;
  fs::remove_all(promptsFolder(), ignored);
}

LoadOptions AppSettings::loadOptions(const fs::path& model) const {
  LoadOptions options;
  options.parallel = kTogether;
  // One context for all of them: a chat alone takes no more memory than it needs.
  options.kvTokens = 1;
  if (keepsPrompts()) options.prefixFolder = promptsFolder();
  const json object = json::parse(value(keyOf(model).c_str()), nullptr, false);
  if (!object.is_object()) return options;
  readInto(object, "contextTokens", 0, 1 << 24, options.contextTokens);
  readInto(object, "parallel", kTogether, 1024, options.parallel);
  readInto(object, "threads", 0, 4096, options.threads);
  readInto(object, "batchTokens", 1, 1 << 16, options.batchTokens);
  std::int32_t kvType = static_cast<std::int32_t>(options.kvType);
  readInto(object, "kvType", 0, static_cast<std::int32_t>(KvCacheType::kQ4_0), kvType);
  options.kvType = static_cast<KvCacheType>(kvType);
  return options;
}

void AppSettings::setLoadOptions(const fs::path& model, const LoadOptions& options) {
  const json object = {{"contextTokens", options.contextTokens},
                       {"parallel", options.parallel},
                       {"threads", options.threads},
                       {"batchTokens", options.batchTokens},
                       {"kvType", static_cast<int>(options.kvType)}};
  put(keyOf(model).c_str(), object.dump());
}

std::vector<fs::path> AppSettings::sideLoaded() const {
  std::vector<fs::path> paths;
  const json list = json::parse(value(kSideLoaded), nullptr, false);
  if (!list.is_array()) return paths;
  for (const json& entry : list) {
    if (entry.is_string() && paths.size() < kSideLoadedMost) paths.emplace_back(entry.get<std::string>());
  }
  return paths;
}

void AppSettings::addSideLoaded(const fs::path& path) {
  const fs::path normal = path.lexically_normal();
  std::vector<fs::path> paths = sideLoaded();
  std::erase(paths, normal);
  paths.insert(paths.begin(), normal);
  json list = json::array();
  for (std::size_t i = 0; i < std::min(paths.size(), kSideLoadedMost); ++i) list.push_back(paths[i].string());
  put(kSideLoaded, list.dump(-1, ' ', false, json::error_handler_t::replace));
}

void AppSettings::removeSideLoaded(const fs::path& path) {
  json list = json::array();
  for (const fs::path& kept : sideLoaded()) {
    if (kept != path.lexically_normal()) list.push_back(kept.string());
  }
  put(kSideLoaded, list.dump(-1, ' ', false, json::error_handler_t::replace));
}

}  // namespace quern::ui
