#include "engine/scheduler/block_file.h"

#include <spdlog/spdlog.h>

#include <vector>

#include "engine/base/text.h"

namespace quern::engine::scheduler {
namespace {

/// What both ways of reading do with a record: whether it is whole, follows `before`, and was wanted.
bool takeRecord(std::span<const std::byte> record, const CacheIdentity& identity, BlockKey& before,
                const BlockVisitor& visit, std::size_t& visited) {
  const auto head = decodeRecord(identity, record);
  if (!head) {
    spdlog::warn("Saved state after {} blocks is not used: {}", visited, head.error().message());
    return false;
  }
  if (head->parent != before) {
    spdlog::warn("Saved state after {} blocks is not used: the next one belongs elsewhere.", visited);
    return false;
  }
  before = head->key;
  if (!visit(*head, record.subspan(kRecordHeadBytes, identity.blockBytes))) return false;
  ++visited;
  return true;
}

}  // namespace

base::Result<BlockFileWriter> BlockFileWriter::create(const std::filesystem::path& path,
                                                      const CacheIdentity& identity) {
  QUERN_ASSIGN(auto file, base::PrivateFile::create(path));
  return BlockFileWriter(std::move(file), identity);
}

base::Result<void> BlockFileWriter::append(const BlockHead& head, std::span<const std::byte> contents) {
  QUERN_CHECK(contents.size() == identity_.blockBytes, "a record's contents are a whole block");
  const auto encoded = encodeHead(identity_, head);
  QUERN_TRY(file_.append(encoded));
  QUERN_TRY(file_.append(contents));
  return file_.append(recordChecksum(encoded, contents));
}

base::Result<void> BlockFileWriter::finish() { return file_.publish(true); }

base::Result<std::size_t> readBlockFile(const std::filesystem::path& path, const CacheIdentity& identity,
                                        const BlockVisitor& visit) {
  QUERN_ASSIGN(const auto file, base::PrivateFile::open(path));
  std::vector<std::byte> record(recordBytes(identity));
  BlockKey before;
  std::size_t visited = 0;
  for (std::uint64_t at = 0; at + record.size() <= file.sizeBytes(); at += record.size()) {
    QUERN_TRY(file.readAt(at, record));
    if (!takeRecord(record, identity, before, visit, visited)) break;
  }
  return visited;
}

std::size_t readBlocks(std::span<const std::byte> bytes, const CacheIdentity& identity,
                       const BlockVisitor& visit) {
  BlockKey before;
  std::size_t visited = 0;
  while (bytes.size() >= recordBytes(identity)) {
    if (!takeRecord(bytes.first(recordBytes(identity)), identity, before, visit, visited)) break;
    bytes = bytes.subspan(recordBytes(identity));
  }
  return visited;
}

}  // namespace quern::engine::scheduler
