#include "engine/gguf/split.h"

#include <cctype>
#include <cstdio>

#include "engine/base/text.h"

namespace quern::engine::gguf {
namespace {

constexpr std::uint64_t kMaxParts = 9999;
constexpr std::size_t kSuffix = sizeof("-00001-of-00003.gguf") - 1;

const Value* findValue(const ParsedFile& head, std::string_view key) {
  for (const Entry& entry : head.metadata) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

base::Error damaged(const std::string& name, const std::string& what) {
  return {base::ErrorCode::kMalformed, "\"" + name + "\" is damaged: " + what + "."};
}

}  // namespace

base::Result<std::optional<SplitPlace>> splitPlace(const ParsedFile& head, const std::string& name) {
  const Value* count = findValue(head, "split.count");
  if (count == nullptr) return std::optional<SplitPlace>();
  const Value* index = findValue(head, "split.no");
  const Value* tensors = findValue(head, "split.tensors.count");
  SplitPlace place;
  const auto parts = count->asUnsigned();
  const auto number = index == nullptr ? std::optional<std::uint64_t>(0) : index->asUnsigned();
  if (!parts || *parts > kMaxParts || !number || (*parts > 0 && *number >= *parts)) {
    return damaged(name, "it does not say which part of how many it is");
  }
  if (*parts <= 1) return std::optional<SplitPlace>();
  place.index = *number;
  place.count = *parts;
  if (tensors != nullptr) {
    place.tensors = tensors->asUnsigned();
    if (!place.tensors) return damaged(name, "\"split.tensors.count\" is not a count");
  }
  return std::optional(place);
}

std::string splitName(const std::string& stem, std::uint64_t index, std::uint64_t count) {
  char suffix[64];
  std::snprintf(suffix, sizeof suffix, "-%05llu-of-%05llu.gguf", static_cast<unsigned long long>(index + 1),
                static_cast<unsigned long long>(count));
  return stem + suffix;
}

std::optional<std::string> splitStem(const std::string& fileName) {
  if (fileName.size() <= kSuffix) return std::nullopt;
  const std::string suffix = fileName.substr(fileName.size() - kSuffix);
  static const std::string pattern = "-00000-of-00000.gguf";
  for (std::size_t i = 0; i < kSuffix; ++i) {
    const bool digit = std::isdigit(static_cast<unsigned char>(suffix[i])) != 0;
    if (pattern[i] == '0' ? !digit : suffix[i] != pattern[i]) return std::nullopt;
  }
  return fileName.substr(0, fileName.size() - kSuffix);
}

base::Result<std::vector<SplitPart>> openSplits(const std::filesystem::path& path, const SplitPlace& place) {
  const std::string name = path.filename().string();
  const std::optional<std::string> stem = splitStem(name);
  if (!stem) {
    return base::Error(base::ErrorCode::kInvalidArgument,
                       "\"" + name + "\" is part " + std::to_string(place.index + 1) + " of " +
                           std::to_string(place.count) +
                           " of a model, but its name does not end in \"-00001-of-0000" +
                           std::to_string(place.count) + ".gguf\"; give the parts their names back.");
  }
  std::vector<SplitPart> parts;
  std::uint64_t tensors = 0;
  for (std::uint64_t i = 0; i < place.count; ++i) {
    SplitPart part;
    part.path = path.parent_path() / splitName(*stem, i, place.count);
    const std::string partName = part.path.filename().string();
    auto mapping = Mapping::open(part.path);
    if (!mapping) {
      return mapping.error().wrapped("Part " + std::to_string(i + 1) + " of " + std::to_string(place.count) +
                                     " of this model, \"" + partName + "\", is missing or cannot be read.");
    }
    part.mapping = std::move(*mapping);
    QUERN_ASSIGN(part.head, parse(part.mapping.bytes(), partName));
    QUERN_ASSIGN(const std::optional<SplitPlace> own, splitPlace(part.head, partName));
    if (!own || own->index != i || own->count != place.count || own->tensors != place.tensors) {
      return damaged(partName,
                     "it is not part " + std::to_string(i + 1) + " of " + std::to_string(place.count));
    }
    tensors += part.head.tensors.size();
    parts.push_back(std::move(part));
  }
  if (place.tensors && *place.tensors != tensors) {
    return damaged(name, "its parts hold " + base::grouped(tensors) + " tensors together, not " +
                             base::grouped(*place.tensors));
  }
  return parts;
}

}  // namespace quern::engine::gguf
