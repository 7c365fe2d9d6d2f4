#include "engine/gguf/parser.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>

#include "engine/base/arithmetic.h"
#include "engine/base/text.h"

namespace quern::engine::gguf {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF files are read in place");

constexpr std::uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr std::uint32_t kMaxDimensions = 4;
constexpr std::uint64_t kMaxKeyBytes = 65535;                 // the specification's limit on keys
constexpr std::uint64_t kMaxNameBytes = 1024;                 // the specification says 64; longer ones exist
constexpr std::uint64_t kMinEntryBytes = 8 + 1 + 4 + 1;       // key length, key, type, value
constexpr std::uint64_t kMinTensorBytes = 8 + 1 + 4 + 4 + 8;  // name length, name, dims, type, offset

/// Bytes of a scalar; 0 for strings, arrays and unknown types.
std::size_t scalarBytes(ValueType type) {
  switch (type) {
    case ValueType::kU8:
    case ValueType::kI8:
    case ValueType::kBool:
      return 1;
    case ValueType::kU16:
    case ValueType::kI16:
      return 2;
    case ValueType::kU32:
    case ValueType::kI32:
    case ValueType::kF32:
      return 4;
    case ValueType::kU64:
    case ValueType::kI64:
    case ValueType::kF64:
      return 8;
    default:
      return 0;
  }
}

/// Walks over the bytes and remembers the first thing that was wrong.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  std::uint64_t offset() const { return offset_; }
  std::uint64_t left() const { return bytes_.size() - offset_; }

  base::Error malformed(const std::string& what) const {
    return {base::ErrorCode::kMalformed,
            "\"" + name_ + "\" is damaged: " + what + ".",
            {"at byte " + base::grouped(offset_) + " of " + base::grouped(bytes_.size())}};
  }

  base::Result<std::span<const std::byte>> take(std::uint64_t count, const char* what) {
    if (count > left()) return malformed(std::string("it ends inside ") + what);
    const auto part = bytes_.subspan(offset_, count);
    offset_ += count;
    return part;
  }

  /// `count` lengths, each with its bytes behind it: vocabularies have hundreds of thousands of them.
  base::Result<std::span<const std::byte>> strings(std::uint64_t count, const char* what) {
    std::uint64_t end = offset_;
    for (std::uint64_t i = 0; i < count; ++i) {
      std::uint64_t length = 0;
      if (bytes_.size() - end < sizeof length) return malformed(std::string("it ends inside ") + what);
      std::memcpy(&length, bytes_.data() + end, sizeof length);
      end += sizeof length;
      if (length > bytes_.size() - end) return malformed(std::string("it ends inside ") + what);
      end += length;
    }
    return take(end - offset_, what);
  }

  template <class T>
  base::Result<T> number(const char* what) {
    QUERN_ASSIGN(const auto part, take(sizeof(T), what));
    T value;
    std::memcpy(&value, part.data(), sizeof value);
    return value;
  }

  base::Result<std::span<const std::byte>> lengthAndBytes(const char* what) {
    QUERN_ASSIGN(const auto length, number<std::uint64_t>(what));
    return take(length, what);
  }

 private:
  std::span<const std::byte> bytes_;
  const std::string& name_;
  std::uint64_t offset_ = 0;
};

std::string_view asText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string quoted(std::string_view text) { return "\"" + base::printable(text) + "\""; }

base::Result<Value> parseArray(Cursor& cursor, std::string_view key) {
  QUERN_ASSIGN(const auto rawType, cursor.number<std::uint32_t>("an array's type"));
  QUERN_ASSIGN(const auto count, cursor.number<std::uint64_t>("an array's length"));
  const auto type = static_cast<ValueType>(rawType);
  if (type == ValueType::kString) {
    // Every string takes at least the eight bytes of its length: a count beyond that is a lie.
    if (count > cursor.left() / 8)
      return cursor.malformed("the array " + quoted(key) + " is longer than the file");
    QUERN_ASSIGN(const auto payload, cursor.strings(count, "an array of strings"));
    return Value(ValueType::kArray, type, count, payload);
  }
  if (type == ValueType::kArray) return cursor.malformed("the array " + quoted(key) + " holds arrays");
  const std::size_t size = scalarBytes(type);
  if (size == 0) {
    return cursor.malformed("the array " + quoted(key) + " has the unknown type " + std::to_string(rawType));
  }
  if (count > cursor.left() / size)
    return cursor.malformed("the array " + quoted(key) + " is longer than the file");
  QUERN_ASSIGN(const auto payload, cursor.take(count * size, "an array"));
  return Value(ValueType::kArray, type, count, payload);
}

