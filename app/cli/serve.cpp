// quern serve: models for the LAN, without a display.

#include <pthread.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>

#include "app/cli/command.h"
#include "app/cli/serve_options.h"
#include "app/serve/front/certificate.h"
#include "app/serve/lan_server.h"

namespace quern::app {
namespace {

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

/// Goes by the file, the keys and the certificate as they are now; where one of them is wrong by none of
/// them.
void reload(serve::Server& server, const TypedOptions& typed, std::chrono::milliseconds& drainTime) {
  const auto next = typed.read();
  const auto differing =
      next ? server.reload(next->lan.server) : engine::base::Result<std::vector<std::string>>(next.error());
  if (!differing) return server.say("reload", differing.error().message() + " All stays as it was.", true);
  drainTime = next->drain;
  std::string said = "Configuration, keys and certificate were read again.";
  for (const std::string& name : *differing) said += " \"" + name + "\" wants a restart.";
  server.say("reload", said, !differing->empty());
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

int run(serve::LanServer& lan, const Signals& signals, const TypedOptions& typed,
        std::chrono::milliseconds drainTime) {
  serve::Server& server = lan.server();
  bool wasReady = false;
  for (;;) {
    const int signal = signals.wait(std::chrono::milliseconds(200));
    if (signal == SIGHUP) reload(server, typed, drainTime);
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

int serveModels(const TypedOptions& typed) {
  const auto options = typed.read();
  if (!options) return fail(options.error());
  const Signals signals;
  const auto lan = serve::LanServer::start(options->lan);
  if (!lan) return fail(lan.error());
  const auto status = (*lan)->server().status();
  std::printf("%s\n", status.url.c_str());
  if (!status.metricsUrl.empty()) std::printf("%s\n", status.metricsUrl.c_str());
  std::fflush(stdout);
  const auto& certificate = options->lan.server.listen.tlsCertificate;
  if (!certificate.empty()) {
    if (const auto print = serve::front::certificateFingerprint(certificate)) {
      std::fprintf(stderr, "SHA-256 of the certificate: %s\n", print->c_str());
    }
  }
  return run(**lan, signals, typed, options->drain);
}

}  // namespace

void addServeCommand(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<ServeArguments>();
  CLI::App* command =
      app.add_subcommand("serve", "Models for the network, by the APIs of OpenAI, Anthropic and Ollama");
  addServeOptions(*command, *arguments);
  command->callback([arguments, command, &action] {
    action = [typed = TypedOptions(*command)] { return serveModels(typed); };
  });
}

}  // namespace quern::app
