#include "engine/convert/safetensors.h"

#include <algorithm>
#include <cstring>

#include "engine/base/arithmetic.h"
#include "engine/base/text.h"
#include "engine/convert/json_file.h"
#include "engine/gguf/mapping.h"

namespace quern::engine::convert {
namespace {

/// The limit of the format's own library.
constexpr std::uint64_t kMostHeaderBytes = 100'000'000;
constexpr std::size_t kMostDimensions = 8;

struct TypeFacts {
  std::string_view written;
  SourceType type;
  std::size_t bytes;
};

constexpr TypeFacts kTypes[] = {
    {"F64", SourceType::kF64, 8},    {"F32", SourceType::kF32, 4},        {"F16", SourceType::kF16, 2},
    {"BF16", SourceType::kBF16, 2},  {"F8_E4M3", SourceType::kF8E4M3, 1}, {"F8_E5M2", SourceType::kF8E5M2, 1},
    {"I64", SourceType::kI64, 8},    {"I32", SourceType::kI32, 4},        {"I16", SourceType::kI16, 2},
    {"I8", SourceType::kI8, 1},      {"U8", SourceType::kU8, 1},          {"BOOL", SourceType::kU8, 1},
    {"F8_E8M0", SourceType::kU8, 1},
};

struct Where {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

class HeaderReader {
 public:
  HeaderReader(std::string file, std::uint64_t dataBytes) : file_(std::move(file)), dataBytes_(dataBytes) {}

  base::Result<SourceTensor> tensor(const std::string& name, const Json& entry, Where& where) const {
    const auto broken = [&](const std::string& what) {
      return base::Error(base::ErrorCode::kMalformed,
                         "\"" + file_ + "\": the tensor \"" + base::printable(name) + "\" " + what + ".");
    };
    if (!entry.is_object()) return broken("has no description");
    SourceTensor tensor;
    tensor.name = name;
    const std::string type = textOf(entry, "dtype");
    const auto facts = std::find_if(std::begin(kTypes), std::end(kTypes),
                                    [&](const TypeFacts& f) { return f.written == type; });
    if (facts == std::end(kTypes)) {
      return base::Error(base::ErrorCode::kUnsupported,
                         "\"" + file_ + "\": the tensor \"" + base::printable(name) +
                             "\" has numbers of the type \"" + base::printable(type) +
                             "\", which Quern does not know.");
    }
    tensor.type = facts->type;
    const Json& shape = member(entry, "shape");
    if (!shape.is_array() || shape.size() > kMostDimensions) return broken("has no shape");
    std::optional<std::uint64_t> bytes = facts->bytes;
    for (const Json& dim : shape) {
      if (!dim.is_number_unsigned()) return broken("has a shape that is no list of counts");
      tensor.shape.push_back(dim.get<std::uint64_t>());
      bytes = base::checkedMul(*bytes, tensor.shape.back());
      if (!bytes) return broken("has more elements than 64 bits can count");
    }
    const Json& offsets = member(entry, "data_offsets");
    if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
        !offsets[1].is_number_unsigned()) {
      return broken("has no data_offsets");
    }
    where = {offsets[0].get<std::uint64_t>(), offsets[1].get<std::uint64_t>()};
    if (where.begin > where.end || where.end > dataBytes_) {
      return broken("ends " + base::grouped(where.end - std::min(where.end, dataBytes_)) +
                    " bytes past the file: the download is incomplete, or the header lies");
    }
    if (where.end - where.begin != *bytes) {
      return broken("has " + base::grouped(where.end - where.begin) + " bytes; its shape needs " +
                    base::grouped(*bytes));
    }
    return tensor;
  }

 private:
  std::string file_;
  std::uint64_t dataBytes_;
};

}  // namespace

std::size_t sizeOf(SourceType type) {
  const auto facts =
      std::find_if(std::begin(kTypes), std::end(kTypes), [&](const TypeFacts& f) { return f.type == type; });
  return facts->bytes;
}

std::string_view nameOf(SourceType type) {
  const auto facts =
      std::find_if(std::begin(kTypes), std::end(kTypes), [&](const TypeFacts& f) { return f.type == type; });
  return facts->written;
}

std::uint64_t SourceTensor::elements() const {
  std::uint64_t product = 1;
  for (const std::uint64_t dim : shape) product *= dim;
  return product;
}

struct SafetensorsFile::Owned {
  gguf::Mapping mapping;
};

SafetensorsFile::SafetensorsFile() = default;
SafetensorsFile::~SafetensorsFile() = default;

base::Result<std::shared_ptr<const SafetensorsFile>> SafetensorsFile::open(
    const std::filesystem::path& path) {
  QUERN_ASSIGN(auto mapping, gguf::Mapping::open(path));
  std::shared_ptr<SafetensorsFile> file(new SafetensorsFile());
  file->owned_ = std::make_unique<Owned>(Owned{std::move(mapping)});
  QUERN_TRY(file->read(file->owned_->mapping.bytes(), path.filename().string()));
  return std::shared_ptr<const SafetensorsFile>(std::move(file));
}

base::Result<std::shared_ptr<const SafetensorsFile>> SafetensorsFile::fromMemory(
    std::span<const std::byte> bytes, std::string name) {
  std::shared_ptr<SafetensorsFile> file(new SafetensorsFile());
  QUERN_TRY(file->read(bytes, name));
  return std::shared_ptr<const SafetensorsFile>(std::move(file));
}

base::Result<void> SafetensorsFile::read(std::span<const std::byte> bytes, const std::string& fileName) {
  const std::string name = base::printable(fileName);
  const auto broken = [&](const std::string& what) {
    return base::Error(base::ErrorCode::kMalformed, "\"" + name + "\" " + what + ".");
  };
  std::uint64_t headerBytes = 0;
  if (bytes.size() < sizeof headerBytes) return broken("is too short to be a safetensors file");
  std::memcpy(&headerBytes, bytes.data(), sizeof headerBytes);
  if (headerBytes > kMostHeaderBytes) {
    return broken("is no safetensors file: its header would have " + base::byteText(headerBytes));
  }
  if (headerBytes > bytes.size() - sizeof headerBytes) {
    return broken("ends within its header: the download is incomplete");
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + sizeof headerBytes, headerBytes);
  QUERN_ASSIGN(const Json header, parseJson(text, fileName, true));
  if (!header.is_object()) return broken("has a header that is no JSON object");

  const auto data = bytes.subspan(sizeof headerBytes + headerBytes);
  const HeaderReader reader(name, data.size());
  std::vector<std::pair<Where, SourceTensor>> found;
  for (const auto& [key, entry] : header.items()) {
    if (key == "__metadata__") continue;
    Where where;
    QUERN_ASSIGN(SourceTensor tensor, reader.tensor(key, entry, where));
    tensor.data = data.subspan(where.begin, where.end - where.begin);
    found.emplace_back(where, std::move(tensor));
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first.begin, a.first.end) < std::pair(b.first.begin, b.first.end);
  });
  // No byte belongs to two tensors or to none: what hides between tensors was put there by somebody.
  std::uint64_t at = 0;
  for (auto& [where, tensor] : found) {
    if (where.begin != at) {
      return broken(std::string(where.begin < at ? "has tensors that overlap" : "has a gap") + " before \"" +
                    base::printable(tensor.name) + "\"");
    }
    at = where.end;
    tensors_.push_back(std::move(tensor));
  }
  if (at != data.size()) {
    return broken("has " + base::grouped(data.size() - at) + " bytes behind its last tensor");
  }
  return base::ok();
}

}  // namespace quern::engine::convert
