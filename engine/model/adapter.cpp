#include "engine/model/adapter.h"

#include <cmath>
#include <set>

#include "engine/base/text.h"
#include "engine/gguf/file.h"
#include "engine/model/program.h"

namespace quern::engine::model {
namespace {

constexpr std::string_view kA = ".lora_a";
constexpr std::string_view kB = ".lora_b";
constexpr std::string_view kHead = "output.weight";
constexpr std::string_view kEmbeddings = "token_embd.weight";

base::Error unsupported(std::string sentence) { return {base::ErrorCode::kUnsupported, std::move(sentence)}; }
base::Error malformed(std::string sentence) { return {base::ErrorCode::kMalformed, std::move(sentence)}; }

std::string inQuotes(std::string_view name) { return "\"" + base::printable(std::string(name)) + "\""; }

/// The matrices that projections multiply with.
std::set<std::string, std::less<>> projectedIn(const Program& program) {
  std::set<std::string, std::less<>> names;
  for (const auto* operations : {&program.body, &program.head}) {
    for (const Operation& operation : *operations) {
      const auto* project = std::get_if<Project>(&operation);
      if (project == nullptr) continue;
      for (const Projection& one : project->outputs) names.insert(one.weights.tensor);
    }
  }
  return names;
}

/// Why a tensor of the model, or one that it lacks, cannot be changed.
base::Error cannotChange(const std::string& name, const gguf::File& modelFile) {
  if (name == kEmbeddings) {
    return unsupported("The adapter changes the embeddings of tokens (" + inQuotes(name) +
                       "), which Quern cannot do while a model runs. Merge it into the model, or train it "
                       "without them.");
  }
  if (modelFile.tensor(name) == nullptr) {
    return unsupported("The adapter changes " + inQuotes(name) +
                       ", which this model does not have: it was made for another one.");
  }
  const bool isExpert = name.find("_exps.") != std::string::npos;
  return unsupported("The adapter changes " + inQuotes(name) + ", " +
                     (isExpert ? "the experts of a mixture" : "no plain projection") +
                     ", which Quern cannot do while a model runs. Merge it into the model instead.");
}

base::Result<float> readAlpha(const gguf::File& file) {
  QUERN_ASSIGN(const auto alpha, file.optionalNumber("adapter.lora.alpha"));
  const auto value = static_cast<float>(alpha.value_or(0));
  if (!std::isfinite(value)) return malformed("The adapter's \"adapter.lora.alpha\" is no finite number.");
  return value;
}

base::Result<void> checkKind(const gguf::File& file, const gguf::File& modelFile) {
  if (!isAdapter(file)) {
    return unsupported("\"" + base::printable(file.path().string()) +
                       "\" is no adapter: its general.type is not \"adapter\".");
  }
  QUERN_ASSIGN(const auto type, file.optionalString("adapter.type"));
  if (type != "lora") {
    return unsupported("The adapter is of the type " + inQuotes(type.value_or("")) +
                       "; Quern runs those of the type \"lora\".");
  }
  // Activated LoRA works from a marker in the prompt on, and not on what is before it.
  if (file.find("adapter.alora.invocation_tokens") != nullptr) {
    return unsupported(
        "The adapter is an activated LoRA (\"adapter.alora.invocation_tokens\"), which Quern does "
        "not run; plain LoRA adapters work.");
  }
  QUERN_ASSIGN(const auto own, file.stringAt("general.architecture"));
  QUERN_ASSIGN(const auto wanted, modelFile.stringAt("general.architecture"));
  if (own != wanted) {
    return unsupported("The adapter was made for the architecture " + inQuotes(own) + "; this model is " +
                       inQuotes(wanted) + ".");
  }
  return base::ok();
}

/// Both factors of the matrix that the model's file has as `matrix`.
base::Result<void> checkFactors(const std::string& name, const LowRank& pair, const gguf::Tensor& matrix) {
  if (pair.a == nullptr || pair.b == nullptr) {
    return malformed("The adapter has only one of the two factors of " + inQuotes(name) +
                     ": the file is not complete.");
  }
  const auto sizes = [](const gguf::Tensor& tensor) {
    return std::to_string(tensor.rows()) + " × " + std::to_string(tensor.rowElements());
  };
  for (const gguf::Tensor* factor : {pair.a, pair.b}) {
    if (factor->dims.size() != 2) {
      return malformed("The adapter's tensor " + inQuotes(factor->name) + " is no matrix.");
    }
    if (!kernels::dtypeInfo(factor->type)->decodable) {
      return unsupported("The adapter's tensor " + inQuotes(factor->name) + " is stored as " +
                         std::string(gguf::typeName(*factor)) + ", which Quern cannot decode.");
    }
  }
  if (pair.a->rows() != pair.b->rowElements() || pair.a->rowElements() != matrix.rowElements() ||
      pair.b->rows() != matrix.rows()) {
    return malformed("The adapter's factors of " + inQuotes(name) + " are " + sizes(*pair.b) + " and " +
                     sizes(*pair.a) + ", which make no change of the model's matrix of " + sizes(matrix) +
                     ": the adapter was made for another model.");
  }
  if (pair.a->rows() < 1 || pair.a->rows() > static_cast<std::uint64_t>(kMostAdapterRank)) {
    return unsupported("The adapter changes " + inQuotes(name) + " with rank " +
                       base::grouped(pair.a->rows()) + "; Quern takes ranks from 1 to " +
                       base::grouped(kMostAdapterRank) + ".");
  }
  return base::ok();
}

}  // namespace

bool isAdapter(const gguf::File& file) {
  const gguf::Value* type = file.find("general.type");
  return type != nullptr && type->asString() == "adapter";
}

base::Result<Adapter> readAdapter(const gguf::File& file, const gguf::File& modelFile,
                                  const Program& program) {
  QUERN_TRY(checkKind(file, modelFile));
  QUERN_ASSIGN(const float alpha, readAlpha(file));
  const auto projected = projectedIn(program);
  Adapter adapter;
  for (const gguf::Tensor& tensor : file.tensors()) {
    const bool isA = tensor.name.ends_with(kA);
    if (!isA && !tensor.name.ends_with(kB)) {
      return unsupported("The adapter has a tensor " + inQuotes(tensor.name) +
                         ", which is no factor of a matrix; Quern runs plain LoRA adapters.");
    }
    std::string name(tensor.name.substr(0, tensor.name.size() - kA.size()));
    // Where the embeddings give the logits, too, a change of the output is one of that projection alone.
    if (name == kHead && modelFile.tensor(kHead) == nullptr) {
      name = kEmbeddings;
    } else if (name == kEmbeddings) {
      return cannotChange(name, modelFile);
    }
    if (!projected.contains(name)) return cannotChange(name, modelFile);
    LowRank& pair = adapter.changes[name];
    (isA ? pair.a : pair.b) = &tensor;
  }
  if (adapter.changes.empty()) return malformed("The adapter has no tensors: it changes nothing.");
  for (auto& [name, pair] : adapter.changes) {
    QUERN_TRY(checkFactors(name, pair, *modelFile.tensor(name)));
    pair.rank = static_cast<std::int32_t>(pair.a->rows());
    if (alpha != 0) pair.factor = alpha / static_cast<float>(pair.rank);
  }
  return adapter;
}

}  // namespace quern::engine::model
