// What "quern serve" can be told, on the command line and in quern.toml.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "app/serve/lan_server.h"
#include "engine/base/result.h"

namespace CLI {
class App;
}

namespace quern::app {

struct ServeOptions {
  serve::LanOptions lan;
  std::chrono::milliseconds drain{30'000};
};

/// The options as they are typed; what they mean is finish()'s business.
struct ServeArguments {
  ServeArguments() { lan.load.parallel = 8; }
  ServeOptions finish() const;

  serve::LanOptions lan;
  std::filesystem::path configuration;  ///< empty: quern.toml where that is
  std::string kv = "f16";
  std::string logFormat = "text";
  std::string logFile, tlsCertificate, tlsKey;
  int metricsPort = -1;
  double maxBodyMiB = 16;
  double requestTimeoutSeconds = 0;
  double drainSeconds = 30;
  double queueWaitSeconds = 0;
  std::size_t responseCacheMiB = 0;
  bool onlyNamed = false;
};

/// Adds them to `command`; `arguments` outlives it and stays where it is.
void addServeOptions(CLI::App& command, ServeArguments& arguments);

/// What was typed, to be joined with the file as often as that changes.
class TypedOptions {
 public:
  /// `command`: addServeOptions() and a parse are behind it.
  explicit TypedOptions(const CLI::App& command);
  /// The file's values, and what was typed in their place where both name an option. Errors: those of
  /// readConfiguration(); kInvalidArgument (with file and line) for keys that are no options and for values
  /// that an option does not take; kNotFound where a file was named that is not there.
  engine::base::Result<ServeOptions> read() const;

 private:
  std::map<std::string, std::vector<std::string>> typed_;  ///< by "--name"
};

}  // namespace quern::app
