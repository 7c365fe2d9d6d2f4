// Named presets (system prompt and sampling), kept in the store's settings as JSON.
#pragma once

#include <QObject>
#include <QStringList>
#include <optional>
#include <vector>

#include "engine/sampling/sampler.h"
#include "engine/store/store.h"

namespace quern::ui {

struct Preset {
  QString name;
  QString systemPrompt;
  engine::sampling::Parameters sampling;
  int maxTokens = -1;
};

/// UI thread only. Read once; every change is queued for the store's writer. A list that cannot be read
/// (hostile or broken JSON) counts as empty, broken entries are left out.
class Presets : public QObject {
  Q_OBJECT
 public:
  explicit Presets(engine::store::Store& store, QObject* parent = nullptr);
  QStringList names() const;  ///< sorted for people
  std::optional<Preset> find(const QString& name) const;
  /// Adds, or replaces the one of that name (compared without case). An empty name is refused: false.
  bool save(Preset preset);
  bool rename(const QString& from, const QString& to);  ///< false: no such preset, or the name is taken
  void remove(const QString& name);

 Q_SIGNALS:
  void changed();

 private:
  void store();

  engine::store::Store& store_;
  std::vector<Preset> presets_;
};

}  // namespace quern::ui
