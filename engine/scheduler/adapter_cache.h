// The LoRA adapters that an engine has loaded: each file once, under a bound.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "engine/base/result.h"
#include "engine/runtime/backend.h"
#include "engine/scheduler/block_record.h"

namespace quern::engine::scheduler {

/// Of use to the engine that loaded it, and not longer than that lives.
struct LoadedAdapter {
  std::filesystem::path path;
  std::string name;  ///< general.name, or the file's stem
  /// hashModel() of its file: with the scale it names what blocks of the cache were computed with.
  ModelHash hash;
  std::shared_ptr<const runtime::Adapter> compiled;
};

/// From any thread. One adapter is loaded at a time.
class AdapterCache {
 public:
  /// `executable` outlives this.
  AdapterCache(const runtime::Executable& executable, std::uint64_t mostBytes)
      : executable_(executable), mostBytes_(mostBytes) {}

  /// The adapter in this file; a file is known by its place, size and time of writing. Errors as
  /// Engine::loadAdapter().
  base::Result<std::shared_ptr<const LoadedAdapter>> load(const std::filesystem::path& path);
  std::uint64_t bytes() const { return bytes_.load(); }  ///< of all that are loaded; never waits

 private:
  struct Known {
    std::filesystem::path file;  ///< canonical
    std::uintmax_t size = 0;
    std::filesystem::file_time_type written;
    std::shared_ptr<const LoadedAdapter> adapter;
  };
  base::Result<void> makeRoom(std::uint64_t bytes, const std::filesystem::path& path);

  const runtime::Executable& executable_;
  const std::uint64_t mostBytes_;
  std::mutex mutex_;
  std::list<Known> known_;  ///< longest unused first
  std::atomic<std::uint64_t> bytes_{0};
};

}  // namespace quern::engine::scheduler
