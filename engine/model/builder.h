// What the architecture files share: hyper-parameters read and checked once, tensors looked up with their
// shapes, and the decoder-only transformer that all of them are variations of.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/gguf/file.h"
#include "engine/model/program.h"

namespace quern::engine::model {

/// A feed-forward block of experts, as Builder::readMixture() finds it.
struct Mixture {
  ExpertChoice choice;
  std::int32_t hidden = 0;        ///< of one expert
  std::int32_t denseHidden = 0;   ///< of the layers that are no mixture
  std::int32_t sharedHidden = 0;  ///< of the expert that every token takes; 0: there is none
  bool gatesShared = false;       ///< ffn_gate_inp_shexp weighs it
  std::int32_t firstLayer = 0;    ///< the layers before are dense
};

/// How a family differs from the plain transformer.
struct Style {
  bool fusedQkv = false;     ///< attn_qkv: rows of queries, keys, values
  bool fusedGateUp = false;  ///< ffn_up: rows of gate, then up
  bool headNorms = false;    ///< attn_q_norm, attn_k_norm
  bool postNorms = false;    ///< post_attention_norm, post_ffw_norm
  Activation activation = Activation::kSilu;
  float embedScale = 1.0F;
  float attentionScale = 0.0F;  ///< 0: 1 / sqrt(headDim)
  float attentionSoftcap = 0.0F;
  float logitSoftcap = 0.0F;
  float logitScale = 1.0F;
  float residualScale = 1.0F;           ///< multiplies what joins the residual stream
  bool hasSinks = false;                ///< attn_sinks
  const char* hiddenNorm = "ffn_norm";  ///< in front of the feed-forward block
  std::optional<Mixture> mixture;
  std::function<std::int32_t(std::int32_t layer)> window;  ///< null: every layer sees everything
  std::function<std::int32_t(std::int32_t layer)> rope;    ///< null: Program::ropes[0] everywhere
};

class Builder {
 public:
  Builder(const gguf::File& file, std::string_view architecture);

  /// The numbers that every family has, range-checked, into program().
  base::Result<void> readCommon();
  /// The embedding that `rope.*` and the factor tensors describe.
  /// `roundsYarn`: whether YaRN's ramp begins and ends at whole frequencies, which files do not say.
  base::Result<Rope> readRope(bool neox, bool roundsYarn = true) const;
  /// The numbers of a mixture of experts, none where the file has no "expert_count"; `hidden` of the program
  /// becomes what its dense and shared parts need. A family that has to be a mixture says `isNeeded`.
  base::Result<std::optional<Mixture>> readMixture(bool isNeeded);
  /// A plain embedding of this base, without scaling.
  Rope plainRope(double base, bool neox) const;
  /// Writes body and head. Every tensor is checked against the numbers.
  base::Result<void> buildTransformer(const Style& style);

  base::Result<std::uint64_t> number(std::string_view key, std::uint64_t least, std::uint64_t most) const;
  base::Result<std::uint64_t> numberOr(std::string_view key, std::uint64_t fallback, std::uint64_t least,
                                       std::uint64_t most) const;
  base::Result<double> realOr(std::string_view key, double fallback, double least, double most) const;

  Program& program() { return program_; }

 private:
  std::string key(std::string_view suffix) const {
    return std::string(program_.architecture) + "." + std::string(suffix);
  }
  bool has(const std::string& tensor) const { return file_.tensor(tensor) != nullptr; }
  base::Result<std::string> vector(const std::string& tensor, std::int64_t length) const;
  base::Result<std::string> optionalVector(const std::string& tensor, std::int64_t length) const;
  base::Result<WeightRows> matrix(const std::string& tensor, std::int64_t rows, std::int64_t cols,
                                  std::int64_t firstRow = 0, std::int64_t allRows = 0) const;
  base::Result<std::vector<float>> factors(const std::string& tensor) const;
  base::Result<void> buildLayer(const Style& style, std::int32_t layer);
  base::Result<void> buildMixture(const Style& style, std::int32_t layer);
  base::Result<ExpertWeights> experts(const std::string& name, std::int64_t rows, std::int64_t cols) const;
  base::Result<void> checkBlockNames() const;

  const gguf::File& file_;
  Program program_;
  float epsilon_ = 0;
};

}  // namespace quern::engine::model
