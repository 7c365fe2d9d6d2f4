// Where Quern starts: no verb opens the window, a verb runs on the command line.

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "app/cli/chat.h"
#include "app/cli/command.h"
#ifdef QUERN_GUI
#include "app/window_server.h"
#include "ui/window.h"
#endif

namespace {

/// What packaging/run.sh installs: the model of a chat that nobody named one for.
constexpr const char* kStarterModel = "smollm2";

int withoutVerb(int argc, char** argv, const std::string& file) {
  const std::string model = file.empty() ? kStarterModel : file;
#ifdef QUERN_GUI
  const std::string reason = quern::ui::whyNoWindow();
  if (reason.empty()) {
    const auto server = quern::app::makeWindowServer(QUERN_VERSION);
    return quern::ui::runWindow(argc, argv, file, server.get());
  }
  return quern::app::runTerminalChat(
      model, reason + ", so the chat with \"" + model + "\" is here in the terminal.");
#else
  (void)argc;
  (void)argv;
  return quern::app::runTerminalChat(model, "This Quern was built without the window, so the chat with \"" +
                                                model + "\" is here in the terminal.");
#endif
}

}  // namespace

int main(int argc, char** argv) {
  using namespace quern::app;
  CLI::App app("Quern runs large language models on the machine in front of you.", "quern");
  app.set_version_flag("--version", QUERN_VERSION);
  app.require_subcommand(0, 1);
  std::string open;
  app.add_option("file", open, "A model file to use where it lies (opens the window)");
  Action action;
  addCommands(app, action);
  // "quern --serve" is how other programs of this kind are started.
  std::vector<char*> words(argv, argv + argc);
  std::string serve = "serve";
  if (argc > 1 && std::string_view(argv[1]) == "--serve") words[1] = serve.data();
  try {
    app.parse(argc, words.data());
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kWrongUse;
  }
  return action ? action() : withoutVerb(argc, argv, open);
}