base::Result<Value> parseValue(Cursor& cursor, std::string_view key) {
  QUERN_ASSIGN(const auto rawType, cursor.number<std::uint32_t>("a value's type"));
  const auto type = static_cast<ValueType>(rawType);
  if (type == ValueType::kArray) return parseArray(cursor, key);
  if (type == ValueType::kString) {
    QUERN_ASSIGN(const auto payload, cursor.lengthAndBytes("a string"));
    return Value(type, type, 1, payload);
  }
  const std::size_t size = scalarBytes(type);
  if (size == 0) {
    return cursor.malformed("the value " + quoted(key) + " has the unknown type " + std::to_string(rawType));
  }
  QUERN_ASSIGN(const auto payload, cursor.take(size, "a value"));
  return Value(type, type, 1, payload);
}

/// A tensor as its head announces it; where its bytes lie is only known once all heads are read.
struct TensorHead {
  Tensor tensor;
  std::uint64_t offset;
  std::uint64_t sizeBytes;
};

base::Result<TensorHead> parseTensorHead(Cursor& cursor) {
  QUERN_ASSIGN(const auto nameBytes, cursor.lengthAndBytes("a tensor's name"));
  const std::string_view name = asText(nameBytes);
  if (name.empty() || name.size() > kMaxNameBytes)
    return cursor.malformed("a tensor's name is empty or too long");
  QUERN_ASSIGN(const auto count, cursor.number<std::uint32_t>("a tensor's dimensions"));
  if (count > kMaxDimensions) {
    return cursor.malformed("the tensor " + quoted(name) + " has " + base::grouped(count) + " dimensions");
  }
  TensorHead head{.tensor = {.name = name, .type = {}, .dims = {}, .data = {}}, .offset = 0, .sizeBytes = 0};
  std::uint64_t elements = 1;
  for (std::uint32_t i = 0; i < count; ++i) {
    QUERN_ASSIGN(const auto dim, cursor.number<std::uint64_t>("a tensor's dimensions"));
    // Products stay below 2^63 so that signed arithmetic further on is safe too.
    const auto product =
        base::checkedMul<std::int64_t>(static_cast<std::int64_t>(elements), static_cast<std::int64_t>(dim));
    if (dim == 0 || dim > INT64_MAX || !product) {
      return cursor.malformed("the tensor " + quoted(name) + " has impossible dimensions");
    }
    elements = static_cast<std::uint64_t>(*product);
    head.tensor.dims.push_back(dim);
  }
  QUERN_ASSIGN(const auto rawType, cursor.number<std::uint32_t>("a tensor's type"));
  const kernels::DTypeInfo* info = kernels::dtypeInfo(rawType);
  if (info == nullptr) {
    return base::Error(base::ErrorCode::kUnsupported, "The tensor " + quoted(name) + " has the type number " +
                                                          std::to_string(rawType) +
                                                          ", which Quern does not know.");
  }
  head.tensor.type = info->type;
  if (head.tensor.rowElements() % info->blockElements != 0) {
    return cursor.malformed("a row of the tensor " + quoted(name) + " is not a whole number of " +
                            std::string(info->name) + " blocks");
  }
  const auto size = base::checkedMul<std::uint64_t>(elements / info->blockElements, info->blockBytes);
  if (!size) return cursor.malformed("the tensor " + quoted(name) + " has impossible dimensions");
  head.sizeBytes = *size;
  QUERN_ASSIGN(head.offset, cursor.number<std::uint64_t>("a tensor's offset"));
  return head;
}

base::Result<void> parseMetadata(Cursor& cursor, std::uint64_t count, ParsedFile& file) {
  if (count > cursor.left() / kMinEntryBytes) {
    return cursor.malformed("it announces " + base::grouped(count) +
                            " metadata entries, more than it can hold");
  }
  // Ordered, not hashed: a file could choose keys that all fall into one bucket.
  std::set<std::string_view> keys;
  for (std::uint64_t i = 0; i < count; ++i) {
    QUERN_ASSIGN(const auto keyBytes, cursor.lengthAndBytes("a key"));
    const std::string_view key = asText(keyBytes);
    if (key.empty() || key.size() > kMaxKeyBytes) return cursor.malformed("a key is empty or too long");
    if (!keys.insert(key).second) return cursor.malformed("the key " + quoted(key) + " stands in it twice");
    QUERN_ASSIGN(const Value value, parseValue(cursor, key));
    file.metadata.push_back({key, value});
    if (key == "general.alignment") {
      const auto alignment = value.asUnsigned();
      if (!alignment || !std::has_single_bit(*alignment) || *alignment < 8 || *alignment > (1U << 20)) {
        return cursor.malformed("its alignment is not a power of two between 8 and 1,048,576");
      }
      file.alignment = *alignment;
    }
  }
  return base::ok();
}

