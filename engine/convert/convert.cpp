#include "engine/convert/convert.h"

#include <algorithm>

#include "engine/base/text.h"
#include "engine/convert/adapter.h"
#include "engine/convert/checkpoint.h"
#include "engine/convert/output.h"
#include "engine/convert/tensor_plan.h"
#include "engine/convert/vocabulary_data.h"

namespace quern::engine::convert {
namespace {

namespace fs = std::filesystem;
using kernels::DType;

/// The numbers of llama.cpp's pooling types.
constexpr std::uint32_t kMeanPooling = 1;
constexpr std::uint32_t kClsPooling = 2;
constexpr std::uint32_t kLastPooling = 3;

/// How sentence-transformers makes one vector of a text's; nothing where the folder is not one of its.
base::Result<void> describePooling(const fs::path& folder, Metadata& metadata) {
  QUERN_ASSIGN(const Json modules, readOptionalJson(folder / "modules.json"));
  if (!modules.is_array()) return base::ok();
  for (const Json& module : modules) {
    if (!textOf(module, "type").ends_with("Pooling")) continue;
    const std::string path = textOf(module, "path");
    if (path.empty() || path.find('/') != std::string::npos || path == "..") continue;
    QUERN_ASSIGN(const Json pooling, readOptionalJson(folder / path / "config.json"));
    const std::string mode = textOf(pooling, "pooling_mode");
    if (member(pooling, "pooling_mode_mean_tokens") == true || mode == "mean") {
      metadata.setCount("pooling_type", kMeanPooling);
    } else if (member(pooling, "pooling_mode_cls_token") == true || mode == "cls") {
      metadata.setCount("pooling_type", kClsPooling);
    } else if (member(pooling, "pooling_mode_lasttoken") == true || mode == "lasttoken") {
      metadata.setCount("pooling_type", kLastPooling);
    } else {
      return base::Error(base::ErrorCode::kUnsupported,
                         "The model pools its tokens in a way other than mean, CLS or last.");
    }
    return base::ok();
  }
  return base::ok();
}

DType sourceType(const Checkpoint& checkpoint) {
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    if (tensor->shape.size() < 2) continue;
    if (tensor->type == SourceType::kBF16) return DType::kBF16;
    if (tensor->type == SourceType::kF16) return DType::kF16;
  }
  return DType::kF16;
}

std::string nameOf(const fs::path& folder, const ConvertOptions& options) {
  if (!options.name.empty()) return options.name;
  std::error_code code;
  fs::path whole = fs::weakly_canonical(folder, code);
  if (whole.filename().empty()) whole = whole.parent_path();
  return whole.filename().string();
}

base::Result<ConvertReport> convertModel(const fs::path& folder, const fs::path& out,
                                         const ConvertOptions& options) {
  QUERN_ASSIGN(Config config, Config::read(folder));
  QUERN_ASSIGN(const Family* family, findFamily(config));
  config.addDefaults(family->defaults.empty() ? "{}" : family->defaults);
  QUERN_ASSIGN(const Checkpoint checkpoint, Checkpoint::open(folder));
  QUERN_ASSIGN(const Plan plan, planTensors(*family, config, checkpoint));

  ConvertReport report;
  report.kind = "model";
  report.architecture = family->gguf;
  report.sourceBytes = checkpoint.sizeBytes();
  report.leftOut = plan.leftOut;
  report.type = storedAs(options.type, sourceType(checkpoint));

  Metadata metadata{std::string(family->gguf)};
  metadata.set("general.architecture", std::string(family->gguf));
  metadata.set("general.type", std::string("model"));
  metadata.set("general.name", nameOf(folder, options));
  QUERN_TRY(describe(*family, config, metadata));
  QUERN_TRY(describePooling(folder, metadata));
  describeFileType(plan, report.type, metadata);

  const auto embedding = std::find_if(plan.tensors.begin(), plan.tensors.end(),
                                      [](const PlannedTensor& t) { return t.name == "token_embd.weight"; });
  if (embedding == plan.tensors.end() || embedding->dims.size() != 2) {
    return base::Error(base::ErrorCode::kMalformed, "The model has no embedding.");
  }
  QUERN_ASSIGN(const VocabularyData vocabulary, readVocabulary(folder, embedding->dims[1]));
  vocabulary.writeTo(metadata);
  QUERN_TRY(describeSpecialTokens(folder, config, vocabulary, metadata));
  report.tokenizer = vocabulary.model + "/" + vocabulary.pre;
  report.vocabulary = vocabulary.tokens.size();
  report.notes = vocabulary.notes;
  QUERN_TRY(writeFile(plan, metadata, out, options, report));
  return report;
}

}  // namespace

base::Result<OutputType> parseOutputType(std::string_view name) {
  constexpr std::pair<std::string_view, OutputType> kNames[] = {{"auto", OutputType::kSource},
                                                                {"f32", OutputType::kF32},
                                                                {"f16", OutputType::kF16},
                                                                {"bf16", OutputType::kBF16},
                                                                {"q8_0", OutputType::kQ8_0}};
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const auto& [known, type] : kNames) {
    if (lower == known) return type;
  }
  return base::Error(
      base::ErrorCode::kInvalidArgument,
      "\"" + base::printable(name) + "\" is no type to convert to (auto, f32, f16, bf16, q8_0).");
}

base::Result<ConvertReport> convertFolder(const fs::path& folder, const fs::path& out,
                                          const ConvertOptions& options) {
  std::error_code code;
  if (!fs::is_directory(folder, code)) {
    return base::Error(base::ErrorCode::kNotFound, "There is no folder \"" + folder.string() + "\".");
  }
  if (fs::exists(folder / "adapter_config.json", code)) return convertAdapter(folder, out, options);
  return convertModel(folder, out, options);
}

}  // namespace quern::engine::convert
