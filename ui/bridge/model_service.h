// The model that the window talks to: loads it on a thread of its own, says how far it is, keeps the engine.
#pragma once

#include <QObject>
#include <QString>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "engine/scheduler/engine.h"

namespace quern::ui {

/// UI thread only; the load itself runs on a worker thread and its results arrive as queued signals.
class ModelService : public QObject {
  Q_OBJECT
 public:
  enum class State { kNone, kLoading, kReady, kFailed };
  /// How engines are made; tests hand in a scripted one.
  using Loader = std::function<engine::base::Result<std::shared_ptr<engine::scheduler::Engine>>(
      const std::filesystem::path&, const engine::scheduler::LoadOptions&, const engine::runtime::Progress&)>;
  /// How a chat becomes a prompt: scheduler::renderChat. Called on a worker thread.
  using Renderer = std::function<engine::base::Result<std::vector<std::int32_t>>(
      const engine::scheduler::Engine&, const std::vector<engine::scheduler::ChatMessage>&,
      bool addGenerationPrompt)>;

  explicit ModelService(QObject* parent = nullptr);  ///< with Engine::load and scheduler::renderChat
  ModelService(Loader loader, QObject* parent);      ///< with scheduler::renderChat
  ModelService(Loader loader, Renderer renderer, QObject* parent);
  ~ModelService() override;  ///< cancels a load and waits for it

  /// Loads `path`, in place of what is loaded or loading now. The old engine goes first, on the worker
  /// thread; its answers end as cancelled.
  void load(const std::filesystem::path& path, const engine::scheduler::LoadOptions& options);
  void cancelLoad();  ///< the state becomes kNone at once
  void unload();

  State state() const;
  double progress() const;  ///< 0…1 while loading
  std::filesystem::path path() const;
  QString modelName() const;  ///< for people, from the file's name: "SmolLM2 135M Instruct"
  std::optional<engine::base::Error> error() const;           ///< with kFailed
  std::shared_ptr<engine::scheduler::Engine> engine() const;  ///< null unless kReady
  const Renderer& renderer() const;

 Q_SIGNALS:
  void stateChanged();
  void progressChanged(double fraction);

 private:
  class Private;
  std::unique_ptr<Private> d_;
};

}  // namespace quern::ui
