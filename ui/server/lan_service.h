// What the window needs of a server for the LAN: whoever starts the window hands one in. No Qt in here.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/scheduler/engine.h"

namespace quern::ui {

/// What a person decides about the server.
struct LanOptions {
  bool wholeNetwork = false;  ///< false: only programs of this machine reach it
  std::uint16_t port = 8080;  ///< 0: any that is free
  bool needsKeys = false;     ///< of programs on this machine, too; others always need one
  bool usesTls = false;

  bool operator==(const LanOptions&) const = default;
};

/// A request that has ended.
struct LanRequest {
  std::int64_t endedMs = 0;  ///< Unix time
  int status = 0;
  std::string path, model;
  std::string client;  ///< the key's name, or nothing
  std::string address;
  double elapsedMs = 0;
  int promptTokens = 0;
  int completionTokens = 0;

  bool operator==(const LanRequest&) const = default;
};

struct LanKey {
  std::string id;    ///< the part of the key that is no secret
  std::string name;  ///< whose it is
  std::int64_t createdMs = 0;
  std::optional<std::int64_t> expiresMs;

  bool operator==(const LanKey&) const = default;
};

/// A snapshot.
struct LanStatus {
  bool isListening = false;
  bool isDraining = false;
  std::vector<std::string> urls;    ///< of the API's root, "http://192.168.1.24:8080"; the best one first
  std::string fingerprint;          ///< SHA-256 of the certificate; empty without TLS
  std::filesystem::path authority;  ///< the certificate that other machines have to trust; empty without TLS
  int connections = 0;
  int requests = 0;                                      ///< in work
  std::uint64_t succeeded = 0, refused = 0, failed = 0;  ///< answered with 2xx and 3xx, 4xx, 5xx
  std::vector<LanRequest> last;                          ///< newest first
};

/// Every function may be called from any thread; those that may take long say so.
class LanService {
 public:
  virtual ~LanService() = default;

  /// Listens when it returns. Blocks: making a certificate takes some time. Errors: sentences for a person.
  virtual engine::base::Result<void> start(const LanOptions& options) = 0;
  /// Refuses new requests, gives those in work up to `wait`, then cuts them. Blocks as long.
  virtual void stop(std::chrono::milliseconds wait) = 0;
  virtual LanStatus status() const = 0;

  /// Answers with this engine from now on, which goes on serving the window. Blocks up to some seconds.
  virtual engine::base::Result<void> offer(const std::filesystem::path& path,
                                           std::shared_ptr<engine::scheduler::Engine> engine) = 0;
  /// Cuts the answers of the offered engine and lets go of it soon.
  virtual void withdraw() = 0;

  // Keys are files on the disk, the server need not run. What changes holds for a running server at once.
  virtual engine::base::Result<std::vector<LanKey>> keys() const = 0;  ///< the good ones, oldest first
  /// The key itself: it can be seen this once only.
  virtual engine::base::Result<std::string> addKey(const std::string& name) = 0;
  virtual engine::base::Result<void> revokeKey(const std::string& id) = 0;
};

}  // namespace quern::ui
