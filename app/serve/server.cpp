#include "app/serve/server.h"

#include <algorithm>
#include <iterator>
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

Result<void> checkOrigins(const ServerOptions& options, bool needsKeys) {
  const auto& origins = options.allowedOrigins;
  if (needsKeys || std::find(origins.begin(), origins.end(), "*") == origins.end()) return engine::base::ok();
  return Error(ErrorCode::kInvalidArgument,
               "\"--allow-origin *\" would let every web page use this server without a key. Name the pages, "
               "or ask for keys with \"--require-key\".");
}

/// What differs and cannot change while the server runs, by the names of the command line.
std::vector<std::string> fixedDifferences(const ServerOptions& now, const ServerOptions& next) {
  std::vector<std::string> names;
  const auto compare = [&](const char* name, bool isSame) {
    if (!isSame) names.emplace_back(name);
  };
  compare("host", now.listen.host == next.listen.host);
  compare("port", now.listen.port == next.listen.port);
  compare("metrics-port", now.metricsPort == next.metricsPort);
  compare("tls-cert", now.listen.tlsCertificate == next.listen.tlsCertificate);
  compare("tls-key", now.listen.tlsKey == next.listen.tlsKey);
  compare("max-body", now.listen.limits.bodyBytes == next.listen.limits.bodyBytes);
  compare("insecure-no-auth", now.isOpenToAll == next.isOpenToAll);
  compare("require-key", now.needsKeys == next.needsKeys);
  compare("log-format", now.log.isJson == next.log.isJson);
  compare("log-file", now.log.file == next.log.file);
  return names;
}

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
  QUERN_TRY(checkOrigins(options, options.needsKeys || (!isLoopbackOnly && !options.isOpenToAll)));
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
  bool isLoopbackOnly = true;
  std::shared_ptr<front::AccessLog> log;
  std::shared_ptr<front::FrontDoor> door;
  std::unique_ptr<http::HttpServer> http;
  /// The same for /metrics, where that has a port of its own.
  std::shared_ptr<front::FrontDoor> metricsDoor;
  std::unique_ptr<http::HttpServer> metricsHttp;
  std::unique_ptr<front::Watchdog> watchdog;

  Result<void> open(std::vector<Route> routes);
  Result<void> openMetrics(std::vector<Route> routes, front::KeyRing keys);
  front::FrontOptions frontOptions() const;
  front::FrontPolicy policyOf(const ServerOptions& given) const;
  void watch();
  void stop() {
    door->beginDrain();
    if (http) http->stop();
    if (metricsHttp) metricsHttp->stop();
    watchdog.reset();
  }
};

front::FrontPolicy Server::Impl::policyOf(const ServerOptions& given) const {
  return {{options.listen.host, isLoopbackOnly, given.allowedHosts, given.allowedOrigins},
          given.rates,
          given.requestTimeout};
}

front::FrontOptions Server::Impl::frontOptions() const {
  front::FrontOptions front;
  front.policy = policyOf(options);
  front.needsKeys = needsKeys;
  front.idempotency = options.idempotency;
  front.whyNotReady = options.whyNotReady;
  front.onRefused = options.onRefused;
  return front;
}

Result<void> Server::Impl::openMetrics(std::vector<Route> routes, front::KeyRing keys) {
  if (routes.empty()) return engine::base::ok();
  metricsDoor = std::make_shared<front::FrontDoor>(frontOptions(), std::move(routes), std::move(keys), log);
  http::ListenOptions listen = options.listen;
  listen.port = *options.metricsPort;
  QUERN_ASSIGN(metricsHttp, http::HttpServer::start(listen, metricsDoor));
  return engine::base::ok();
}

Result<void> Server::Impl::open(std::vector<Route> routes) {
  QUERN_ASSIGN(const auto addresses, http::resolveHost(options.listen.host));
  isLoopbackOnly = std::all_of(addresses.begin(), addresses.end(), http::isLoopbackAddress);
  if (options.keyFile.empty()) options.keyFile = front::defaultKeyFile();
  QUERN_ASSIGN(auto keys, front::KeyRing::read(options.keyFile));
  QUERN_TRY(checkSafety(options, isLoopbackOnly, keys));
  needsKeys = options.needsKeys || (!isLoopbackOnly && !options.isOpenToAll);
  QUERN_ASSIGN(log, front::AccessLog::open(options.log));
  std::vector<Route> ofMetrics;
  if (options.metricsPort) {
    const auto rest = std::stable_partition(routes.begin(), routes.end(),
                                            [](const Route& route) { return route.path != "/metrics"; });
    ofMetrics.assign(std::make_move_iterator(rest), std::make_move_iterator(routes.end()));
    routes.erase(rest, routes.end());
  }
  door = std::make_shared<front::FrontDoor>(frontOptions(), std::move(routes), keys, log);
  QUERN_TRY(openMetrics(std::move(ofMetrics), std::move(keys)));
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
  for (const auto& each : {door, metricsDoor}) {
    if (each) each->setStallProbe([dog = watchdog.get()] { return dog->stalledFor(); });
  }
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

void Server::beginDrain() {
  impl_->door->beginDrain();
  if (impl_->metricsDoor) impl_->metricsDoor->beginDrain();
}
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

Result<std::vector<std::string>> Server::reload(const ServerOptions& next) {
  Impl& impl = *impl_;
  QUERN_ASSIGN(auto keys, front::KeyRing::read(impl.options.keyFile));
  QUERN_TRY(checkOrigins(next, impl.needsKeys));
  QUERN_TRY(impl.http->reloadCertificate());
  if (impl.metricsHttp) QUERN_TRY(impl.metricsHttp->reloadCertificate());
  for (const auto& door : {impl.door, impl.metricsDoor}) {
    if (!door) continue;
    door->setKeys(keys);
    door->setPolicy(impl.policyOf(next));
  }
  impl.log->setContent(next.log.hasContent);
  return fixedDifferences(impl.options, next);
}

ServerStatus Server::status() const {
  ServerStatus status;
  const auto& listen = impl_->options.listen;
  const auto urlOf = [&](std::uint16_t port) {
    return (listen.tlsCertificate.empty() ? "http://" : "https://") + urlHost(listen.host) + ":" +
           std::to_string(port);
  };
  status.port = impl_->http->port();
  status.url = urlOf(status.port);
  if (impl_->metricsHttp) status.metricsUrl = urlOf(impl_->metricsHttp->port()) + "/metrics";
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
