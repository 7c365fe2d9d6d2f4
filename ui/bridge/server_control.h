// The window's server: started and stopped, with the model that the window has loaded, and what it is doing.
#pragma once

#include <QObject>
#include <QString>
#include <QTimer>
#include <memory>
#include <optional>
#include <vector>

#include "ui/server/lan_service.h"

namespace quern::engine::store {
class Store;
}

namespace quern::ui {

class ModelService;

struct ServerPreferences {
  LanOptions lan;
  bool startsWithWindow = false;

  bool operator==(const ServerPreferences&) const = default;
};

/// UI thread only; what blocks runs on a worker thread and comes back as queued signals. The engine that is
/// loaded in `models` is the served one, from then on until another takes its place.
class ServerControl : public QObject {
  Q_OBJECT
 public:
  enum class State { kStopped, kStarting, kListening, kDraining, kFailed };

  /// All three outlive it.
  ServerControl(engine::store::Store& store, ModelService& models, LanService& lan,
                QObject* parent = nullptr);
  /// Stops the server: gives its answers some seconds, and blocks as long.
  ~ServerControl() override;

  const ServerPreferences& preferences() const { return preferences_; }
  /// Remembered at once; what is about the server holds with its next start.
  void setPreferences(const ServerPreferences& preferences);
  /// Whether the running server was started with other preferences than these.
  bool needsRestart() const;

  void start();
  void stop();
  void restart();

  State state() const { return state_; }
  /// kFailed: why it could not start. kListening: why the model is not served, when that is so.
  std::optional<engine::base::Error> error() const { return error_; }
  /// As it was when changed() was emitted last.
  const LanStatus& status() const { return status_; }
  /// What requests call the model that is served now; empty: none.
  QString modelName() const;
  /// Running and waiting in the engine, those of the window included.
  engine::scheduler::Stats engineStats() const;

  const std::vector<LanKey>& keys() const { return keys_; }
  void reloadKeys();
  void addKey(const QString& name);  ///< then keyAdded() or keyFailed()
  void revokeKey(const QString& id);

 Q_SIGNALS:
  void changed();  ///< state, status, model or error
  void preferencesChanged();
  void keysChanged();
  void keyAdded(const QString& name, const QString& key);
  void keyFailed(const QString& sentence, const QString& details);

 private:
  void followModel();
  void beginStart(const LanOptions& options);
  void beginStop();
  void ended(std::optional<engine::base::Error> error);
  void look();

  class Private;
  std::unique_ptr<Private> d_;
  engine::store::Store& store_;
  ModelService& models_;
  LanService& lan_;
  ServerPreferences preferences_;
  LanOptions running_;  ///< what the server was started with
  State state_ = State::kStopped;
  bool startsAgain_ = false;
  std::optional<engine::base::Error> error_;
  LanStatus status_;
  std::vector<LanKey> keys_;
  QTimer timer_;
};

}  // namespace quern::ui