/// Gives every tensor its bytes. `begin` is where tensor data starts.
base::Result<void> placeTensors(std::span<const std::byte> bytes, std::uint64_t begin,
                                std::vector<TensorHead>& heads, const Cursor& cursor, const std::string& name,
                                ParsedFile& file) {
  std::uint64_t dataEnd = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;  // offset, end
  ranges.reserve(heads.size());
  for (const TensorHead& head : heads) {
    const auto end = base::checkedAdd(head.offset, head.sizeBytes);
    if (!end || !base::checkedAdd(*end, begin)) {
      return cursor.malformed("the tensor " + quoted(head.tensor.name) + " lies at an impossible offset");
    }
    if (head.offset % file.alignment != 0) {
      return cursor.malformed("the tensor " + quoted(head.tensor.name) + " is not aligned");
    }
    dataEnd = std::max(dataEnd, *end);
    ranges.emplace_back(head.offset, *end);
  }
  const std::uint64_t available = begin < bytes.size() ? bytes.size() - begin : 0;
  if (dataEnd > available) {
    return base::Error(base::ErrorCode::kMalformed, "\"" + name + "\" ends " +
                                                        base::grouped(dataEnd - available) +
                                                        " bytes before its tensor data does: the download is "
                                                        "incomplete. Fetch it again.");
  }
  std::sort(ranges.begin(), ranges.end());
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    if (ranges[i].first < ranges[i - 1].second) return cursor.malformed("two of its tensors overlap");
  }
  for (TensorHead& head : heads) {
    head.tensor.data = bytes.subspan(begin + head.offset, head.sizeBytes);
    file.tensors.push_back(std::move(head.tensor));
  }
  return base::ok();
}

}  // namespace

base::Result<ParsedFile> parse(std::span<const std::byte> bytes, const std::string& name) {
  Cursor cursor(bytes, name);
  const auto magic = cursor.number<std::uint32_t>("its magic number");
  if (!magic || *magic != kMagic) {
    return base::Error(base::ErrorCode::kMalformed, "\"" + name + "\" is not a GGUF model file.");
  }
  ParsedFile file;
  QUERN_ASSIGN(file.version, cursor.number<std::uint32_t>("its version"));
  if (file.version != 0 && (file.version & 0xFFFFU) == 0) {
    return base::Error(base::ErrorCode::kUnsupported,
                       "\"" + name + "\" is a big-endian GGUF file; Quern reads little-endian ones.");
  }
  if (file.version != 2 && file.version != 3) {
    return base::Error(base::ErrorCode::kUnsupported, "\"" + name + "\" is GGUF version " +
                                                          std::to_string(file.version) +
                                                          "; Quern reads versions 2 and 3.");
  }
  QUERN_ASSIGN(const auto tensorCount, cursor.number<std::uint64_t>("its head"));
  QUERN_ASSIGN(const auto entryCount, cursor.number<std::uint64_t>("its head"));
  QUERN_TRY(parseMetadata(cursor, entryCount, file));
  if (tensorCount > cursor.left() / kMinTensorBytes) {
    return cursor.malformed("it announces " + base::grouped(tensorCount) + " tensors, more than it can hold");
  }
  std::vector<TensorHead> heads;
  heads.reserve(tensorCount);
  std::set<std::string_view> names;
  for (std::uint64_t i = 0; i < tensorCount; ++i) {
    QUERN_ASSIGN(TensorHead head, parseTensorHead(cursor));
    if (!names.insert(head.tensor.name).second) {
      return cursor.malformed("the tensor " + quoted(head.tensor.name) + " stands in it twice");
    }
    heads.push_back(std::move(head));
  }
  const auto begin = base::checkedAlignUp(cursor.offset(), file.alignment);
  if (!begin) return cursor.malformed("its head is too long");
  QUERN_TRY(placeTensors(bytes, *begin, heads, cursor, name, file));
  return file;
}

}  // namespace quern::engine::gguf
