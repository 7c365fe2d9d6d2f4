#include "engine/convert/tensor_plan.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "engine/base/text.h"
#include "engine/convert/tensor_moves.h"

namespace quern::engine::convert {
namespace {

/// Buffers and parts of other models that come along in checkpoints.
constexpr std::string_view kLeftOutEnds[] = {".rotary_emb.inv_freq",
                                             ".attention.masked_bias",
                                             ".attention.bias",
                                             ".k_scale",
                                             ".v_scale",
                                             "_activation_scale",
                                             ".input_scale"};
constexpr std::string_view kLeftOutBeginnings[] = {"vision_tower.", "multi_modal_projector.", "vision_model.",
                                                   "visual.",       "audio_tower.",           "mtp."};

std::string filled(std::string_view pattern, std::string_view mark, std::uint64_t number) {
  std::string text(pattern);
  if (const auto at = text.find(mark); at != std::string::npos)
    text.replace(at, mark.size(), std::to_string(number));
  return text;
}

base::Error missing(const std::string& name) {
  return {base::ErrorCode::kMalformed, "The model has no tensor \"" + base::printable(name) +
                                           "\", which its architecture needs. Are all its files there?"};
}

class Planner {
 public:
  Planner(const Family& family, const Checkpoint& checkpoint, MoveContext context)
      : family_(family), checkpoint_(checkpoint), context_(context) {}

  base::Result<Plan> run(const Config& config) {
    QUERN_ASSIGN(auto computed, ropeTensors(config));
    for (ComputedTensor& tensor : computed) {
      PlannedTensor planned;
      planned.name = tensor.name;
      planned.dims = {tensor.values.size()};
      planned.values = std::move(tensor.values);
      plan_.tensors.push_back(std::move(planned));
    }
    for (const auto& rules : family_.rules) {
      for (const TensorRule& rule : rules) {
        if (rule.source.find("{L}") == std::string_view::npos) QUERN_TRY(apply(rule, 0));
      }
    }
    for (std::uint64_t layer = 0; layer < context_.layers; ++layer) {
      for (const auto& rules : family_.rules) {
        for (const TensorRule& rule : rules) {
          if (rule.source.find("{L}") != std::string_view::npos) QUERN_TRY(apply(rule, layer));
        }
      }
      QUERN_TRY(requireFeedForward(layer));
    }
    QUERN_TRY(lookForUnknown());
    return std::move(plan_);
  }

 private:
  base::Result<void> apply(const TensorRule& rule, std::uint64_t layer) {
    const std::string source = filled(rule.source, "{L}", layer);
    const std::string target = filled(rule.target, "{L}", layer);
    if (rule.wholeNames) return applyTo(rule, source, target, rule.needed);
    QUERN_TRY(applyTo(rule, source + ".weight", target + ".weight", rule.needed));
    return applyTo(rule, source + ".bias", target + ".bias", false);
  }

  base::Result<void> applyTo(const TensorRule& rule, const std::string& source, const std::string& target,
                             bool needed) {
    std::vector<MoveSource> sources;
    const bool perExpert = rule.move == Move::kExperts;
    for (std::uint64_t expert = 0; expert < (perExpert ? context_.experts : 1); ++expert) {
      const std::string name = filled(source, "{E}", expert);
      QUERN_ASSIGN(const auto found, take(rule.move, name));
      if (found.tensor != nullptr) {
        sources.push_back(found);
      } else if (needed || expert > 0) {
        return missing(name);
      } else {
        return base::ok();
      }
    }
    if (sources.empty()) return needed ? base::Result<void>(missing(source)) : base::ok();
    QUERN_ASSIGN(auto planned, move(rule.move, target, sources, context_));
    plan_.tensors.push_back(std::move(planned));
    return base::ok();
  }

  /// A tensor and what belongs to it, marked as used; .tensor is null where it is not there.
  base::Result<MoveSource> take(Move move, const std::string& name) {
    MoveSource found;
    const bool packed = move == Move::kMxfp4 || move == Move::kMxfp4EvenRows || move == Move::kMxfp4OddRows;
    if (packed) {
      found.tensor = use(name + "_blocks");
      found.scales = use(name + "_scales");
      if ((found.tensor == nullptr) != (found.scales == nullptr))
        return missing(name + "_blocks and _scales");
      return found;
    }
    found.tensor = use(name);
    if (found.tensor == nullptr) return found;
    for (const char* suffix : {"_scale_inv", "_scale"}) {
      if (const SourceTensor* scale = use(name + suffix)) found.scales = scale;
    }
    return found;
  }

  const SourceTensor* use(const std::string& name) {
    const SourceTensor* tensor = checkpoint_.find(name);
    if (tensor != nullptr) used_.insert(name);
    return tensor;
  }

