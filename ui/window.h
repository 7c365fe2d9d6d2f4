// The one door into the window from outside this room.
#pragma once

#include <string>

namespace quern::ui {

/// Opens the window and runs until it is closed; returns the exit code. `file`: a model to use where it lies,
/// or empty.
int runWindow(int argc, char** argv, const std::string& file);

}  // namespace quern::ui
