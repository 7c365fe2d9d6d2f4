// The list of verbs, in the order of `quern --help`.

#include <cstdio>
#include <cstdlib>
#include <string>

#include "app/cli/command.h"

namespace quern::app {

void addCommands(CLI::App& app, Action& action) {
  (void)app;
  (void)action;
}

int fail(const engine::base::Error& error) {
  const char* verbose = std::getenv("QUERN_VERBOSE");
  const std::string text = verbose != nullptr && *verbose != '\0' ? error.describe() : error.message();
  std::fprintf(stderr, "quern: %s\n", text.c_str());
  return kFailed;
}

}  // namespace quern::app
