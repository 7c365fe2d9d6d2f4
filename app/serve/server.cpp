#include "app/serve/server.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "app/serve/front/front_door.h"
#include "app/serve/front/key_store.h"

namespace quern::app::serve {
namespace {

using engine::base::Error;
using engine::base::ErrorCode;
using engine::base::Result;

/// How often drain() looks: nothing for a processor, and short beside any answer.
constexpr std::chrono::milliseconds kPoll{10};

/// What nobody should come to by accident.
Result<void> checkSafety(const ServerOptions& options, bool isLoopbackOnly, const front::KeyRing& keys) {
  const bool hasKeys = keys.hasGoodKey(front::unixNowMs());
  if (!isLoopbackOnly && !options.isOpenToAll && !hasKeys) {
    return Error(
        ErrorCode::kInvalidArgument,
        "Listening on \"" + options.listen.host +
            "\" lets other machines in, which needs an API key: make one with \"quern key add NAME\". "
            "\"--insecure-no-auth\" lets everybody in without.");
  }
  if (options.needsKeys && !hasKeys) {
    return Error(ErrorCode::kInvalidArgument,
                 "There is no API key that is good now. Make one with \"quern key add NAME\".");
  }
  const auto& origins = options.allowedOrigins;
  const bool needsKeys = options.needsKeys || (!isLoopbackOnly && !options.isOpenToAll);
  if (!needsKeys && std::find(origins.begin(), origins.end(), "*") != origins.end()) {
    return Error(
        ErrorCode::kInvalidArgument,
        "\"--allow-origin *\" would let every web page use this server without a key. Name the pages, "
        "or ask for keys with \"--require-key\".");
  }
  if (options.listen.tlsCertificate.empty() != options.listen.tlsKey.empty()) {
    return Error(ErrorCode::kInvalidArgument,
                 "TLS needs both \"--tls-cert\" and \"--tls-key\". \"quern cert\" makes them.");
  }
  return engine::base::ok();
}

std::string urlHost(const std::string& host) {
  return host.find(':') != std::string::npos ? "[" + host + "]" : host;
}

}  // namespace

class Server::Impl {
 public:
  ServerOptions options;
  bool needsKeys = false;
  std::shared_ptr<front::AccessLog> log;
  std::shared_ptr<front::FrontDoor> door;
  std::unique_ptr<http::HttpServer> http;
  std::unique_ptr<front::Watchdog> watchdog;

  Result<void> open(std::vector<Route> routes);
  void watch();
  void stop() {
    door->beginDrain();
    if (http) http->stop();
    watchdog.reset();
  }
};

Result<void> Server::Impl::open(std::vector<Route> routes) {
  QUERN_ASSIGN(const auto addresses, http::resolveHost(options.listen.host));
  const bool isLoopbackOnly = std::all_of(addresses.begin(), addresses.end(), http::isLoopbackAddress);
  if (options.keyFile.empty()) options.keyFile = front::defaultKeyFile();
  QUERN_ASSIGN(auto keys, front::KeyRing::read(options.keyFile));
  QUERN_TRY(checkSafety(options, isLoopbackOnly, keys));
  needsKeys = options.needsKeys || (!isLoopbackOnly && !options.isOpenToAll);
  QUERN_ASSIGN(log, front::AccessLog::open(options.log));
  front::FrontOptions frontOptions;
  frontOptions.hosts = {options.listen.host, isLoopbackOnly, options.allowedHosts, options.allowedOrigins};
  frontOptions.needsKeys = needsKeys;
  frontOptions.rates = options.rates;
  frontOptions.idempotency = options.idempotency;
  frontOptions.requestTimeout = options.requestTimeout;
  frontOptions.whyNotReady = options.whyNotReady;
  frontOptions.onRefused = options.onRefused;
  door = std::make_shared<front::FrontDoor>(std::move(frontOptions), std::move(routes), std::move(keys), log);
  watch();
  QUERN_ASSIGN(http, http::HttpServer::start(options.listen, door));
  return engine::base::ok();
}

void Server::Impl::watch() {
  front::WatchdogOptions watching;
  watching.limit = options.stallLimit;
  watching.period = std::min(watching.period, options.stallLimit);
  watching.progress = options.progress;
  watching.tick = [doorPointer = door.get()] { doorPointer->tick(); };
  watching.onStall = [logPointer = log](const std::string& threads) {
    logPointer->say("stalled", "The engine has work and makes no step. Threads: " + threads, true);
  };
  watchdog = std::make_unique<front::Watchdog>(std::move(watching));
  door->setStallProbe([dog = watchdog.get()] { return dog->stalledFor(); });
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() {
  stop();
  impl_->log->close();
}

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, std::vector<Route> routes) {
  auto impl = std::make_unique<Impl>();
  impl->options = std::move(options);
  QUERN_TRY(impl->open(std::move(routes)));
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

void Server::beginDrain() { impl_->door->beginDrain(); }
bool Server::isIdle() const { return impl_->http->busy() == 0; }

bool Server::drain(std::chrono::milliseconds wait) {
  beginDrain();
  const auto until = std::chrono::steady_clock::now() + wait;
  while (!isIdle() && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(kPoll);
  const bool wasIdle = isIdle();
  stop();
  return wasIdle;
}

void Server::stop() { impl_->stop(); }

Result<void> Server::reload() {
  QUERN_ASSIGN(auto keys, front::KeyRing::read(impl_->options.keyFile));
  QUERN_TRY(impl_->http->reloadCertificate());
  impl_->door->setKeys(std::move(keys));
  return engine::base::ok();
}

ServerStatus Server::status() const {
  ServerStatus status;
  const auto& listen = impl_->options.listen;
  status.port = impl_->http->port();
  status.url = (listen.tlsCertificate.empty() ? "http://" : "https://") + urlHost(listen.host) + ":" +
               std::to_string(status.port);
  status.connections = impl_->http->connections();
  status.requests = impl_->door->inFlight();
  status.succeeded = impl_->door->answered(2) + impl_->door->answered(3);
  status.refused = impl_->door->answered(4);
  status.failed = impl_->door->answered(5);
  status.isDraining = impl_->door->isDraining();
  status.needsKeys = impl_->needsKeys;
  return status;
}

void Server::say(std::string_view event, std::string_view message, bool isWarning) {
  impl_->log->say(event, message, isWarning);
}

}  // namespace quern::app::serve
