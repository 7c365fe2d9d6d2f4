// The one door into the window from outside this room.
#pragma once

#include <string>

namespace quern::ui {

class LanService;

/// Opens the window and runs until it is closed; returns the exit code. `file`: a model to use where it lies,
/// or empty. `lan`: what serves the window's model; without one there is no page for it.
int runWindow(int argc, char** argv, const std::string& file, LanService* lan = nullptr);

/// Why no window can be opened here, as the beginning of a sentence; empty when one can.
std::string whyNoWindow();

}  // namespace quern::ui
