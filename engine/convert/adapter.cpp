#include "engine/convert/adapter.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "engine/base/text.h"
#include "engine/convert/checkpoint.h"
#include "engine/convert/output.h"
#include "engine/convert/tensor_moves.h"

namespace quern::engine::convert {
namespace {

namespace fs = std::filesystem;

base::Error unsupported(std::string sentence) { return {base::ErrorCode::kUnsupported, std::move(sentence)}; }

/// The two factors of one matrix's change: B · A · alpha / rank.
struct Pair {
  const SourceTensor* a = nullptr;  ///< [rank, in]
  const SourceTensor* b = nullptr;  ///< [out, rank]
};

struct Target {
  std::string name;
  Move move = Move::kCopy;
};

/// The rule for a module ("layers.3.self_attn.q_proj"), its layer filled in.
base::Result<Target> targetOf(const Family& family, const std::string& module) {
  for (const auto& rules : family.rules) {
    for (const TensorRule& rule : rules) {
      const auto at = rule.source.find("{L}");
      if (rule.wholeNames) continue;
      if (at == std::string_view::npos) {
        if (rule.source == module) return Target{std::string(rule.target) + ".weight", rule.move};
        continue;
      }
      const std::string_view before = rule.source.substr(0, at);
      const std::string_view behind = rule.source.substr(at + 3);
      if (!module.starts_with(before) || !module.ends_with(behind)) continue;
      if (module.size() <= before.size() + behind.size()) continue;
      const std::string layer = module.substr(before.size(), module.size() - before.size() - behind.size());
      if (layer.find_first_not_of("0123456789") != std::string::npos) continue;
      std::string target(rule.target);
      target.replace(target.find("{L}"), 3, layer);
      return Target{target + ".weight", rule.move};
    }
  }
  return unsupported("The adapter changes \"" + base::printable(module) + "\", which the architecture \"" +
                     std::string(family.gguf) + "\" does not have, or not as one matrix.");
}

/// "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight" → the module's canonical name.
base::Result<std::map<std::string, Pair>> readPairs(const SafetensorsFile& file) {
  std::map<std::string, Pair> pairs;
  for (const SourceTensor& tensor : file.tensors()) {
    std::string_view name = tensor.name;
    constexpr std::string_view kPrefix = "base_model.model.";
    if (name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
    const bool isA = name.ends_with(".lora_A.weight");
    if (!isA && !name.ends_with(".lora_B.weight")) {
      return unsupported("The adapter has a tensor \"" + base::printable(tensor.name) +
                         "\", which is no factor of a matrix; Quern converts plain LoRA adapters.");
    }
    name.remove_suffix(std::string_view(".lora_A.weight").size());
    Pair& pair = pairs[canonicalName(name)];
    (isA ? pair.a : pair.b) = &tensor;
  }
  return pairs;
}

base::Result<void> planPair(const std::string& module, const Pair& pair, const Family& family,
                            const MoveContext& context, Plan& plan) {
  if (pair.a == nullptr || pair.b == nullptr || pair.a->shape.size() != 2 || pair.b->shape.size() != 2 ||
      pair.a->shape[0] != pair.b->shape[1]) {
    return base::Error(base::ErrorCode::kMalformed,
                       "The adapter's factors for \"" + base::printable(module) + "\" do not fit together.");
  }
  QUERN_ASSIGN(const Target target, targetOf(family, module));
  if (target.move != Move::kCopy && target.move != Move::kPermuteQuery && target.move != Move::kPermuteKey) {
    return unsupported("The adapter changes \"" + base::printable(module) +
                       "\", which a GGUF file stores in several parts; Quern cannot convert that.");
  }
  // Embeddings are looked up by column in A, so it is stored the other way round.
  const MoveSource a[] = {{pair.a, nullptr}};
  const MoveSource b[] = {{pair.b, nullptr}};
  const bool embedding = target.name == "token_embd.weight";
  QUERN_ASSIGN(auto first,
               move(embedding ? Move::kTransposed : Move::kCopy, target.name + ".lora_a", a, context));
  // What is done to the rows of the matrix is done to the rows of B.
  QUERN_ASSIGN(auto second, move(target.move, target.name + ".lora_b", b, context));
  plan.tensors.push_back(std::move(first));
  plan.tensors.push_back(std::move(second));
  return base::ok();
}

base::Result<Config> baseConfig(const fs::path& folder, const ConvertOptions& options) {
  std::error_code code;
  if (!options.base.empty()) return Config::read(options.base);
  if (fs::exists(folder / "config.json", code)) return Config::read(folder);
  return base::Error(
      base::ErrorCode::kNotFound,
      "\"" + folder.string() +
          "\" is a LoRA adapter. Name the folder of the model that it adapts with --base; only its "
          "config.json is read.");
}

}  // namespace

base::Result<ConvertReport> convertAdapter(const fs::path& folder, const fs::path& out,
                                           const ConvertOptions& options) {
  QUERN_ASSIGN(const Json adapter, readJson(folder / "adapter_config.json"));
  if (textOf(adapter, "peft_type") != "LORA" || member(adapter, "use_dora") == true ||
      member(adapter, "use_rslora") == true) {
    return unsupported("The adapter is of the kind \"" + base::printable(textOf(adapter, "peft_type")) +
                       "\" or a variant; Quern converts plain LoRA adapters.");
  }
  const Json& alpha = member(adapter, "lora_alpha");
  if (!alpha.is_number()) {
    return base::Error(base::ErrorCode::kMalformed,
                       "The adapter's adapter_config.json has no \"lora_alpha\".");
  }
  QUERN_ASSIGN(const Config config, baseConfig(folder, options));
  QUERN_ASSIGN(const Family* family, findFamily(config));
  QUERN_ASSIGN(const auto file, SafetensorsFile::open(folder / "adapter_model.safetensors"));
  QUERN_ASSIGN(const auto pairs, readPairs(*file));
  MoveContext context;
  QUERN_ASSIGN(context.layers, config.layers());
  QUERN_ASSIGN(context.heads, config.heads());
  QUERN_ASSIGN(context.kvHeads, config.kvHeads());
  Plan plan;
  for (const auto& [module, pair] : pairs) QUERN_TRY(planPair(module, pair, *family, context, plan));

  ConvertReport report;
  report.kind = "adapter";
  report.architecture = family->gguf;
  report.type = storedAs(options.type, kernels::DType::kF32);
  Metadata metadata{std::string(family->gguf)};
  metadata.set("general.architecture", std::string(family->gguf));
  metadata.set("general.type", std::string("adapter"));
  metadata.set("adapter.type", std::string("lora"));
  metadata.set("adapter.lora.alpha", alpha.get<float>());
  metadata.set("general.name", options.name.empty() ? folder.filename().string() : options.name);
  describeFileType(plan, report.type, metadata);
  for (const SourceTensor& tensor : file->tensors()) report.sourceBytes += tensor.data.size();
  QUERN_TRY(writeFile(plan, metadata, out, options, report));
  return report;
}

}  // namespace quern::engine::convert
