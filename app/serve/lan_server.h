// Models, endpoints and server as one: what "quern serve" starts, and what a window can start beside itself.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/serve/server.h"
#include "engine/base/result.h"
#include "engine/scheduler/engine.h"

namespace quern::app::serve {

struct LanOptions {
  /// Installed names or paths: loaded at once, in the background, and kept. Requests that name no model get
  /// the first.
  std::vector<std::string> models;
  bool servesInstalled = true;  ///< other installed models are loaded when they are asked for
  engine::scheduler::LoadOptions load;
  /// Memory, and a file of as much, for answers to requests that come again just the same; 0: none are kept.
  std::size_t answerCacheBytes = 0;
  std::filesystem::path answerFile;  ///< empty: answers.db in the cache folder
  ServerOptions server;              ///< readiness, progress and counters are filled in
  std::string version = "0.1.0";
};

/// Every function may be called from any thread but the server's own and an engine's.
class LanServer {
 public:
  /// Listens when it returns, and loads its models afterwards. Errors: those of hub::resolveModel() and of
  /// Server::start().
  static engine::base::Result<std::unique_ptr<LanServer>> start(LanOptions options);
  /// Cuts what is under way and unloads.
  ~LanServer();
  LanServer(const LanServer&) = delete;
  LanServer& operator=(const LanServer&) = delete;

  Server& server();
  /// What is still to be loaded; nothing once all is there.
  std::optional<std::string> whyNotReady() const;
  /// There is something that may be asked for.
  bool hasModels() const;
  /// Why no model could be loaded, when that is so of all that were named.
  std::optional<engine::base::Error> failure() const;

 private:
  class Impl;
  explicit LanServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace quern::app::serve
