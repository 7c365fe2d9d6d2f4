// The window's server: what ui::LanService promises, done by serve::LanServer.
#pragma once

#include <memory>
#include <string>

#include "ui/server/lan_service.h"

namespace quern::app {

/// `version` is what the API tells of itself. Stops at once when it goes.
std::unique_ptr<ui::LanService> makeWindowServer(std::string version);

}  // namespace quern::app
