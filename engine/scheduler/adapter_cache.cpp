#include "engine/scheduler/adapter_cache.h"

#include <algorithm>
#include <system_error>

#include "engine/base/text.h"
#include "engine/gguf/file.h"
#include "engine/scheduler/model_hash.h"

namespace quern::engine::scheduler {
namespace {

namespace fs = std::filesystem;

std::string quoted(const fs::path& path) { return "\"" + base::printable(path.string()) + "\""; }

}  // namespace

base::Result<std::shared_ptr<const LoadedAdapter>> AdapterCache::load(const fs::path& path) {
  std::error_code code;
  Known wanted;
  wanted.file = fs::canonical(path, code);
  if (!code && fs::is_directory(wanted.file, code)) {
    return base::Error(
        base::ErrorCode::kUnsupported,
        quoted(path) + " is a folder. \"quern convert\" makes a GGUF file of an adapter's folder.");
  }
  if (!code) wanted.size = fs::file_size(wanted.file, code);
  if (!code) wanted.written = fs::last_write_time(wanted.file, code);
  if (code) {
    return base::Error(base::ErrorCode::kNotFound,
                       "The adapter " + quoted(path) + " cannot be read: " + code.message() + ".");
  }
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(known_.begin(), known_.end(), [&](const Known& one) {
    return one.file == wanted.file && one.size == wanted.size && one.written == wanted.written;
  });
  if (found != known_.end()) {
    known_.splice(known_.end(), known_, found);
    return found->adapter;
  }
  QUERN_ASSIGN(const auto file, gguf::File::open(wanted.file));
  // What it takes is known when it is compiled; until then it may be too much by one adapter.
  QUERN_ASSIGN(auto compiled, executable_.compileAdapter(*file));
  QUERN_TRY(makeRoom(compiled->sizeBytes(), path));
  QUERN_ASSIGN(const auto name, file->optionalString("general.name"));
  auto made = std::make_shared<LoadedAdapter>();
  made->path = wanted.file;
  made->name = name && !name->empty() ? std::string(*name) : path.stem().string();
  made->hash = hashModel(*file, "");
  made->compiled = std::move(compiled);
  bytes_ += made->compiled->sizeBytes();
  wanted.adapter = made;
  known_.push_back(std::move(wanted));
  return std::shared_ptr<const LoadedAdapter>(std::move(made));
}

/// Lets go of adapters that nobody holds, longest unused first.
base::Result<void> AdapterCache::makeRoom(std::uint64_t bytes, const fs::path& path) {
  for (auto one = known_.begin(); one != known_.end() && bytes_ + bytes > mostBytes_;) {
    // Only this list holds it, and nobody else can come by it while the mutex is held.
    if (one->adapter.use_count() > 1) {
      ++one;
      continue;
    }
    bytes_ -= one->adapter->compiled->sizeBytes();
    one = known_.erase(one);
  }
  if (bytes_ + bytes <= mostBytes_) return base::ok();
  return base::Error(base::ErrorCode::kLimit,
                     "The adapter " + quoted(path) + " takes " + base::byteText(bytes) +
                         "; adapters may take " + base::byteText(mostBytes_) +
                         ", of which those in use hold " + base::byteText(bytes_) + ".");
}

}  // namespace quern::engine::scheduler
