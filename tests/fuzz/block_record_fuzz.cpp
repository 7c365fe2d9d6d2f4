// Any bytes as a file of saved blocks. The first byte says whether checksums, and keys, are made right first,
// so that what lies behind them is reached.

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "engine/scheduler/block_file.h"

namespace {

using namespace quern::engine;
using namespace quern::engine::scheduler;

/// Gives every record the checksum that its bytes have, and before that, with `keys`, the one before as its
/// parent and the key that its tokens give.
void makeRight(std::vector<std::byte>& bytes, const CacheIdentity& identity, bool keys) {
  BlockKey parent;
  for (std::size_t at = 0; at + recordBytes(identity) <= bytes.size(); at += recordBytes(identity)) {
    const std::span record(bytes.data() + at, recordBytes(identity));
    if (keys) {
      std::uint32_t promptTokens = 0;
      std::int32_t tokens[runtime::kKvBlockTokens];
      std::memcpy(&promptTokens, &record[64], 4);
      std::memcpy(tokens, &record[80], sizeof tokens);
      const BlockKey key = parent.next(tokens, static_cast<std::int32_t>(promptTokens));
      std::memcpy(&record[32], &parent, 16);
      std::memcpy(&record[48], &key, 16);
      parent = key;
    }
    const auto head = record.first(kRecordHeadBytes);
    const auto contents = record.subspan(kRecordHeadBytes, identity.blockBytes);
    const auto checksum = recordChecksum(head, contents);
    std::copy(checksum.begin(), checksum.end(), record.end() - kRecordChecksumBytes);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const bool kQuiet = (spdlog::set_level(spdlog::level::off), true);
  (void)kQuiet;
  if (size < 2) return 0;
  const CacheIdentity identity{{0, 0}, runtime::KvCacheType::kF16, 8};
  std::vector<std::byte> bytes(size - 1);
  std::memcpy(bytes.data(), data + 1, size - 1);
  if ((data[0] & 1) != 0) makeRight(bytes, identity, (data[0] & 2) != 0);
  std::size_t at = 0;
  BlockKey before;
  const std::size_t count = readBlocks(bytes, identity, [&](const BlockHead& head, auto contents) {
    // What is accepted is exactly what is written for it.
    const auto encoded = encodeHead(identity, head);
    const auto checksum = recordChecksum(encoded, contents);
    const std::byte* record = bytes.data() + at;
    if (std::memcmp(record, encoded.data(), encoded.size()) != 0 ||
        std::memcmp(record + recordBytes(identity) - checksum.size(), checksum.data(), checksum.size()) !=
            0 ||
        head.parent != before || head.key != before.next(head.tokens, head.promptTokens)) {
      __builtin_trap();
    }
    before = head.key;
    at += recordBytes(identity);
    return true;
  });
  if (count > bytes.size() / recordBytes(identity)) __builtin_trap();
  return 0;
}
