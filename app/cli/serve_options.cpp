#include "app/cli/serve_options.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <utility>

#include "app/configuration.h"
#include "engine/base/text.h"
#include "engine/runtime/kv_type.h"

namespace quern::app {
namespace {

using engine::base::Error;
using engine::base::ErrorCode;
using engine::base::Result;

/// Options of the command line that mean nothing in a file.
constexpr const char* kConfig = "--config";
constexpr const char* kHelp = "--help";

std::chrono::milliseconds millisecondsOf(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::llround(seconds * 1000)));
}

void addListening(CLI::App& command, ServeArguments& arguments) {
  auto& server = arguments.lan.server;
  command.add_option("--host", server.listen.host, "The address to listen on; 0.0.0.0: all of the machine's")
      ->capture_default_str();
  command.add_option("--port", server.listen.port, "0: any that is free")->capture_default_str();
  command
      .add_option("--metrics-port", arguments.metricsPort,
                  "A port for /metrics alone, which is then no longer on the other; 0: any that is free")
      ->check(CLI::Range(0, 65'535));
  command.add_option("--tls-cert", arguments.tlsCertificate, "A certificate (PEM); \"quern cert\" makes one");
  command.add_option("--tls-key", arguments.tlsKey, "Its key (PEM)");
  command.add_flag("--insecure-no-auth", server.isOpenToAll, "Let other machines in without API keys");
  command.add_flag("--require-key", server.needsKeys, "Ask programs on this machine for API keys, too");
  command.add_option("--allowed-host", server.allowedHosts,
                     "A name that this server answers to; may be given again");
  command.add_option("--allow-origin", server.allowedOrigins,
                     "Pages that may use this server, as https://chat.example; may be given again");
  command
      .add_option("--concurrent", server.rates.inFlight,
                  "Requests of everybody that are in work at once; one more is answered 429")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command
      .add_option("--concurrent-per-address", server.rates.inFlightOfAddress,
                  "… of one address, this machine's own programs aside")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command.add_option("--max-body", arguments.maxBodyMiB, "MiB that a request may have")
      ->check(CLI::Range(0.001, 1024.0))
      ->capture_default_str();
  command
      .add_option("--request-timeout", arguments.requestTimeoutSeconds,
                  "Seconds that an answer may take at most; 0: as long as it takes")
      ->check(CLI::Range(0.0, 1e6));
  command.add_option("--drain", arguments.drainSeconds, "Seconds that running answers have after SIGTERM")
      ->check(CLI::Range(0.0, 86'400.0))
      ->capture_default_str();
  command.add_option("--log-format", arguments.logFormat, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  command.add_option("--log-file", arguments.logFile,
                     "Instead of standard error; files are set aside at 16 MiB");
  command.add_flag("--log-content", server.log.hasContent, "Write what is asked and answered into the log");
}

/// As if `values` had been typed. Errors: kInvalidArgument with CLI11's sentence.
Result<void> give(CLI::Option& option, const std::vector<std::string>& values) {
  try {
    option.add_result(values);
    option.run_callback();
    return engine::base::ok();
  } catch (const CLI::Error& error) {
    return Error(ErrorCode::kInvalidArgument, error.what());
  }
}

}  // namespace

void addServeOptions(CLI::App& command, ServeArguments& arguments) {
  auto& load = arguments.lan.load;
  command.add_option(kConfig, arguments.configuration,
                     "A file in place of ~/.config/quern/quern.toml; what is typed goes before what it says");
  command.add_option("-m,--model", arguments.lan.models,
                     "An installed name or a path, loaded at once; may be given again");
  command.add_flag("--only-named", arguments.onlyNamed, "Serve no other models that are installed");
  command.add_option("--parallel", load.parallel, "Requests answered together by each model")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command
      .add_option("--queue", load.queueLimit,
                  "Requests that may wait for a turn at each model; one more is answered 429")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command
      .add_option(
          "--queue-wait", arguments.queueWaitSeconds,
          "Seconds that a request may wait for its turn; then it is answered 429 (0: as long as it takes)")
      ->check(CLI::Range(0.0, 86'400.0));
  command
      .add_option("--ctx", load.contextTokens,
                  "Tokens that a request may hold (0: the model's own, at most 8,192)")
      ->check(CLI::Range(0, 1 << 24));
  command.add_option("-t,--threads", load.threads, "Threads (0: one per physical core)")
      ->check(CLI::Range(0, 1024));
  command.add_option("--kv", arguments.kv, "How keys and values are kept")
      ->check(CLI::IsMember(engine::runtime::kvTypeNames()))
      ->capture_default_str();
  command
      .add_option("--response-cache", arguments.responseCacheMiB,
                  "MiB for answers to requests that come again just the same (0: none are kept)")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  addListening(command, arguments);
}

ServeOptions ServeArguments::finish() const {
  ServeOptions finished{lan, millisecondsOf(drainSeconds)};
  serve::LanOptions& options = finished.lan;
  options.load.kvType = *engine::runtime::kvTypeOf(kv);
  options.load.embeddings = true;
  options.load.longestWait = millisecondsOf(queueWaitSeconds);
  options.servesInstalled = !onlyNamed;
  options.answerCacheBytes = responseCacheMiB << 20;
  auto& server = options.server;
  server.listen.tlsCertificate = tlsCertificate;
  server.listen.tlsKey = tlsKey;
  server.listen.limits.bodyBytes = static_cast<std::size_t>(maxBodyMiB * 1024 * 1024);
  if (metricsPort >= 0) server.metricsPort = static_cast<std::uint16_t>(metricsPort);
  server.requestTimeout = millisecondsOf(requestTimeoutSeconds);
  server.log.isJson = logFormat == "json";
  server.log.file = logFile;
  return finished;
}

TypedOptions::TypedOptions(const CLI::App& command) {
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() > 0) typed_[option->get_name()] = option->results();
  }
}

Result<ServeOptions> TypedOptions::read() const {
  CLI::App app;
  ServeArguments arguments;
  addServeOptions(app, arguments);
  for (const auto& [name, values] : typed_) {
    if (CLI::Option* option = app.get_option_no_throw(name)) QUERN_TRY(give(*option, values));
  }
  const auto& file = arguments.configuration.empty() ? configurationFile() : arguments.configuration;
  std::error_code failed;
  if (!arguments.configuration.empty() && !std::filesystem::exists(file, failed)) {
    return Error(ErrorCode::kNotFound, "There is no file \"" + file.string() + "\".");
  }
  QUERN_ASSIGN(const auto configured, readConfiguration(file, "serve"));
  for (const ConfiguredValue& value : configured) {
    const std::string name = "--" + value.key;
    const std::string place = "\"" + file.string() + "\", line " + std::to_string(value.line) + ": ";
    CLI::Option* option = name == kConfig || name == kHelp ? nullptr : app.get_option_no_throw(name);
    if (option == nullptr) {
      return Error(ErrorCode::kInvalidArgument, place + "\"" + engine::base::printable(value.key) +
                                                    "\" is no option; \"quern serve --help\" has them all.");
    }
    if (typed_.count(name) > 0) continue;
    if (const auto given = give(*option, value.values); !given) {
      return Error(ErrorCode::kInvalidArgument, place + given.error().message() + ".");
    }
  }
  return arguments.finish();
}

}  // namespace quern::app
