// The verbs of the command line. Each file in this folder registers one; main.cpp only dispatches.
#pragma once

#include <functional>

#include "engine/base/result.h"

namespace CLI {
class App;
}

namespace quern::app {

/// Exit codes of the contract.
inline constexpr int kOk = 0;
inline constexpr int kFailed = 1;
inline constexpr int kWrongUse = 2;

/// What a verb does once its arguments are parsed; returns the exit code.
using Action = std::function<int()>;

/// Adds a verb to `app`; when it is the one that was typed, its callback sets `action`.
void addShowCommand(CLI::App& app, Action& action);
void addListCommand(CLI::App& app, Action& action);
void addConvertCommand(CLI::App& app, Action& action);
void addTokenizeCommand(CLI::App& app, Action& action);
void addTemplateCommand(CLI::App& app, Action& action);
void addRunCommand(CLI::App& app, Action& action);
void addEmbedCommand(CLI::App& app, Action& action);
void addPerplexityCommand(CLI::App& app, Action& action);
void addBenchCommand(CLI::App& app, Action& action);
void addServeCommand(CLI::App& app, Action& action);
void addKeyCommand(CLI::App& app, Action& action);
void addCertCommand(CLI::App& app, Action& action);
void addDoctorCommand(CLI::App& app, Action& action);

/// Adds all of the above.
void addCommands(CLI::App& app, Action& action);

/// One sentence on stderr (the chain below it when QUERN_VERBOSE is set); returns kFailed.
int fail(const engine::base::Error& error);

}  // namespace quern::app
