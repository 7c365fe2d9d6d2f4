// The encoder that BERT and its relatives share: positions and token types are part of the embedding, every
// token sees all others, and a norm follows each block's joining the residual stream.

#include <algorithm>

#include "engine/model/builder.h"

namespace quern::engine::model {

base::Result<void> Builder::buildEncoder(const Style& wanted) {
  Program& p = program_;
  Style style = wanted;
  style.centredNorms = true;
  p.isCausal = false;
  QUERN_TRY(matrix("token_embd.weight", p.vocabulary, p.width));
  Embed embed{"token_embd.weight", 1.0F, "", ""};
  if (const gguf::Tensor* positions = file_.tensor("position_embd.weight"); positions != nullptr) {
    const auto rows = static_cast<std::int64_t>(std::min<std::uint64_t>(positions->rows(), INT32_MAX));
    QUERN_TRY(matrix("position_embd.weight", rows, p.width));
    embed.positions = "position_embd.weight";
    p.mostPositions = static_cast<std::int32_t>(rows);
    p.trainedContext = std::min(p.trainedContext, p.mostPositions);
  }
  // A text is one piece, and so all of its tokens are of the first type.
  if (const gguf::Tensor* types = file_.tensor("token_types.weight"); types != nullptr) {
    QUERN_TRY(matrix("token_types.weight", static_cast<std::int64_t>(types->rows()), p.width));
    embed.constant = "token_types.weight";
  }
  p.body.emplace_back(std::move(embed));
  const auto addNorm = [&](const std::string& name) -> base::Result<void> {
    QUERN_ASSIGN(auto made, norm(style, name, Buffer::kResidual, Buffer::kResidual));
    p.body.emplace_back(std::move(made));
    return base::ok();
  };
  QUERN_TRY(addNorm("token_embd_norm"));
  for (std::int32_t layer = 0; layer < p.layers; ++layer) {
    const std::string block = "blk." + std::to_string(layer) + ".";
    style.fusedQkv = has(block + "attn_qkv.weight");
    QUERN_ASSIGN(auto qkv, queryKeyValue(style, layer, Buffer::kResidual));
    p.body.emplace_back(std::move(qkv));
    QUERN_TRY(addAttend(style, layer));
    QUERN_ASSIGN(auto output, matrix(block + "attn_output.weight", p.width, p.widthOf(Buffer::kHeads)));
    p.body.emplace_back(Project{Buffer::kHeads, {{std::move(output), Buffer::kResidual, true}}});
    QUERN_TRY(addNorm(block + "attn_output_norm"));

    Project gateUp{Buffer::kResidual, {}};
    QUERN_TRY(addGateUp(style, layer, gateUp));
    p.body.emplace_back(std::move(gateUp));
    p.body.emplace_back(Activate{style.activation, style.isGated});
    QUERN_ASSIGN(auto down, matrix(block + "ffn_down.weight", p.width, p.hidden));
    p.body.emplace_back(Project{Buffer::kHidden, {{std::move(down), Buffer::kResidual, true}}});
    QUERN_TRY(addNorm(block + "layer_output_norm"));
  }
  return base::ok();
}

}  // namespace quern::engine::model
