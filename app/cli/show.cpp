#include "app/cli/command.h"

namespace quern::app {

void addShowCommand(CLI::App& app, Action& action) {
  (void)app;
  (void)action;
}

}  // namespace quern::app
