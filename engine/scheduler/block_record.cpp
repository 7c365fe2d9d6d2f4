#include "engine/scheduler/block_record.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <string>

namespace quern::engine::scheduler {
namespace {

static_assert(std::endian::native == std::endian::little, "records are written as they lie in memory");

constexpr char kMagic[8] = {'Q', 'U', 'E', 'R', 'N', 'K', 'V', 'B'};

base::Error malformed(const char* what) {
  return {base::ErrorCode::kMalformed, std::string("A saved block of the cache ") + what + "."};
}
base::Error unsupported(const char* what) {
  return {base::ErrorCode::kUnsupported, std::string("A saved block of the cache ") + what + "."};
}

/// Puts numbers one after another.
class Writer {
 public:
  explicit Writer(std::byte* at) : at_(at) {}
  template <class T>
  Writer& put(const T& value) {
    std::memcpy(at_, &value, sizeof value);
    at_ += sizeof value;
    return *this;
  }

 private:
  std::byte* at_;
};

class Reader {
 public:
  explicit Reader(const std::byte* at) : at_(at) {}
  template <class T>
  T take() {
    T value;
    std::memcpy(&value, at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  BlockKey takeKey() {
    BlockKey key;
    key.high = take<std::uint64_t>();
    key.low = take<std::uint64_t>();
    return key;
  }

 private:
  const std::byte* at_;
};

}  // namespace

BlockHead BlockHead::of(const BlockKey& parent, std::span<const std::int32_t> tokens,
                        std::int32_t promptTokens) {
  BlockHead head;
  QUERN_CHECK(tokens.size() == head.tokens.size(), "a record is of a whole block");
  head.parent = parent;
  head.key = parent.next(tokens, promptTokens);
  head.promptTokens = promptTokens;
  std::copy(tokens.begin(), tokens.end(), head.tokens.begin());
  return head;
}

std::array<std::byte, kRecordHeadBytes> encodeHead(const CacheIdentity& identity, const BlockHead& head) {
  std::array<std::byte, kRecordHeadBytes> bytes{};
  Writer(bytes.data())
      .put(kMagic)
      .put(kBlockRecordVersion)
      .put(static_cast<std::uint32_t>(identity.kvType))
      .put(identity.model.high)
      .put(identity.model.low)
      .put(head.parent.high)
      .put(head.parent.low)
      .put(head.key.high)
      .put(head.key.low)
      .put(static_cast<std::uint32_t>(head.promptTokens))
      .put(static_cast<std::uint32_t>(head.tokens.size()))
      .put(static_cast<std::uint64_t>(identity.blockBytes))
      .put(head.tokens);
  return bytes;
}

std::array<std::byte, kRecordChecksumBytes> recordChecksum(std::span<const std::byte> head,
                                                           std::span<const std::byte> contents) {
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(),
                                                                              XXH3_freeState);
  QUERN_CHECK(state != nullptr, "no memory for a checksum");
  XXH3_128bits_reset(state.get());
  XXH3_128bits_update(state.get(), head.data(), head.size());
  XXH3_128bits_update(state.get(), contents.data(), contents.size());
  const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
  std::array<std::byte, kRecordChecksumBytes> bytes{};
  Writer(bytes.data())
      .put(static_cast<std::uint64_t>(hash.high64))
      .put(static_cast<std::uint64_t>(hash.low64));
  return bytes;
}

base::Result<BlockHead> decodeHead(const CacheIdentity& identity, std::span<const std::byte> bytes) {
  if (bytes.size() < kRecordHeadBytes) return malformed("ends early");
  Reader reader(bytes.data());
  if (std::memcmp(reader.take<std::array<char, 8>>().data(), kMagic, sizeof kMagic) != 0) {
    return malformed("does not begin as one");
  }
  if (reader.take<std::uint32_t>() != kBlockRecordVersion) return unsupported("is of another version");
  if (reader.take<std::uint32_t>() != static_cast<std::uint32_t>(identity.kvType)) {
    return unsupported("is of another type of cache");
  }
  ModelHash model;
  model.high = reader.take<std::uint64_t>();
  model.low = reader.take<std::uint64_t>();
  if (!(model == identity.model)) return unsupported("is of another model, or was computed in another way");
  BlockHead head;
  head.parent = reader.takeKey();
  head.key = reader.takeKey();
  const auto promptTokens = reader.take<std::uint32_t>();
  const auto tokens = reader.take<std::uint32_t>();
  const auto contents = reader.take<std::uint64_t>();
  if (tokens != head.tokens.size() || promptTokens > tokens || contents != identity.blockBytes) {
    return malformed("is of another size");
  }
  head.promptTokens = static_cast<std::int32_t>(promptTokens);
  head.tokens = reader.take<decltype(head.tokens)>();
  if (head.parent.next(head.tokens, head.promptTokens) != head.key) {
    return malformed("has a key that its tokens do not give");
  }
  return head;
}

base::Result<void> checkContents(std::span<const std::byte> head, std::span<const std::byte> contents,
                                 std::span<const std::byte> checksum) {
  const auto expected = recordChecksum(head, contents);
  if (!std::equal(expected.begin(), expected.end(), checksum.begin(), checksum.end())) {
    return malformed("is damaged: its checksum is another");
  }
  return base::ok();
}

base::Result<BlockHead> decodeRecord(const CacheIdentity& identity, std::span<const std::byte> record) {
  if (record.size() != recordBytes(identity)) return malformed("is of another size");
  QUERN_ASSIGN(const BlockHead head, decodeHead(identity, record));
  QUERN_TRY(checkContents(record.first(kRecordHeadBytes),
                          record.subspan(kRecordHeadBytes, identity.blockBytes),
                          record.last(kRecordChecksumBytes)));
  return head;
}

}  // namespace quern::engine::scheduler
