// The database's shape and the steps from every earlier version to it.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>

#include "engine/base/result.h"

namespace quern::engine::store {

/// The user_version that this Quern writes.
int schemaVersion();

/// Brings a database up to schemaVersion(), each step in a transaction of its own. Before the first step of a
/// database that has content, a copy is kept beside it: "<file>.v<version>.bak". Errors: kUnsupported for a
/// newer version. Throws SQLite::Exception.
base::Result<void> migrate(SQLite::Database& database, const std::filesystem::path& path);

}  // namespace quern::engine::store
