#include "app/serve/lan_server.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <utility>

#include "app/serve/api/routes.h"
#include "app/serve/api/service.h"
#include "app/serve/metrics/metrics.h"
#include "app/serve/web/web_page.h"
#include "engine/base/places.h"
#include "engine/hub/library.h"
#include "engine/scheduler/model_pool.h"

namespace quern::app::serve {
namespace {

using engine::base::Error;
using engine::base::Result;
using engine::scheduler::Engine;

/// The engines that the pool has loaded, as long as they live, for the watchdog.
class LivingEngines {
 public:
  void add(const std::shared_ptr<Engine>& engine) {
    const std::lock_guard lock(mutex_);
    std::erase_if(engines_, [](const auto& weak) { return weak.expired(); });
    engines_.push_back(engine);
  }
  std::vector<front::EngineProgress> progress() const {
    std::vector<std::shared_ptr<Engine>> living;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& weak : engines_) {
        if (auto engine = weak.lock()) living.push_back(std::move(engine));
      }
    }
    std::vector<front::EngineProgress> all;
    for (const auto& engine : living) {
      const auto stats = engine->stats();
      all.push_back({engine.get(), stats.running + stats.waiting > 0,
                     stats.generatedTokens + stats.promptTokens + stats.cachedTokens});
    }
    return all;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::weak_ptr<Engine>> engines_;
};

/// How far the models are that the server was started with.
class Loading {
 public:
  void begin(const std::string& model) {
    const std::lock_guard lock(mutex_);
    ++named_;
    waiting_.push_back(model);
  }
  void ended(const std::string& model, const std::optional<Error>& error) {
    const std::lock_guard lock(mutex_);
    std::erase(waiting_, model);
    if (!error) return;
    ++failed_;
    error_ = error;
  }
  std::optional<std::string> whyNotReady() const {
    const std::lock_guard lock(mutex_);
    if (!waiting_.empty()) return "loading " + waiting_.front();
    if (named_ > 0 && failed_ == named_) return "no model could be loaded";
    return std::nullopt;
  }
  std::optional<Error> failure() const {
    const std::lock_guard lock(mutex_);
    return named_ > 0 && failed_ == named_ ? error_ : std::nullopt;
  }

 private:
  mutable std::mutex mutex_;
  int named_ = 0;
  int failed_ = 0;
  std::vector<std::string> waiting_;
  std::optional<Error> error_;
};

/// Lines for the server's log, kept until there is one.
class Notices {
 public:
  void say(const std::string& sentence) {
    const std::lock_guard lock(mutex_);
    if (server_ == nullptr) return early_.push_back(sentence);
    server_->say("response_cache", sentence, true);
  }
  /// `server`: null when it goes.
  void speakThrough(Server* server) {
    const std::lock_guard lock(mutex_);
    server_ = server;
    if (server == nullptr) return;
    for (const std::string& sentence : early_) server->say("response_cache", sentence, true);
    early_.clear();
  }

 private:
  std::mutex mutex_;
  Server* server_ = nullptr;
  std::vector<std::string> early_;
};

std::int64_t modifiedMsOf(const std::filesystem::path& path) {
  std::error_code failed;
  const auto time = std::filesystem::last_write_time(path, failed);
  if (failed) return 0;
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::file_clock::to_sys(time).time_since_epoch())
      .count();
}

/// Other numbers of the cache, other kernels or another version may round differently.
std::string answerSettingOf(const LanOptions& options) {
  return options.version + " " + std::to_string(static_cast<int>(options.load.kvType)) + " " +
         std::to_string(options.load.contextTokens) + " " + options.load.kernels;
}

}  // namespace

class LanServer::Impl {
 public:
  ~Impl() { notices->speakThrough(nullptr); }
  Result<void> open(LanOptions options);
  void load(const std::vector<ServedModel>& models);

