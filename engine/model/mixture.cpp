// Mixtures of experts: their numbers and their tensors. Names and keys are those that llama.cpp's converter
// writes (convert_hf_to_gguf.py, gguf-py's constants).

#include <algorithm>

#include "engine/base/text.h"
#include "engine/model/builder.h"

namespace quern::engine::model {
namespace {

constexpr std::uint64_t kMostExperts = 1024;
constexpr std::uint64_t kMostHidden = 1U << 20;

base::Error malformed(std::string sentence) { return {base::ErrorCode::kMalformed, std::move(sentence)}; }

std::string text(std::int64_t number) { return base::grouped(static_cast<std::uint64_t>(number)); }

}  // namespace

base::Result<std::optional<Mixture>> Builder::readMixture(bool isNeeded) {
  const auto int32 = [](std::uint64_t value) { return static_cast<std::int32_t>(value); };
  QUERN_ASSIGN(const auto experts, isNeeded ? number("expert_count", 1, kMostExperts)
                                            : numberOr("expert_count", 0, 0, kMostExperts));
  if (experts == 0) return std::optional<Mixture>();
  Mixture mixture;
  ExpertChoice& choice = mixture.choice;
  QUERN_ASSIGN(const auto used, number("expert_used_count", 1, experts));
  choice.experts = int32(experts);
  choice.used = int32(used);
  QUERN_ASSIGN(const auto gating, numberOr("expert_gating_func", 1, 0, 3));
  choice.gating = gating == 2 ? Gating::kSigmoid : gating == 3 ? Gating::kSoftmaxOfChosen : Gating::kSoftmax;
  QUERN_ASSIGN(const auto normalizes, file_.optionalBool(key("expert_weights_norm")));
  choice.normalizes = normalizes.value_or(false);
  QUERN_ASSIGN(const double scale, realOr("expert_weights_scale", 1.0, 0.0, 1e6));
  choice.scale = scale == 0.0 ? 1.0F : static_cast<float>(scale);  // 0: not set

  QUERN_ASSIGN(const auto groups, numberOr("expert_group_count", 1, 0, experts));
  QUERN_ASSIGN(const auto usedGroups, numberOr("expert_group_used_count", groups, 0, groups));
  choice.groups = int32(std::max<std::uint64_t>(1, groups));
  choice.usedGroups = usedGroups == 0 ? choice.groups : int32(usedGroups);
  if (choice.experts % choice.groups != 0) {
    return malformed("The model's " + text(choice.experts) + " experts do not form " + text(choice.groups) +
                     " groups of one size.");
  }
  if (choice.experts / choice.groups * choice.usedGroups < choice.used) {
    return malformed("A token takes " + text(choice.used) + " of the model's experts, but its " +
                     text(choice.usedGroups) + " groups of " + text(choice.experts / choice.groups) +
                     " have not as many.");
  }

  const auto dense = static_cast<std::uint64_t>(program_.hidden);
  QUERN_ASSIGN(const auto hidden, numberOr("expert_feed_forward_length", dense, 1, kMostHidden));
  QUERN_ASSIGN(const auto shared, numberOr("expert_shared_count", 0, 0, 1024));
  QUERN_ASSIGN(const auto sharedHidden,
               numberOr("expert_shared_feed_forward_length", shared * hidden, 0, kMostHidden));
  QUERN_ASSIGN(const auto firstLayer,
               numberOr("leading_dense_block_count", 0, 0, static_cast<std::uint64_t>(program_.layers)));
  mixture.hidden = int32(hidden);
  mixture.denseHidden = program_.hidden;
  mixture.sharedHidden = int32(sharedHidden);
  mixture.firstLayer = int32(firstLayer);
  mixture.gatesShared =
      sharedHidden > 0 && has("blk." + std::to_string(firstLayer) + ".ffn_gate_inp_shexp.weight");
  program_.experts = choice.experts;
  program_.hidden = std::max(firstLayer > 0 ? program_.hidden : 0, mixture.sharedHidden);
  return std::optional<Mixture>(std::move(mixture));
}

base::Result<ExpertWeights> Builder::experts(const std::string& name, std::int64_t rows,
                                             std::int64_t cols) const {
  const std::string tensor = name + ".weight";
  const gguf::Tensor* found = file_.tensor(tensor);
  if (found == nullptr) return malformed("The model has no tensor \"" + tensor + "\".");
  const auto disagrees = [&](const std::string& which) {
    return malformed("The model's tensor \"" + which + "\" has not the shape that " + text(program_.experts) +
                     " experts of " + text(rows) + " × " + text(cols) + " have.");
  };
  const auto isOf = [](const gguf::Tensor& one, std::initializer_list<std::int64_t> dims) {
    return std::equal(
        one.dims.begin(), one.dims.end(), dims.begin(), dims.end(),
        [](std::uint64_t is, std::int64_t wanted) { return is == static_cast<std::uint64_t>(wanted); });
  };
  if (!isOf(*found, {cols, rows, program_.experts})) return disagrees(tensor);
  const gguf::Tensor* bias = file_.tensor(name + ".bias");
  if (bias != nullptr && !isOf(*bias, {rows, program_.experts})) return disagrees(name + ".bias");
  return ExpertWeights{tensor, rows, cols, bias == nullptr ? "" : name + ".bias"};
}

base::Result<void> Builder::buildMixture(const Style& style, std::int32_t layer) {
  Program& p = program_;
  const Mixture& mixture = *style.mixture;
  const std::string block = "blk." + std::to_string(layer) + ".";

  // The shared expert reads the same norm as the router, before anything joins the residual stream.
  QUERN_ASSIGN(auto router, matrix(block + "ffn_gate_inp.weight", p.experts, p.width));
  Project first{Buffer::kNormed, {{std::move(router), Buffer::kRouter, false}}};
  if (mixture.sharedHidden > 0) {
    QUERN_ASSIGN(auto gate, matrix(block + "ffn_gate_shexp.weight", mixture.sharedHidden, p.width));
    QUERN_ASSIGN(auto up, matrix(block + "ffn_up_shexp.weight", mixture.sharedHidden, p.width));
    first.outputs.push_back({std::move(gate), Buffer::kGate, false});
    first.outputs.push_back({std::move(up), Buffer::kUp, false});
  }
  if (mixture.gatesShared) {
    QUERN_ASSIGN(auto weight, matrix(block + "ffn_gate_inp_shexp.weight", 1, p.width));
    first.outputs.push_back({std::move(weight), Buffer::kSharedGate, false});
  }
  p.body.emplace_back(std::move(first));

  Experts mix;
  mix.accumulate = true;
  mix.activation = style.activation;
  mix.choice = mixture.choice;
  mix.choice.scale *= style.residualScale;
  QUERN_ASSIGN(mix.choice.bias, optionalVector(block + "exp_probs_b.bias", p.experts));
  QUERN_ASSIGN(mix.gate, experts(block + "ffn_gate_exps", mixture.hidden, p.width));
  QUERN_ASSIGN(mix.up, experts(block + "ffn_up_exps", mixture.hidden, p.width));
  QUERN_ASSIGN(mix.down, experts(block + "ffn_down_exps", p.width, mixture.hidden));
  p.body.emplace_back(std::move(mix));

  if (mixture.sharedHidden == 0) return base::ok();
  QUERN_ASSIGN(auto down, matrix(block + "ffn_down_shexp.weight", p.width, mixture.sharedHidden));
  p.body.emplace_back(Activate{style.activation});
  p.body.emplace_back(Project{Buffer::kHidden,
                              {{std::move(down), Buffer::kResidual, true}},
                              style.residualScale,
                              mixture.gatesShared});
  return base::ok();
}

}  // namespace quern::engine::model
