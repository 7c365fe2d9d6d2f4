// Listens, and carries requests between connections and a Site on a few threads of its own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "app/serve/http/limits.h"
#include "app/serve/http/site.h"
#include "engine/base/result.h"

namespace quern::app::serve::http {

struct ListenOptions {
  std::string host = "127.0.0.1";        ///< an address, or a name that stands for some of this machine's
  std::uint16_t port = 8080;             ///< 0: any that is free
  std::filesystem::path tlsCertificate;  ///< empty: no TLS
  std::filesystem::path tlsKey;
  Limits limits;
};

/// The addresses that `host` stands for. Errors: kInvalidArgument.
engine::base::Result<std::vector<std::string>> resolveHost(const std::string& host);
/// Whether only programs of this machine can reach `address`.
bool isLoopbackAddress(const std::string& address);

/// Every function may be called from any thread but those of the server itself.
class HttpServer {
 public:
  /// Listens when it returns. Errors: kInvalidArgument, kBusy (the port is taken), kIo, those of the
  /// certificate.
  static engine::base::Result<std::unique_ptr<HttpServer>> start(const ListenOptions& options,
                                                                 std::shared_ptr<Site> site);
  /// Ends what is left, as stop() does.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::uint16_t port() const;
  int connections() const;
  int busy() const;  ///< connections with a request in work, the last byte of its answer included
  /// Connections from now on get what the certificate's files hold now. Errors as in start(); then all stays
  /// as it was.
  engine::base::Result<void> reloadCertificate();
  /// Cuts what is under way, and waits for the threads.
  void stop();

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace quern::app::serve::http