  // Calls of the pool and the server refer to the first two; the server ends before what its handlers use.
  std::shared_ptr<LivingEngines> engines = std::make_shared<LivingEngines>();
  std::shared_ptr<Loading> loading = std::make_shared<Loading>();
  std::shared_ptr<Notices> notices = std::make_shared<Notices>();
  std::unique_ptr<Metrics> metrics;
  std::unique_ptr<engine::scheduler::ModelPool> pool;
  std::unique_ptr<Service> service;
  std::unique_ptr<Server> server;
};

Result<void> LanServer::Impl::open(LanOptions options) {
  std::vector<ServedModel> models;
  for (const std::string& name : options.models) {
    QUERN_ASSIGN(const auto path, engine::hub::resolveModel(name));
    std::error_code ignored;
    // A path is called by its file's name: where it lies is nobody's affair.
    ServedModel model{name, path, std::filesystem::file_size(path, ignored), modifiedMsOf(path)};
    if (name.find('/') != std::string::npos || name.ends_with(".gguf")) model.name = path.stem().string();
    models.push_back(std::move(model));
  }
  metrics = std::make_unique<Metrics>(options.version);
  engine::scheduler::PoolOptions pooled;
  pooled.defaults = options.load;
  pooled.load = [known = engines](const std::filesystem::path& path,
                                  const engine::scheduler::LoadOptions& load,
                                  const engine::runtime::Progress& progress) {
    auto loaded = Engine::load(path, load, progress);
    if (loaded) known->add(*loaded);
    return loaded;
  };
  pool = std::make_unique<engine::scheduler::ModelPool>(std::move(pooled));
  ServiceOptions served;
  served.models = models;
  served.installed = options.servesInstalled;
  served.version = options.version;
  served.answerCacheBytes = options.answerCacheBytes;
  served.answerFile = options.answerFile;
  if (served.answerFile.empty()) served.answerFile = engine::base::cacheFolder() / "answers.db";
  served.answerSetting = answerSettingOf(options);
  served.notice = [known = notices](const std::string& sentence) { known->say(sentence); };
  service = std::make_unique<Service>(*pool, *metrics, std::move(served));
  for (const ServedModel& model : models) loading->begin(model.name);
  options.server.whyNotReady = [state = loading] { return state->whyNotReady(); };
  options.server.progress = [known = engines] { return known->progress(); };
  options.server.onRefused = [counters = metrics.get()](const std::string& reason) {
    counters->rejected(reason);
  };
  std::vector<Route> routes = makeRoutes(*service);
  for (Route& route : webRoutes()) routes.push_back(std::move(route));
  QUERN_ASSIGN(server, Server::start(std::move(options.server), std::move(routes)));
  notices->speakThrough(server.get());
  load(models);
  return engine::base::ok();
}

void LanServer::Impl::load(const std::vector<ServedModel>& models) {
  for (const ServedModel& model : models) {
    pool->pin(model.path, true);
    engine::scheduler::AcquireOptions acquire;
    acquire.roomWait = std::chrono::milliseconds(-1);
    pool->acquireLater(model.path, acquire,
                       [state = loading, counters = metrics.get(),
                        name = model.name](Result<engine::scheduler::Lease> lease) {
                         if (lease) counters->watch(name, *lease);
                         state->ended(name, lease ? std::nullopt : std::optional<Error>(lease.error()));
                       });
  }
}

LanServer::LanServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LanServer::~LanServer() = default;

Result<std::unique_ptr<LanServer>> LanServer::start(LanOptions options) {
  auto impl = std::make_unique<Impl>();
  QUERN_TRY(impl->open(std::move(options)));
  return std::unique_ptr<LanServer>(new LanServer(std::move(impl)));
}

Server& LanServer::server() { return *impl_->server; }
std::optional<std::string> LanServer::whyNotReady() const { return impl_->loading->whyNotReady(); }
bool LanServer::hasModels() const { return !impl_->service->catalog().all().empty(); }
std::optional<Error> LanServer::failure() const { return impl_->loading->failure(); }

}  // namespace quern::app::serve
