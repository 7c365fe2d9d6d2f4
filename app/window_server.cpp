#include "app/window_server.h"

#include <algorithm>
#include <deque>
#include <mutex>
#include <utility>

#include "app/serve/front/certificate.h"
#include "app/serve/front/key_store.h"
#include "app/serve/lan_server.h"
#include "engine/base/places.h"

namespace quern::app {
namespace {

using engine::base::Error;
using engine::base::ErrorCode;
using engine::base::Result;
using serve::LanServer;
namespace front = serve::front;

/// More than a screen shows.
constexpr std::size_t kKeptRequests = 100;

/// The requests that ended last; written by the server's threads.
class History {
 public:
  void add(const front::AccessRecord& record) {
    ui::LanRequest request;
    request.endedMs = front::unixNowMs();
    request.status = record.status;
    request.path = record.path;
    request.model = record.facts.model;
    request.client = record.keyName;
    request.address = record.remote;
    request.elapsedMs = record.elapsedMs;
    request.promptTokens = record.facts.promptTokens;
    request.completionTokens = record.facts.completionTokens;
    const std::lock_guard lock(mutex_);
    requests_.push_front(std::move(request));
    if (requests_.size() > kKeptRequests) requests_.pop_back();
  }
  std::vector<ui::LanRequest> all() const {
    const std::lock_guard lock(mutex_);
    return {requests_.begin(), requests_.end()};
  }

 private:
  mutable std::mutex mutex_;
  std::deque<ui::LanRequest> requests_;
};

bool isGood(const front::KeyFacts& key, std::int64_t nowMs) {
  return !key.revokedMs && (!key.expiresMs || *key.expiresMs > nowMs);
}

/// Addresses of this machine that others reach it by, then those of this machine alone.
std::vector<std::string> urlsOf(const ui::LanOptions& options, std::uint16_t port) {
  const std::string scheme = options.usesTls ? "https://" : "http://";
  const std::string tail = ":" + std::to_string(port);
  std::vector<std::string> urls;
  if (options.wholeNetwork) {
    for (const std::string& name : front::namesOfThisMachine()) {
      const bool isV4 = !name.empty() && name.find_first_not_of("0123456789.") == std::string::npos;
      if (isV4 && !serve::http::isLoopbackAddress(name)) urls.push_back(scheme + name + tail);
    }
  }
  urls.push_back(scheme + "127.0.0.1" + tail);
  return urls;
}

class WindowServer final : public ui::LanService {
 public:
  explicit WindowServer(std::string version) : version_(std::move(version)) {}

  Result<void> start(const ui::LanOptions& options) override;
  void stop(std::chrono::milliseconds wait) override;
  ui::LanStatus status() const override;
  Result<void> offer(const std::filesystem::path& path,
                     std::shared_ptr<engine::scheduler::Engine> engine) override;
  void withdraw() override;
  Result<std::vector<ui::LanKey>> keys() const override;
  Result<std::string> addKey(const std::string& name) override;
  Result<void> revokeKey(const std::string& id) override;

 private:
  std::shared_ptr<LanServer> server() const {
    const std::lock_guard lock(mutex_);
    return server_;
  }
  Result<void> reload() const;

