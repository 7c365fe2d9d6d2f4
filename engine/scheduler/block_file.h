// Blocks of a chat's cache in one file, front to back: records as block_record.h draws them and nothing else.
// A file that ends early is worth the records before its end.
#pragma once

#include <filesystem>
#include <functional>
#include <span>

#include "engine/base/private_file.h"
#include "engine/base/result.h"
#include "engine/scheduler/block_record.h"

namespace quern::engine::scheduler {

/// Writes one. Without finish() nothing is left of it, and a file of that name stays as it was.
class BlockFileWriter {
 public:
  /// The file is its owner's alone. Errors: kIo.
  static base::Result<BlockFileWriter> create(const std::filesystem::path& path,
                                              const CacheIdentity& identity);
  /// contents: [identity.blockBytes]. Errors: kIo.
  base::Result<void> append(const BlockHead& head, std::span<const std::byte> contents);
  /// Returns when the bytes are on the disk. Errors: kIo.
  base::Result<void> finish();

 private:
  BlockFileWriter(base::PrivateFile file, const CacheIdentity& identity)
      : file_(std::move(file)), identity_(identity) {}
  base::PrivateFile file_;
  CacheIdentity identity_;
};

/// Called with every record in turn; false ends the reading. The contents are gone when it returns.
using BlockVisitor = std::function<bool(const BlockHead& head, std::span<const std::byte> contents)>;

/// Reads a file of records up to its end or to the first record that is broken, is of another model or does
/// not follow the one before (the first follows a sequence's beginning); keeps one record in memory at a
/// time. Returns how many were visited. Errors: kNotFound and kIo only: whatever stands in the file is no
/// error.
base::Result<std::size_t> readBlockFile(const std::filesystem::path& path, const CacheIdentity& identity,
                                        const BlockVisitor& visit);
/// The same from bytes in memory.
std::size_t readBlocks(std::span<const std::byte> bytes, const CacheIdentity& identity,
                       const BlockVisitor& visit);

}  // namespace quern::engine::scheduler
