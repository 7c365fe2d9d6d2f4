// Where Quern starts: no verb opens the window, a verb runs on the command line.

#include <CLI/CLI.hpp>
#include <cstdio>

#include "app/cli/command.h"
#ifdef QUERN_GUI
#include "ui/window.h"
#endif

int main(int argc, char** argv) {
  using namespace quern::app;
  CLI::App app("Quern runs large language models on the machine in front of you.", "quern");
  app.set_version_flag("--version", QUERN_VERSION);
  app.require_subcommand(0, 1);
  std::string open;
  app.add_option("file", open, "A model file to use where it lies (opens the window)");
  Action action;
  addCommands(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kWrongUse;
  }
  if (action) return action();
#ifdef QUERN_GUI
  return quern::ui::runWindow(argc, argv, open);
#else
  std::fputs("This Quern was built without the window. \"quern run MODEL\" chats in the terminal.\n", stderr);
  return kWrongUse;
#endif
}
