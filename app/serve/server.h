// The LAN's server as one object: for the verb "serve", and for a window that runs it beside itself. No Qt,
// and no endpoints: they are handed in as routes.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/serve/exchange.h"
#include "app/serve/front/access_log.h"
#include "app/serve/front/idempotency.h"
#include "app/serve/front/rate_limits.h"
#include "app/serve/front/watchdog.h"
#include "app/serve/http/http_server.h"
#include "engine/base/result.h"

namespace quern::app::serve {

struct ServerOptions {
  http::ListenOptions listen;
  /// Whoever is not on this machine needs a key, unless this is said.
  bool isOpenToAll = false;
  bool needsKeys = false;                 ///< of programs on this machine, too
  std::filesystem::path keyFile;          ///< see front::defaultKeyFile()
  std::vector<std::string> allowedHosts;  ///< see front::HostOptions
  std::vector<std::string> allowedOrigins;
  std::chrono::milliseconds requestTimeout{0};  ///< 0: none
  /// "/metrics" (and health) on a port of their own, and no longer on the other; 0: any that is free.
  std::optional<std::uint16_t> metricsPort;
  front::RateOptions rates;
  front::IdempotencyOptions idempotency;
  front::LogOptions log;
  /// Why not all is ready yet, in a few words; nothing when it is. From any thread, must not block.
  std::function<std::optional<std::string>()> whyNotReady;
  std::function<std::vector<front::EngineProgress>()> progress;  ///< see front::WatchdogOptions
  std::function<void(const std::string& reason)> onRefused;      ///< see front::FrontOptions
  std::chrono::milliseconds stallLimit{30'000};
};

struct ServerStatus {
  std::string url;         ///< "http://127.0.0.1:8080"
  std::string metricsUrl;  ///< "http://127.0.0.1:9090/metrics"; empty: on no port of its own
  std::uint16_t port = 0;
  int connections = 0;
  int requests = 0;                                      ///< in work
  std::uint64_t succeeded = 0, refused = 0, failed = 0;  ///< answers with status 2xx and 3xx, 4xx, 5xx
  bool isDraining = false;
  bool needsKeys = false;
};

/// Every function may be called from any thread but the server's own and an engine's.
class Server {
 public:
  /// Listens when it returns. What the routes refer to must live until the server is gone. Errors:
  /// kInvalidArgument (what would be unsafe is refused with the way to make it safe), those of the key file,
  /// the certificate, the log and the port.
  static engine::base::Result<std::unique_ptr<Server>> start(ServerOptions options,
                                                             std::vector<Route> routes);
  /// Cuts what is under way.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Refuses new work from now on; /ready says so, running answers go on.
  void beginDrain();
  /// Nothing is under way any more.
  bool isIdle() const;
  /// beginDrain(), then waits until isIdle(), at most `wait`; then stop(). True: nothing was cut.
  bool drain(std::chrono::milliseconds wait);
  /// Cuts what is under way, and tells its handlers; no handler is called afterwards.
  void stop();
  /// Reads keys and certificate anew, and goes by `options` where they can change while the server runs
  /// (hosts, origins, rates, request timeout, content in the log). Returns what else differs, by the names
  /// that the command line has for it: that wants a restart. On an error all stays as it was.
  engine::base::Result<std::vector<std::string>> reload(const ServerOptions& options);
  ServerStatus status() const;
  /// A line in the server's log.
  void say(std::string_view event, std::string_view message, bool isWarning = false);

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace quern::app::serve
