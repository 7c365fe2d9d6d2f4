#include "engine/gguf/writer.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "engine/base/arithmetic.h"
#include "engine/base/text.h"
#include "engine/gguf/output_file.h"
#include "engine/gguf/split.h"

namespace quern::engine::gguf {
namespace {

constexpr std::uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr std::uint32_t kVersion = 3;
constexpr std::uint64_t kDefaultAlignment = 32;
// The reader's own limits: what is written must be readable.
constexpr std::size_t kMaxKeyBytes = 65535;
constexpr std::size_t kMaxNameBytes = 1024;
constexpr std::size_t kMaxDimensions = 4;
/// split.no and split.count are u16 in the file, and a name has room for five digits.
constexpr std::size_t kMaxParts = 9999;

class Encoder {
 public:
  template <class T>
  void number(T value) {
    raw(std::as_bytes(std::span(&value, 1)));
  }
  void text(std::string_view value) {
    number<std::uint64_t>(value.size());
    raw(std::as_bytes(std::span(value.data(), value.size())));
  }
  void raw(std::span<const std::byte> bytes) {
    if (bytes.empty()) return;
    bytes_.resize(bytes_.size() + bytes.size());
    std::memcpy(bytes_.data() + bytes_.size() - bytes.size(), bytes.data(), bytes.size());
  }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

bool isWritersOwn(std::string_view key) { return key == "general.alignment" || key.starts_with("split."); }

/// A tensor's bytes, or nullopt where dimensions and type do not fit.
std::optional<std::uint64_t> tensorBytes(kernels::DType type, std::span<const std::uint64_t> dims) {
  const kernels::DTypeInfo* info = kernels::dtypeInfo(type);
  if (info == nullptr || dims.size() > kMaxDimensions) return std::nullopt;
  std::optional<std::int64_t> elements = 1;
  for (const std::uint64_t dim : dims) {
    if (dim == 0 || dim > INT64_MAX) return std::nullopt;
    elements = base::checkedMul(*elements, static_cast<std::int64_t>(dim));
    if (!elements) return std::nullopt;
  }
  if ((dims.empty() ? 1 : dims.front()) % info->blockElements != 0) return std::nullopt;
  return base::checkedMul<std::uint64_t>(static_cast<std::uint64_t>(*elements) / info->blockElements,
                                         info->blockBytes);
}

std::uint64_t alignUp(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace

/// The tensors [begin, end) that lie in one file.
struct Writer::Part {
  std::size_t begin;
  std::size_t end;
};

void Writer::reject(std::string sentence) {
  if (!mistake_) mistake_.emplace(base::ErrorCode::kInvalidArgument, std::move(sentence));
}

void Writer::setRaw(std::string_view key, ValueType type, std::optional<ValueType> elementType,
                    std::uint64_t count, std::span<const std::byte> payload) {
  const std::string quoted = "\"" + base::printable(key) + "\"";
  if (key.empty() || key.size() > kMaxKeyBytes) return reject("A metadata key is empty or too long.");
  if (isWritersOwn(key)) return reject("The key " + quoted + " is written by the writer itself.");
  if (!keys_.emplace(key).second) return reject("The key " + quoted + " was set twice.");
  Encoder encoder;
  encoder.number(static_cast<std::uint32_t>(type));
  if (elementType) {
    encoder.number(static_cast<std::uint32_t>(*elementType));
    encoder.number(count);
  }
  encoder.raw(payload);
  items_.push_back({std::string(key), encoder.take()});
}

void Writer::set(std::string_view key, std::string_view text) {
  Encoder payload;
  payload.text(text);
  setRaw(key, ValueType::kString, std::nullopt, 1, payload.take());
}

void Writer::setStrings(std::string_view key, std::span<const std::string> texts) {
  Encoder payload;
  for (const std::string& text : texts) payload.text(text);
  setRaw(key, ValueType::kArray, ValueType::kString, texts.size(), payload.take());
}

void Writer::copy(const Entry& entry) {
  if (isWritersOwn(entry.key)) return;
  const Value& value = entry.value;
  if (value.type() == ValueType::kString) return set(entry.key, *value.asString());
  setRaw(entry.key, value.type(),
         value.isArray() ? std::optional(value.elementType()) : std::optional<ValueType>(), value.count(),
         value.payload());
}

void Writer::addTensor(std::string_view name, kernels::DType type, std::span<const std::uint64_t> dims,
                       TensorSource source) {
  const std::string quoted = "\"" + base::printable(name) + "\"";
  if (name.empty() || name.size() > kMaxNameBytes) return reject("A tensor's name is empty or too long.");
  if (!names_.emplace(name).second) return reject("The tensor " + quoted + " was added twice.");
  const auto size = tensorBytes(type, dims);
  if (!size) return reject("The tensor " + quoted + " has dimensions that its type cannot have.");
  tensors_.push_back({std::string(name), type, {dims.begin(), dims.end()}, *size, std::move(source)});
}

void Writer::addTensor(std::string_view name, kernels::DType type, std::span<const std::uint64_t> dims,
                       std::span<const std::byte> bytes) {
  addTensor(name, type, dims, [bytes](const EmitBytes& emit) { return emit(bytes); });
}

std::vector<Writer::Part> Writer::plan(const WriteOptions& options) const {
  std::vector<Part> parts = {{0, 0}};
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const std::uint64_t size = alignUp(tensors_[i].sizeBytes, options.alignment);
    const bool tooLong = options.maxPartBytes > 0 && bytes + size > options.maxPartBytes;
    const bool tooMany =
        options.maxPartTensors > 0 && parts.back().end - parts.back().begin >= options.maxPartTensors;
    // A tensor that is longer than a part may be gets a part of its own.
    if ((tooLong || tooMany) && parts.back().end > parts.back().begin) {
      parts.push_back({i, i});
      bytes = 0;
    }
    parts.back().end = i + 1;
    bytes += size;
  }
  return parts;
}

std::vector<std::byte> Writer::head(const Part& part, std::size_t index, std::size_t parts,
                                    std::uint64_t alignment) const {
  Encoder own;
  std::uint64_t ownCount = 0;
  const auto addOwn = [&](std::string_view key, auto value) {
    own.text(key);
    own.number(static_cast<std::uint32_t>(valueTypeOf<decltype(value)>()));
    own.number(value);
    ++ownCount;
  };
  if (alignment != kDefaultAlignment) addOwn("general.alignment", static_cast<std::uint32_t>(alignment));
  if (parts > 1) {
    addOwn("split.no", static_cast<std::uint16_t>(index));
    addOwn("split.count", static_cast<std::uint16_t>(parts));
    addOwn("split.tensors.count", static_cast<std::int32_t>(tensors_.size()));
  }
  const std::span<const Item> items = index == 0 ? std::span(items_) : std::span<const Item>();

  Encoder encoder;
  encoder.number(kMagic);
  encoder.number(kVersion);
  encoder.number<std::uint64_t>(part.end - part.begin);
  encoder.number<std::uint64_t>(items.size() + ownCount);
  for (const Item& item : items) {
    encoder.text(item.key);
    encoder.raw(item.encoded);
  }
  encoder.raw(own.take());
  std::uint64_t offset = 0;
  for (std::size_t i = part.begin; i < part.end; ++i) {
    const Planned& tensor = tensors_[i];
    encoder.text(tensor.name);
    encoder.number(static_cast<std::uint32_t>(tensor.dims.size()));
    for (const std::uint64_t dim : tensor.dims) encoder.number(dim);
    encoder.number(static_cast<std::uint32_t>(tensor.type));
    encoder.number(offset);
    offset = alignUp(offset + tensor.sizeBytes, alignment);
  }
  return encoder.take();
}

base::Result<std::vector<std::filesystem::path>> Writer::write(const std::filesystem::path& path,
                                                               const WriteOptions& options) const {
  if (mistake_) return *mistake_;
  if (!std::has_single_bit(options.alignment) || options.alignment < 8 || options.alignment > (1U << 20)) {
    return base::Error(base::ErrorCode::kInvalidArgument,
                       "The alignment must be a power of two between 8 and 1,048,576.");
  }
  std::uint64_t total = 1;  // never divided by zero, never quite 1 before the end
  for (const Planned& tensor : tensors_) {
    const auto sum = base::checkedAdd(total, tensor.sizeBytes);
    if (!sum || *sum > INT64_MAX) {
      return base::Error(base::ErrorCode::kInvalidArgument, "The tensors are too long for any file.");
    }
    total = *sum;
  }
  const std::vector<Part> parts = plan(options);
  if (parts.size() > kMaxParts) {
    return base::Error(base::ErrorCode::kInvalidArgument,
                       "The model would fall into " + base::grouped(parts.size()) +
                           " parts; at most 9,999 can be named. Allow longer parts.");
  }
  const std::string stem = path.extension() == ".gguf" ? path.stem().string() : path.filename().string();

  std::vector<OutputFile> files;
  std::vector<std::filesystem::path> paths;
  std::uint64_t done = 0;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    paths.push_back(parts.size() == 1 ? path : path.parent_path() / splitName(stem, p, parts.size()));
    QUERN_ASSIGN(OutputFile file, OutputFile::create(paths.back()));
    QUERN_TRY(file.append(head(parts[p], p, parts.size(), options.alignment)));
    QUERN_TRY(file.pad(options.alignment));
    for (std::size_t i = parts[p].begin; i < parts[p].end; ++i) {
      const Planned& tensor = tensors_[i];
      std::uint64_t emitted = 0;
      const auto wrongLength = [&] {
        return base::Error(base::ErrorCode::kInvalidArgument,
                           "The bytes given for the tensor \"" + base::printable(tensor.name) +
                               "\" are not the " + base::grouped(tensor.sizeBytes) +
                               " that its type and dimensions need.");
      };
      const EmitBytes emit = [&](std::span<const std::byte> bytes) -> base::Result<void> {
        if (bytes.size() > tensor.sizeBytes - emitted) return wrongLength();
        emitted += bytes.size();
        done += bytes.size();
        QUERN_TRY(file.append(bytes));
        if (options.progress && !options.progress(static_cast<double>(done) / static_cast<double>(total))) {
          return base::Error(base::ErrorCode::kCancelled, "Writing was cancelled.");
        }
        return base::ok();
      };
      QUERN_TRY(tensor.source(emit));
      if (emitted != tensor.sizeBytes) return wrongLength();
      QUERN_TRY(file.pad(options.alignment));
    }
    QUERN_TRY(file.finish());
    files.push_back(std::move(file));
  }
  for (OutputFile& file : files) QUERN_TRY(file.publish());
  return paths;
}

}  // namespace quern::engine::gguf
