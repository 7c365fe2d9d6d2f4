// quern serve: models for the LAN, without a display.

#include <pthread.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>

#include "app/cli/command.h"
#include "app/serve/front/certificate.h"
#include "app/serve/lan_server.h"
#include "engine/runtime/kv_type.h"

namespace quern::app {
namespace {

struct Arguments {
  serve::LanOptions options;
  std::string kv = "f16";
  std::string logFormat = "text";
  std::string logFile, tlsCertificate, tlsKey;
  double maxBodyMiB = 16;
  double requestTimeoutSeconds = 0;
  double drainSeconds = 30;
  double queueWaitSeconds = 0;
  std::size_t responseCacheMiB = 0;
  bool onlyNamed = false;
};

std::chrono::milliseconds millisecondsOf(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::llround(seconds * 1000)));
}

/// Signals as messages: blocked for all threads that are started later, and taken one by one.
class Signals {
 public:
  Signals() {
    sigemptyset(&set_);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set_, number);
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
    std::signal(SIGPIPE, SIG_IGN);
  }
  ~Signals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  /// The next one, or 0 when none came in time.
  int wait(std::chrono::milliseconds limit) const {
    timespec time{};
    time.tv_sec = limit.count() / 1000;
    time.tv_nsec = limit.count() % 1000 * 1'000'000;
    return std::max(0, sigtimedwait(&set_, nullptr, &time));
  }

 private:
  sigset_t set_{};
  sigset_t before_{};
};

void reload(serve::Server& server) {
  const auto reloaded = server.reload();
  server.say("reload", reloaded ? "Keys and certificate were read again." : reloaded.error().message(),
             !reloaded);
}

/// Until all answers are finished or the time is over. A second signal ends the process where it stands.
void drain(serve::Server& server, const Signals& signals, std::chrono::milliseconds limit) {
  server.beginDrain();
  server.say("drain", "No new work; running answers have " + std::to_string(limit.count() / 1000) + " s.");
  const auto until = std::chrono::steady_clock::now() + limit;
  while (!server.isIdle() && std::chrono::steady_clock::now() < until) {
    const int signal = signals.wait(std::chrono::milliseconds(50));
    if (signal == SIGINT || signal == SIGTERM) std::_Exit(kFailed);
  }
  server.say("stop", server.isIdle() ? "All answers are finished." : "Answers were cut.", !server.isIdle());
}

int run(serve::LanServer& lan, const Signals& signals, std::chrono::milliseconds drainTime) {
  serve::Server& server = lan.server();
  bool wasReady = false;
  for (;;) {
    const int signal = signals.wait(std::chrono::milliseconds(200));
    if (signal == SIGHUP) reload(server);
    if (signal == SIGINT || signal == SIGTERM) break;
    if (const auto failure = lan.failure()) return fail(*failure);
    if (!wasReady && !lan.whyNotReady()) {
      wasReady = true;
      server.say("ready", "The server is ready.");
      if (!lan.hasModels()) {
        server.say("no_models",
                   "No model is named or installed yet; those that come into the models folder are served.",
                   true);
      }
    }
  }
  drain(server, signals, drainTime);
  return kOk;
}

int serveModels(Arguments arguments) {
  auto& options = arguments.options;
  options.load.kvType = *engine::runtime::kvTypeOf(arguments.kv);
  options.load.embeddings = true;
  options.load.longestWait = millisecondsOf(arguments.queueWaitSeconds);
  options.servesInstalled = !arguments.onlyNamed;
  options.answerCacheBytes = arguments.responseCacheMiB << 20;
  auto& server = options.server;
  server.listen.tlsCertificate = arguments.tlsCertificate;
  server.listen.tlsKey = arguments.tlsKey;
  server.listen.limits.bodyBytes = static_cast<std::size_t>(arguments.maxBodyMiB * 1024 * 1024);
  server.requestTimeout = millisecondsOf(arguments.requestTimeoutSeconds);
  server.log.isJson = arguments.logFormat == "json";
  server.log.file = arguments.logFile;
  const Signals signals;
  const auto lan = serve::LanServer::start(std::move(options));
  if (!lan) return fail(lan.error());
  const auto status = (*lan)->server().status();
  std::printf("%s\n", status.url.c_str());
  std::fflush(stdout);
  if (!arguments.tlsCertificate.empty()) {
    if (const auto print = serve::front::certificateFingerprint(arguments.tlsCertificate)) {
      std::fprintf(stderr, "SHA-256 of the certificate: %s\n", print->c_str());
    }
  }
  return run(**lan, signals, millisecondsOf(arguments.drainSeconds));
}

void addListening(CLI::App& command, Arguments& arguments) {
  auto& server = arguments.options.server;
  command.add_option("--host", server.listen.host, "The address to listen on; 0.0.0.0: all of the machine's")
      ->capture_default_str();
  command.add_option("--port", server.listen.port, "0: any that is free")->capture_default_str();
  command.add_option("--tls-cert", arguments.tlsCertificate, "A certificate (PEM); \"quern cert\" makes one");
  command.add_option("--tls-key", arguments.tlsKey, "Its key (PEM)");
  command.add_flag("--insecure-no-auth", server.isOpenToAll, "Let other machines in without API keys");
  command.add_flag("--require-key", server.needsKeys, "Ask programs on this machine for API keys, too");
  command.add_option("--allowed-host", server.allowedHosts,
                     "A name that this server answers to; may be given again");
  command.add_option("--allow-origin", server.allowedOrigins,
                     "Pages that may use this server, as https://chat.example; may be given again");
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

}  // namespace

void addServeCommand(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  auto& load = arguments->options.load;
  load.parallel = 8;
  CLI::App* command =
      app.add_subcommand("serve", "Models for the network, by the APIs of OpenAI, Anthropic and Ollama");
  command->add_option("-m,--model", arguments->options.models,
                      "An installed name or a path, loaded at once; may be given again");
  command->add_flag("--only-named", arguments->onlyNamed, "Serve no other models that are installed");
  command->add_option("--parallel", load.parallel, "Requests answered together by each model")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command
      ->add_option("--queue", load.queueLimit,
                   "Requests that may wait for a turn at each model; one more is answered 429")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command
      ->add_option(
          "--queue-wait", arguments->queueWaitSeconds,
          "Seconds that a request may wait for its turn; then it is answered 429 (0: as long as it takes)")
      ->check(CLI::Range(0.0, 86'400.0));
  command
      ->add_option("--ctx", load.contextTokens,
                   "Tokens that a request may hold (0: the model's own, at most 8,192)")
      ->check(CLI::Range(0, 1 << 24));
  command->add_option("-t,--threads", load.threads, "Threads (0: one per physical core)")
      ->check(CLI::Range(0, 1024));
  command->add_option("--kv", arguments->kv, "How keys and values are kept")
      ->check(CLI::IsMember(engine::runtime::kvTypeNames()))
      ->capture_default_str();
  command
      ->add_option("--response-cache", arguments->responseCacheMiB,
                   "MiB for answers to requests that come again just the same (0: none are kept)")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  addListening(*command, *arguments);
  command->callback([arguments, &action] { action = [arguments] { return serveModels(*arguments); }; });
}

}  // namespace quern::app
