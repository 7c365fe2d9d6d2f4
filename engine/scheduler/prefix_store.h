// Beginnings of prompts on disk, block by block, so that a long system prompt survives a restart and one that
// was pushed out of the cache is read back instead of computed.
//
//   folder/<model>/<key>-<key of the block before>.kvblock     one record each (block_record.h)
//
// The files of all models count towards the byte limit. What was used longest ago goes first, but never a
// block that another one here follows: a chain is given up from its end. The times of use are the files' own,
// so they outlive the process; several processes may share a folder.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "engine/base/result.h"
#include "engine/scheduler/block_record.h"

namespace quern::engine::scheduler {

struct PrefixStoreStats {
  std::uint64_t bytes = 0;  ///< of all models' files
  std::uint64_t byteLimit = 0;
  std::int64_t blocks = 0;  ///< of this model, readable
  std::int64_t written = 0;
  std::int64_t dropped = 0;   ///< not written: no room, a slow disk, or one that failed
  std::int64_t read = 0;      ///< given back
  std::int64_t rejected = 0;  ///< read, found broken or another's, and removed
  std::int64_t evicted = 0;   ///< gone for the limit
};

/// put(), read() and contains() are the engine thread's; writing and removing happens on a thread of its own.
class PrefixStore {
 public:
  /// Makes the folder (mode 0700) and lists what is in it; what cannot be a block of this model is removed.
  /// Errors: kIo.
  static base::Result<std::unique_ptr<PrefixStore>> open(const std::filesystem::path& folder,
                                                         std::uint64_t byteLimit,
                                                         const CacheIdentity& identity);
  /// Writes what is queued.
  ~PrefixStore();

  /// Whether read() is worth trying: a file of that name is there.
  bool contains(const BlockKey& key) const;

  /// Reads a block's contents, [identity.blockBytes], and proves them. On failure `to` holds rubbish, the
  /// file is removed, and the block must be computed. Errors: kNotFound, kMalformed, kUnsupported, kIo.
  base::Result<void> read(const BlockHead& head, std::span<std::byte> to);

  /// Queues a block to be written; `fill` puts its contents into the [identity.blockBytes] bytes that it is
  /// given, now. Never waits for the disk: false when the queue is full and the block is not kept. A block
  /// that is here or queued counts as used, and `fill` is not called.
  bool put(const BlockHead& head, const std::function<void(std::span<std::byte>)>& fill);
  bool put(const BlockHead& head, std::span<const std::byte> contents);

  /// Waits until everything that is queued has been written or given up.
  void flush();

  PrefixStoreStats stats() const;

 private:
  /// A file, of this model or another.
  struct File {
    std::filesystem::path path;
    std::uint64_t bytes = 0;
    std::uint64_t used = 0;     ///< larger is later; no two are equal
    std::string key, parent;    ///< as in the names, behind the model's
    std::int32_t children = 0;  ///< files whose parent this is
  };
  struct Job {
    BlockHead head;
    std::vector<std::byte> contents;
  };

  PrefixStore(std::filesystem::path folder, std::uint64_t byteLimit, const CacheIdentity& identity);
  void list();
  std::string nameOf(const BlockKey& key) const;
  std::filesystem::path pathOf(const BlockHead& head) const;
  void add(File file);
  void use(File& file);
  void remove(const std::string& name);
  bool makeRoom(std::uint64_t bytes, const std::string& kept, std::vector<std::filesystem::path>& gone);
  void write();
  void writeOne(const Job& job);

  const std::filesystem::path folder_;
  const std::string model_;  ///< the name of its folder
  const std::uint64_t byteLimit_;
  const CacheIdentity identity_;
  const std::size_t mostQueued_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::unordered_map<std::string, File> files_;  ///< by model and key
  std::unordered_map<std::string, std::int32_t> childrenOfMissing_;
  /// Those that nothing follows, by time of use: what can go.
  std::set<std::pair<std::uint64_t, std::string>> ends_;
  std::set<std::string> refused_;  ///< found no room beside their ancestors
  std::uint64_t clock_ = 0;
  std::uint64_t bytes_ = 0;
  std::deque<Job> queue_;
  std::set<std::string> queued_;                ///< names, also of the one that is being written
  std::vector<std::vector<std::byte>> spares_;  ///< buffers to be used again
  bool isWriting_ = false;
  bool isEnding_ = false;
  bool saidThatWritingFails_ = false;
  PrefixStoreStats stats_;
  std::thread writer_;
};

}  // namespace quern::engine::scheduler
