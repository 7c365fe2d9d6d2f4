#include "ui/bridge/server_control.h"

#include <future>
#include <nlohmann/json.hpp>
#include <utility>

#include "engine/store/store.h"
#include "ui/bridge/model_service.h"
#include "ui/bridge/worker.h"

namespace quern::ui {

using engine::base::Error;
using engine::base::Result;
using nlohmann::json;

namespace {

constexpr char kPreferencesKey[] = "server.preferences";
/// Figures change twice a second.
constexpr int kLookMs = 500;
/// What answers get to their end when the server is stopped, and when the window is closed.
constexpr std::chrono::milliseconds kDrain{10'000};
constexpr std::chrono::milliseconds kDrainAtClose{5'000};

ServerPreferences preferencesOf(const std::string& text) {
  ServerPreferences preferences;
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return preferences;
  const auto flag = [&](const char* name, bool& into) {
    const auto found = object.find(name);
    if (found != object.end() && found->is_boolean()) into = found->get<bool>();
  };
  flag("wholeNetwork", preferences.lan.wholeNetwork);
  flag("needsKeys", preferences.lan.needsKeys);
  flag("usesTls", preferences.lan.usesTls);
  flag("startsWithWindow", preferences.startsWithWindow);
  const auto port = object.find("port");
  if (port != object.end() && port->is_number_unsigned() && *port <= 65535)
    preferences.lan.port = port->get<std::uint16_t>();
  return preferences;
}

std::string textOf(const ServerPreferences& preferences) {
  return json{{"wholeNetwork", preferences.lan.wholeNetwork},
              {"needsKeys", preferences.lan.needsKeys},
              {"usesTls", preferences.lan.usesTls},
              {"port", preferences.lan.port},
              {"startsWithWindow", preferences.startsWithWindow}}
      .dump();
}

QString detailsOf(const Error& error) {
  const QString whole = QString::fromStdString(error.describe());
  return whole == QString::fromStdString(error.message()) ? QString() : whole;
}

}  // namespace

class ServerControl::Private {
 public:
  Worker worker;  ///< all that blocks, in its order
};

ServerControl::ServerControl(engine::store::Store& store, ModelService& models, LanService& lan,
                             QObject* parent)
    : QObject(parent), d_(std::make_unique<Private>()), store_(store), models_(models), lan_(lan) {
  const auto kept = store.setting(kPreferencesKey);
  if (kept && *kept) preferences_ = preferencesOf(**kept);
  connect(&models_, &ModelService::stateChanged, this, &ServerControl::followModel);
  timer_.setInterval(kLookMs);
  connect(&timer_, &QTimer::timeout, this, &ServerControl::look);
  reloadKeys();
}

ServerControl::~ServerControl() {
  std::promise<void> stopped;
  d_->worker.post(Worker::Priority::kUrgent, [this, &stopped] {
    lan_.stop(kDrainAtClose);
    stopped.set_value();
  });
  stopped.get_future().wait();
  d_.reset();
}

void ServerControl::setPreferences(const ServerPreferences& preferences) {
  if (preferences == preferences_) return;
  preferences_ = preferences;
  store_.setSetting(kPreferencesKey, textOf(preferences));
  Q_EMIT preferencesChanged();
}

bool ServerControl::needsRestart() const {
  return state_ == State::kListening && !(running_ == preferences_.lan);
}

void ServerControl::start() {
  if (state_ == State::kDraining) {
    startsAgain_ = true;
  } else if (state_ == State::kStopped || state_ == State::kFailed) {
    beginStart(preferences_.lan);
  }
}

void ServerControl::stop() {
  startsAgain_ = false;
  if (state_ == State::kStarting || state_ == State::kListening) beginStop();
  if (state_ == State::kFailed) ended({});
}

void ServerControl::restart() {
  stop();
  start();
}

void ServerControl::beginStart(const LanOptions& options) {
  state_ = State::kStarting;
  error_.reset();
  running_ = options;
  d_->worker.post(Worker::Priority::kUrgent, [this, options] {
    auto result = std::make_shared<Result<void>>(lan_.start(options));
    QMetaObject::invokeMethod(
        this,
        [this, result] {
          if (state_ != State::kStarting) return;  // stopped meanwhile
          if (!*result) return ended(std::move(*result).error());
          state_ = State::kListening;
          timer_.start();
          look();
        },
        Qt::QueuedConnection);
  });
  followModel();
  Q_EMIT changed();
}

void ServerControl::beginStop() {
  state_ = State::kDraining;
  d_->worker.post(Worker::Priority::kUrgent, [this] {
    lan_.stop(kDrain);
    QMetaObject::invokeMethod(
        this, [this] { ended({}); }, Qt::QueuedConnection);
  });
  look();
}

void ServerControl::ended(std::optional<Error> error) {
  timer_.stop();
  state_ = error ? State::kFailed : State::kStopped;
  error_ = std::move(error);
  look();
  if (std::exchange(startsAgain_, false)) beginStart(preferences_.lan);
}

/// Behind whatever the worker is doing: a start that is on its way gets the model when it is done.
void ServerControl::followModel() {
  if (state_ != State::kStarting && state_ != State::kListening) {
    Q_EMIT changed();
    return;
  }
  error_.reset();
  const auto engine = models_.engine();
  if (!engine) {
    d_->worker.post(Worker::Priority::kUrgent, [this] { lan_.withdraw(); });
    Q_EMIT changed();
    return;
  }
  // Weak: a job that waits must not keep a model that another is to replace.
  d_->worker.post(Worker::Priority::kUrgent, [this, path = models_.path(), weak = std::weak_ptr(engine)] {
    auto living = weak.lock();
    if (!living) return;
    auto result = std::make_shared<Result<void>>(lan_.offer(path, std::move(living)));
    if (*result) return;
    QMetaObject::invokeMethod(
        this,
        [this, result] {
          if (state_ != State::kListening) return;
          error_ = std::move(*result).error();
          Q_EMIT changed();
        },
        Qt::QueuedConnection);
  });
  Q_EMIT changed();
}

void ServerControl::look() {
  status_ = lan_.status();
  Q_EMIT changed();
}

QString ServerControl::modelName() const {
  return models_.engine() ? QString::fromStdString(models_.path().stem().string()) : QString();
}

engine::scheduler::Stats ServerControl::engineStats() const {
  const auto engine = models_.engine();
  return engine ? engine->stats() : engine::scheduler::Stats();
}

void ServerControl::reloadKeys() {
  d_->worker.post(Worker::Priority::kUrgent, [this] {
    auto keys = std::make_shared<Result<std::vector<LanKey>>>(lan_.keys());
    QMetaObject::invokeMethod(
        this,
        [this, keys] {
          if (!*keys) {
            Q_EMIT keyFailed(QString::fromStdString(keys->error().message()), detailsOf(keys->error()));
          } else if (keys_ != **keys) {
            keys_ = std::move(**keys);
            Q_EMIT keysChanged();
          }
        },
        Qt::QueuedConnection);
  });
}

void ServerControl::addKey(const QString& name) {
  d_->worker.post(Worker::Priority::kUrgent, [this, name] {
    auto key = std::make_shared<Result<std::string>>(lan_.addKey(name.toStdString()));
    QMetaObject::invokeMethod(
        this,
        [this, name, key] {
          if (!*key) {
            Q_EMIT keyFailed(QString::fromStdString(key->error().message()), detailsOf(key->error()));
          } else {
            Q_EMIT keyAdded(name, QString::fromStdString(**key));
          }
        },
        Qt::QueuedConnection);
  });
  reloadKeys();
}

void ServerControl::revokeKey(const QString& id) {
  d_->worker.post(Worker::Priority::kUrgent, [this, id] {
    auto done = std::make_shared<Result<void>>(lan_.revokeKey(id.toStdString()));
    if (*done) return;
    QMetaObject::invokeMethod(
        this,
        [this, done] {
          Q_EMIT keyFailed(QString::fromStdString(done->error().message()), detailsOf(done->error()));
        },
        Qt::QueuedConnection);
  });
  reloadKeys();
}

}  // namespace quern::ui
