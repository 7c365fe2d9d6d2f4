// quern.toml: what a person sets once instead of typing it every time.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace quern::app {

/// One line of a table: the key is the long name of a command line's option, without its dashes.
struct ConfiguredValue {
  std::string key;
  std::vector<std::string> values;  ///< one, or those of an array, as they would be typed
  int line = 0;
};

/// ~/.config/quern/quern.toml (QUERN_HOME moves it)
std::filesystem::path configurationFile();

/// The values of `table` ("serve"), none where the file or the table is not there. Errors: kIo, kMalformed
/// (with the line) for what is no TOML, and for values that no option could have (tables, dates, arrays of
/// arrays).
engine::base::Result<std::vector<ConfiguredValue>> readConfiguration(const std::filesystem::path& file,
                                                                     std::string_view table);

}  // namespace quern::app
