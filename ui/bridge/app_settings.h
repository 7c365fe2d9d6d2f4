// What the window remembers between two starts, in the store's settings.
#pragma once

#include <QObject>
#include <QString>
#include <QStringList>
#include <filesystem>
#include <optional>
#include <vector>

#include "engine/scheduler/engine.h"
#include "engine/store/store.h"

namespace quern::ui {

/// UI thread only. Values are read once, and written through to the store's writer when they change. What
/// cannot be read counts as not set.
class AppSettings : public QObject {
  Q_OBJECT
 public:
  enum class ThemeMode { kSystem = 0, kLight = 1, kDark = 2 };

  explicit AppSettings(engine::store::Store& store, QObject* parent = nullptr);

  ThemeMode themeMode() const;
  void setThemeMode(ThemeMode mode);
  int textPercent() const;  ///< 90…200
  void setTextPercent(int percent);
  std::filesystem::path lastModel() const;
  void setLastModel(const std::filesystem::path& path);
  std::optional<engine::store::Id> lastChat() const;
  void setLastChat(std::optional<engine::store::Id> chat);

  /// Whether the beginnings of chats that a model has read are kept on disk, so that a chat goes on at once
  /// after a restart. Switching it off removes them.
  bool keepsPrompts() const;
  void forgetPrompts();  ///< removes what was kept; for when no model is loaded
  void setKeepsPrompts(bool keeps);

  /// As last used with this model; the defaults for one that was never loaded.
  engine::scheduler::LoadOptions loadOptions(const std::filesystem::path& model) const;
  void setLoadOptions(const std::filesystem::path& model, const engine::scheduler::LoadOptions& options);

  /// Models used where they lie, newest first; at most 50. Files that are gone stay listed: a disk may only
  /// be unplugged.
  std::vector<std::filesystem::path> sideLoaded() const;
  void addSideLoaded(const std::filesystem::path& path);
  void removeSideLoaded(const std::filesystem::path& path);

 Q_SIGNALS:
  void changed();

 private:
  std::string value(const char* key) const;
  void put(const char* key, const std::string& value);

  engine::store::Store& store_;
};

}  // namespace quern::ui
