#include "engine/gguf/file.h"

#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>

#include "engine/base/text.h"
#include "engine/gguf/mapping.h"
#include "engine/gguf/parser.h"
#include "engine/gguf/split.h"

namespace quern::engine::gguf {

struct File::State {
  std::filesystem::path path;
  std::vector<Mapping> mappings;
  ParsedFile head;  ///< metadata of the first part, tensors of all parts
  std::uint64_t sizeBytes = 0;
  // Ordered, not hashed: a file could choose names that all fall into one bucket.
  std::map<std::string_view, std::size_t> keys;
  std::map<std::string_view, std::size_t> tensorNames;
};

namespace {

base::Error missingKey(std::string_view key) {
  return {base::ErrorCode::kNotFound, "The model file does not say \"" + std::string(key) + "\"."};
}

base::Error wrongType(std::string_view key, const char* wanted) {
  return {base::ErrorCode::kMalformed,
          "The model file's \"" + std::string(key) + "\" is not " + wanted + "."};
}

/// Value of `key` through `read`, nullopt when the key is missing, kMalformed when `read` cannot read it.
template <class T>
base::Result<std::optional<T>> optionalAt(const File& file, std::string_view key,
                                          std::optional<T> (Value::*read)() const, const char* wanted) {
  const Value* value = file.find(key);
  if (value == nullptr) return std::optional<T>();
  std::optional<T> result = (value->*read)();
  if (!result) return wrongType(key, wanted);
  return result;
}

template <class T>
base::Result<T> required(base::Result<std::optional<T>> result, std::string_view key) {
  if (!result) return std::move(result).error();
  if (!result->has_value()) return missingKey(key);
  return **result;
}

constexpr const char* kCount = "a count";
constexpr const char* kNumber = "a number";
constexpr const char* kText = "a text";
constexpr const char* kYesOrNo = "true or false";

}  // namespace

std::uint64_t Tensor::rows() const {
  std::uint64_t product = 1;
  for (std::size_t i = 1; i < dims.size(); ++i) product *= dims[i];
  return product;
}

std::uint64_t Tensor::elements() const { return rowElements() * rows(); }

std::string_view typeName(const Tensor& tensor) {
  const kernels::DTypeInfo* info = kernels::dtypeInfo(tensor.type);
  return info == nullptr ? "unknown" : info->name;
}

File::File() : state_(std::make_unique<State>()) {}
File::~File() = default;

base::Result<std::shared_ptr<const File>> File::open(const std::filesystem::path& path) {
  QUERN_ASSIGN(Mapping mapping, Mapping::open(path));
  const std::string name = path.filename().string();
  QUERN_ASSIGN(ParsedFile head, parse(mapping.bytes(), name));
  QUERN_ASSIGN(const std::optional<SplitPlace> place, splitPlace(head, name));

  std::shared_ptr<File> file(new File());
  State& state = *file->state_;
  state.path = path;
  if (!place) {
    state.sizeBytes = mapping.bytes().size();
    state.mappings.push_back(std::move(mapping));
    state.head = std::move(head);
  } else {
    QUERN_ASSIGN(std::vector<SplitPart> parts, openSplits(path, *place));
    state.path = parts.front().path;
    for (SplitPart& part : parts) {
      state.sizeBytes += part.mapping.bytes().size();
      state.mappings.push_back(std::move(part.mapping));
      if (state.mappings.size() == 1) {
        state.head = std::move(part.head);
      } else {
        state.head.tensors.insert(state.head.tensors.end(),
                                  std::make_move_iterator(part.head.tensors.begin()),
                                  std::make_move_iterator(part.head.tensors.end()));
      }
    }
  }
  for (std::size_t i = 0; i < state.head.metadata.size(); ++i)
    state.keys.emplace(state.head.metadata[i].key, i);
  for (std::size_t i = 0; i < state.head.tensors.size(); ++i) {
    if (!state.tensorNames.emplace(state.head.tensors[i].name, i).second) {
      return base::Error(base::ErrorCode::kMalformed, "\"" + name + "\" is damaged: the tensor \"" +
                                                          base::printable(state.head.tensors[i].name) +
                                                          "\" stands in two of its parts.");
    }
  }
  return std::shared_ptr<const File>(std::move(file));
}

base::Result<std::shared_ptr<const File>> File::fromMemory(std::span<const std::byte> bytes,
                                                           std::string name) {
  QUERN_ASSIGN(ParsedFile head, parse(bytes, name));
  std::shared_ptr<File> file(new File());
  State& state = *file->state_;
  state.path = std::move(name);
  state.sizeBytes = bytes.size();
  state.head = std::move(head);
  for (std::size_t i = 0; i < state.head.metadata.size(); ++i)
    state.keys.emplace(state.head.metadata[i].key, i);
  for (std::size_t i = 0; i < state.head.tensors.size(); ++i) {
    state.tensorNames.emplace(state.head.tensors[i].name, i);
  }
  return std::shared_ptr<const File>(std::move(file));
}

const std::filesystem::path& File::path() const { return state_->path; }
std::uint32_t File::version() const { return state_->head.version; }
std::uint64_t File::alignment() const { return state_->head.alignment; }
std::uint64_t File::sizeBytes() const { return state_->sizeBytes; }
std::span<const Entry> File::metadata() const { return state_->head.metadata; }
std::span<const Tensor> File::tensors() const { return state_->head.tensors; }

const Value* File::find(std::string_view key) const {
  const auto found = state_->keys.find(key);
  return found == state_->keys.end() ? nullptr : &state_->head.metadata[found->second].value;
}

const Tensor* File::tensor(std::string_view name) const {
  const auto found = state_->tensorNames.find(name);
  return found == state_->tensorNames.end() ? nullptr : &state_->head.tensors[found->second];
}

base::Result<std::uint64_t> File::unsignedAt(std::string_view key) const {
  return required(optionalUnsigned(key), key);
}
base::Result<double> File::numberAt(std::string_view key) const { return required(optionalNumber(key), key); }
base::Result<std::string_view> File::stringAt(std::string_view key) const {
  return required(optionalString(key), key);
}
base::Result<std::optional<std::uint64_t>> File::optionalUnsigned(std::string_view key) const {
  return optionalAt(*this, key, &Value::asUnsigned, kCount);
}
base::Result<std::optional<double>> File::optionalNumber(std::string_view key) const {
  return optionalAt(*this, key, &Value::asNumber, kNumber);
}
base::Result<std::optional<bool>> File::optionalBool(std::string_view key) const {
  return optionalAt(*this, key, &Value::asBool, kYesOrNo);
}
base::Result<std::optional<std::string_view>> File::optionalString(std::string_view key) const {
  return optionalAt(*this, key, &Value::asString, kText);
}

// Bytes that the caller of fromMemory() owns are not ours to read ahead or to drop.
void File::prefetch(std::span<const std::byte> part) const {
  if (!state_->mappings.empty()) Mapping::prefetch(part);
}
void File::release(std::span<const std::byte> part) const {
  if (!state_->mappings.empty()) Mapping::release(part);
}

bool hasGgufMagic(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return false;
  std::ifstream stream(path, std::ios::binary);
  char magic[4] = {};
  return stream.read(magic, sizeof magic) && std::memcmp(magic, "GGUF", sizeof magic) == 0;
}

}  // namespace quern::engine::gguf