  const std::string version_;
  const std::shared_ptr<History> history_ = std::make_shared<History>();
  std::mutex changing_;  ///< over start(), stop(), offer() and withdraw(), which block
  mutable std::mutex mutex_;
  std::shared_ptr<LanServer> server_;
  ui::LanStatus fixed_;               ///< what does not change while it listens
  serve::ServerOptions startedWith_;  ///< what server_ was given
};

/// The certificate that is there, or a new one for the names that this machine has now.
Result<void> useTls(serve::ServerOptions& options, ui::LanStatus& status) {
  const auto folder = front::defaultCertificateFolder();
  options.listen.tlsCertificate = folder / "server.pem";
  options.listen.tlsKey = folder / "server.key";
  std::error_code ignored;
  const bool isThere = std::filesystem::exists(options.listen.tlsCertificate, ignored) &&
                       std::filesystem::exists(options.listen.tlsKey, ignored);
  if (!isThere) {
    front::CertificateOptions wanted;
    wanted.folder = folder;
    wanted.names = front::namesOfThisMachine();
    QUERN_TRY(front::makeCertificate(wanted));
  }
  QUERN_ASSIGN(status.fingerprint, front::certificateFingerprint(options.listen.tlsCertificate));
  status.authority = folder / "ca.pem";
  return engine::base::ok();
}

Result<void> WindowServer::start(const ui::LanOptions& options) {
  const std::lock_guard changing(changing_);
  if (server()) return engine::base::ok();
  QUERN_ASSIGN(const auto known, keys());
  if ((options.wholeNetwork || options.needsKeys) && known.empty()) {
    return Error(
        ErrorCode::kInvalidArgument,
        options.wholeNetwork
            ? "Other machines need an API key, and there is none yet. Make one, then start the server."
            : "There is no API key yet. Make one, then start the server.");
  }
  ui::LanStatus fixed;
  serve::LanOptions wanted;
  wanted.servesInstalled = false;
  wanted.awaitsOffer = true;
  wanted.version = version_;
  wanted.server.listen.host = options.wholeNetwork ? "0.0.0.0" : "127.0.0.1";
  wanted.server.listen.port = options.port;
  wanted.server.needsKeys = options.needsKeys;
  wanted.server.log.file = engine::base::dataFolder() / "server.log";
  wanted.server.log.watch = [history = history_](const front::AccessRecord& record) { history->add(record); };
  if (options.usesTls) QUERN_TRY(useTls(wanted.server, fixed));
  const serve::ServerOptions given = wanted.server;
  auto listening = LanServer::start(std::move(wanted));
  if (!listening && listening.error().code() == ErrorCode::kBusy) {
    return Error(ErrorCode::kBusy,
                 "Port " + std::to_string(options.port) +
                     " is in use by another program. Choose another port, then start the server.",
                 {listening.error().describe()});
  }
  QUERN_ASSIGN(auto started, std::move(listening));
  fixed.isListening = true;
  fixed.urls = urlsOf(options, started->server().status().port);
  const std::lock_guard lock(mutex_);
  server_ = std::move(started);
  fixed_ = std::move(fixed);
  startedWith_ = given;
  return engine::base::ok();
}

void WindowServer::stop(std::chrono::milliseconds wait) {
  const std::lock_guard changing(changing_);
  auto ending = server();
  if (!ending) return;
  ending->server().drain(wait);
  const std::lock_guard lock(mutex_);
  server_.reset();
  fixed_ = {};
}

ui::LanStatus WindowServer::status() const {
  // Under the lock: so the last pointer never goes here, where somebody may be painting.
  const std::lock_guard lock(mutex_);
  ui::LanStatus status = fixed_;
  status.last = history_->all();
  if (!server_) return status;
  const auto now = server_->server().status();
  status.isDraining = now.isDraining;
  status.connections = now.connections;
  status.requests = now.requests;
  status.succeeded = now.succeeded;
  status.refused = now.refused;
  status.failed = now.failed;
  return status;
}

Result<void> WindowServer::offer(const std::filesystem::path& path,
                                 std::shared_ptr<engine::scheduler::Engine> engine) {
  const std::lock_guard changing(changing_);
  const auto running = server();
  return running ? running->offer(path, std::move(engine)) : engine::base::ok();
}

void WindowServer::withdraw() {
  const std::lock_guard changing(changing_);
  if (const auto running = server()) running->withdraw();
}

Result<std::vector<ui::LanKey>> WindowServer::keys() const {
  QUERN_ASSIGN(const auto ring, front::KeyRing::read(front::defaultKeyFile()));
  std::vector<ui::LanKey> keys;
  for (const front::KeyFacts& key : ring.all()) {
    if (isGood(key, front::unixNowMs())) keys.push_back({key.id, key.name, key.createdMs, key.expiresMs});
  }
  return keys;
}

Result<std::string> WindowServer::addKey(const std::string& name) {
  front::KeyFacts facts;
  facts.name = name;
  QUERN_ASSIGN(auto key, front::addKey(front::defaultKeyFile(), std::move(facts)));
  QUERN_TRY(reload());
  return key;
}

Result<void> WindowServer::revokeKey(const std::string& id) {
  QUERN_TRY(front::revokeKey(front::defaultKeyFile(), id));
  return reload();
}

Result<void> WindowServer::reload() const {
  const auto running = server();
  if (!running) return engine::base::ok();
  serve::ServerOptions same;
  {
    const std::lock_guard lock(mutex_);
    same = startedWith_;
  }
  QUERN_TRY(running->server().reload(same));
  return engine::base::ok();
}

}  // namespace

std::unique_ptr<ui::LanService> makeWindowServer(std::string version) {
  return std::make_unique<WindowServer>(std::move(version));
}

}  // namespace quern::app
