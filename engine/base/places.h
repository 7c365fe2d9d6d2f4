// Where Quern keeps things: the XDG folders, or everything below QUERN_HOME when that is set (tests, portable
// use).
#pragma once

#include <filesystem>

namespace quern::engine::base {

/// ~/.config/quern (or $QUERN_HOME/config)
std::filesystem::path configFolder();
/// ~/.local/share/quern (or $QUERN_HOME/data): quern.db and models/
std::filesystem::path dataFolder();
/// ~/.cache/quern (or $QUERN_HOME/cache)
std::filesystem::path cacheFolder();
/// dataFolder()/models
std::filesystem::path modelsFolder();

}  // namespace quern::engine::base
