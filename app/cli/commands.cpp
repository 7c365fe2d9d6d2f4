// The list of verbs, in the order of `quern --help`.

#include <cstdio>
#include <cstdlib>
#include <string>

#include "app/cli/command.h"

namespace quern::app {

void addCommands(CLI::App& app, Action& action) {
  addRunCommand(app, action);
  addListCommand(app, action);
  addShowCommand(app, action);
  addConvertCommand(app, action);
  addTokenizeCommand(app, action);
  addTemplateCommand(app, action);
  addEmbedCommand(app, action);
  addPerplexityCommand(app, action);
  addBenchCommand(app, action);
  addServeCommand(app, action);
  addKeyCommand(app, action);
  addCertCommand(app, action);
  addDoctorCommand(app, action);
}

int fail(const engine::base::Error& error) {
  const char* verbose = std::getenv("QUERN_VERBOSE");
  const std::string text = verbose != nullptr && *verbose != '\0' ? error.describe() : error.message();
  std::fprintf(stderr, "quern: %s\n", text.c_str());
  return kFailed;
}

}  // namespace quern::app
