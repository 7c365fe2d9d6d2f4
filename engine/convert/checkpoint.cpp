#include "engine/convert/checkpoint.h"

#include <algorithm>
#include <set>

#include "engine/base/text.h"
#include "engine/convert/json_file.h"

namespace quern::engine::convert {
namespace {

namespace fs = std::filesystem;

bool replaceEnd(std::string& text, std::string_view end, std::string_view with) {
  if (!text.ends_with(end)) return false;
  text.replace(text.size() - end.size(), end.size(), with);
  return true;
}

/// A file of the folder itself: an index must not lead anywhere else.
bool isPlainName(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

base::Error noWeights(const fs::path& folder) {
  std::error_code code;
  for (const char* other :
       {"pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "model.onnx"}) {
    if (fs::exists(folder / other, code)) {
      return {base::ErrorCode::kNotFound,
              "\"" + folder.string() + "\" has its weights in \"" + other +
                  "\"; Quern reads safetensors. Most models are published in both: "
                  "download the safetensors files."};
    }
  }
  return {base::ErrorCode::kNotFound, "There are no safetensors files in \"" + folder.string() + "\"."};
}

}  // namespace

std::string canonicalName(std::string_view name) {
  std::string canonical(name);
  if (const auto at = canonical.find("language_model."); at != std::string::npos) {
    canonical.erase(at, std::string_view("language_model.").size());
  }
  for (const std::string_view prefix : {"model.", "bert.", "roberta.", "transformer."}) {
    if (canonical.starts_with(prefix)) canonical.erase(0, prefix.size());
  }
  (void)(replaceEnd(canonical, ".gamma", ".weight") || replaceEnd(canonical, ".beta", ".bias"));
  replaceEnd(canonical, "e_score_correction_bias", "e_score_correction.bias");
  return canonical;
}

base::Result<void> Checkpoint::add(const fs::path& path) {
  QUERN_ASSIGN(auto file, SafetensorsFile::open(path));
  for (const SourceTensor& tensor : file->tensors()) {
    if (!byName_.emplace(canonicalName(tensor.name), &tensor).second) {
      return base::Error(base::ErrorCode::kMalformed,
                         "The model has the tensor \"" + base::printable(tensor.name) + "\" twice.");
    }
  }
  files_.push_back(std::move(file));
  return base::ok();
}

base::Result<Checkpoint> Checkpoint::openFile(const fs::path& file) {
  Checkpoint checkpoint;
  QUERN_TRY(checkpoint.add(file));
  return checkpoint;
}

base::Result<Checkpoint> Checkpoint::open(const fs::path& folder) {
  std::error_code code;
  const fs::path index = folder / "model.safetensors.index.json";
  if (!fs::exists(index, code)) {
    if (fs::exists(folder / "model.safetensors", code)) return openFile(folder / "model.safetensors");
    std::vector<fs::path> others;
    for (const auto& entry : fs::directory_iterator(folder, code)) {
      if (entry.path().extension() == ".safetensors") others.push_back(entry.path());
    }
    if (others.size() == 1) return openFile(others.front());
    if (others.empty()) return noWeights(folder);
    return base::Error(
        base::ErrorCode::kNotFound,
        "\"" + folder.string() +
            "\" has several safetensors files but no \"model.safetensors.index.json\" that says how "
            "they belong together; download it, too.");
  }
  QUERN_ASSIGN(const Json parsed, readJson(index));
  const Json& map = member(parsed, "weight_map");
  if (!map.is_object()) {
    return base::Error(base::ErrorCode::kMalformed,
                       "\"model.safetensors.index.json\" has no \"weight_map\".");
  }
  std::set<std::string> shards;
  for (const auto& [tensor, file] : map.items()) {
    if (!file.is_string() || !isPlainName(file.get_ref<const std::string&>())) {
      return base::Error(base::ErrorCode::kMalformed, "\"model.safetensors.index.json\" says of \"" +
                                                          base::printable(tensor) +
                                                          "\" that it is in a file outside the folder.");
    }
    shards.insert(file.get<std::string>());
  }
  Checkpoint checkpoint;
  for (const std::string& shard : shards) QUERN_TRY(checkpoint.add(folder / shard));
  for (const auto& [tensor, file] : map.items()) {
    if (checkpoint.find(canonicalName(tensor)) == nullptr) {
      return base::Error(base::ErrorCode::kMalformed, "The tensor \"" + base::printable(tensor) +
                                                          "\" is not in \"" +
                                                          base::printable(file.get<std::string>()) +
                                                          "\", where the index says that it is.");
    }
  }
  return checkpoint;
}

const SourceTensor* Checkpoint::find(std::string_view name) const {
  const auto found = byName_.find(name);
  return found == byName_.end() ? nullptr : found->second;
}

std::uint64_t Checkpoint::sizeBytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [name, tensor] : byName_) bytes += tensor->data.size();
  return bytes;
}

}  // namespace quern::engine::convert
