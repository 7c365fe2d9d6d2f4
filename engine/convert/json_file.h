// JSON files of model folders, which nobody has vouched for: bounded in size and depth, names never twice.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace quern::engine::convert {

using Json = nlohmann::json;

/// Parses `text`; `name` is used in sentences. Objects and arrays are nested at most 64 deep; with `unique`
/// a name that stands twice in the outermost object is refused, too. Errors: kMalformed.
base::Result<Json> parseJson(std::string_view text, const std::string& name, bool unique = false);

/// Reads and parses a file of at most 512 MiB. Errors: kNotFound, kIo, kMalformed, kLimit.
base::Result<Json> readJson(const std::filesystem::path& path);

/// As readJson(), but a file that is not there gives an empty object.
base::Result<Json> readOptionalJson(const std::filesystem::path& path);

/// The whole of a file of at most `limit` bytes. Errors: kNotFound, kIo, kLimit.
base::Result<std::string> readText(const std::filesystem::path& path, std::uint64_t limit);

/// A member of an object, or null for everything else.
const Json& member(const Json& object, std::string_view name);

/// A member's text, or "" where there is none.
std::string textOf(const Json& object, std::string_view name);

}  // namespace quern::engine::convert