  /// What is optional in models with experts is one or the other, never nothing.
  base::Result<void> requireFeedForward(std::uint64_t layer) const {
    const auto has = [&](const char* part) {
      const std::string name = "blk." + std::to_string(layer) + "." + part + ".weight";
      return std::any_of(plan_.tensors.rbegin(), plan_.tensors.rend(),
                         [&](const PlannedTensor& tensor) { return tensor.name == name; });
    };
    const bool dense = has("ffn_up") && has("ffn_down");
    const bool experts =
        has("ffn_gate_inp") && has("ffn_gate_exps") && has("ffn_up_exps") && has("ffn_down_exps");
    if (dense || experts) return base::ok();
    return base::Error(base::ErrorCode::kMalformed,
                       "The model's layer " + std::to_string(layer) +
                           " has no whole feed-forward block. Are all its files there?");
  }

  base::Result<void> lookForUnknown() {
    for (const auto& [name, tensor] : checkpoint_.tensors()) {
      if (used_.contains(name)) continue;
      if (isLeftOut(name)) {
        plan_.leftOut.push_back(tensor->name);
        continue;
      }
      return base::Error(base::ErrorCode::kUnsupported, "The model has a tensor \"" +
                                                            base::printable(tensor->name) +
                                                            "\" that no model of the architecture \"" +
                                                            std::string(family_.gguf) + "\" has.");
    }
    return base::ok();
  }

  bool isLeftOut(std::string_view name) const {
    const auto begins = [&](std::string_view beginning) { return name.starts_with(beginning); };
    const auto ends = [&](std::string_view end) { return name.ends_with(end); };
    return std::any_of(std::begin(kLeftOutBeginnings), std::end(kLeftOutBeginnings), begins) ||
           std::any_of(std::begin(kLeftOutEnds), std::end(kLeftOutEnds), ends) ||
           std::any_of(family_.ignored.begin(), family_.ignored.end(), begins) || isBeyondLastLayer(name);
  }

  /// DeepSeek V3 keeps its multi-token prediction in one layer more than config.json counts.
  bool isBeyondLastLayer(std::string_view name) const {
    constexpr std::string_view kLayers = "layers.";
    if (family_.gguf != "deepseek2" || !name.starts_with(kLayers)) return false;
    std::uint64_t layer = 0;
    std::from_chars(name.data() + kLayers.size(), name.data() + name.size(), layer);
    return layer >= context_.layers;
  }

  const Family& family_;
  const Checkpoint& checkpoint_;
  MoveContext context_;
  Plan plan_;
  std::set<std::string, std::less<>> used_;
};

/// What quantized checkpoints Quern reads: blocks of FP8 with factors, and gpt-oss's MXFP4.
base::Result<void> readQuantization(const Config& config, MoveContext& context) {
  const Json& quantization = member(config.json(), "quantization_config");
  if (!quantization.is_object()) return base::ok();
  const std::string method = textOf(quantization, "quant_method");
  if (method == "mxfp4") return base::ok();
  if (method != "fp8") {
    return base::Error(base::ErrorCode::kUnsupported,
                       "The model's weights are quantized by \"" + base::printable(method) +
                           "\", which Quern does not read. Download the original, unquantized model.");
  }
  const Json& block = member(quantization, "weight_block_size");
  if (block.is_array() && block.size() == 2 && block[0].is_number_unsigned() &&
      block[1].is_number_unsigned()) {
    context.scaleRows = block[0].get<std::uint64_t>();
    context.scaleColumns = block[1].get<std::uint64_t>();
  }
  return base::ok();
}

}  // namespace

std::uint64_t Piece::sourceRow(std::uint64_t row) const {
  if (heads == 0) return row;
  const std::uint64_t perHead = rows / heads;
  const std::uint64_t inHead = row % perHead;
  return row - inHead + inHead / 2 + inHead % 2 * (perHead / 2);
}

std::uint64_t PlannedTensor::elements() const {
  std::uint64_t product = 1;
  for (const std::uint64_t dim : dims) product *= dim;
  return product;
}

base::Result<Plan> planTensors(const Family& family, const Config& config, const Checkpoint& checkpoint) {
  MoveContext context;
  QUERN_ASSIGN(context.layers, config.layers());
  QUERN_ASSIGN(context.heads, config.heads());
  QUERN_ASSIGN(context.kvHeads, config.kvHeads());
  QUERN_ASSIGN(context.experts, config.experts());
  QUERN_ASSIGN(const auto plain, config.count({"qk_nope_head_dim"}));
  QUERN_ASSIGN(const auto values, config.count({"v_head_dim"}));
  QUERN_ASSIGN(const auto padding, config.count({"pad_token_id"}));
  context.latentKeyRows = plain.value_or(0);
  context.latentValueRows = values.value_or(0);
  context.skippedPositions = padding.value_or(0) + 1;
  QUERN_TRY(readQuantization(config, context));
  return Planner(family, checkpoint, context).run(config);
}

}  // namespace quern::engine::convert
