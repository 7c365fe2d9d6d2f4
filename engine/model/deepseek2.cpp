// DeepSeek V2 and V3: attention over compressed keys and values, the first layers dense, the others mixtures
// with shared experts, whose experts are chosen from the best groups; V3 weighs by sigmoids and has a bias
// for choosing. Files as llama.cpp's converter writes them since its keys and values have tensors of their
// own (attn_k_b transposed, so that it takes a query's plain elements).

#include <cmath>

#include "engine/base/text.h"
#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {

base::Result<void> Builder::readLatent() {
  Program& p = program_;
  const auto int32 = [](std::uint64_t value) { return static_cast<std::int32_t>(value); };
  QUERN_ASSIGN(const auto rank, number("attention.kv_lora_rank", 1, 4096));
  QUERN_ASSIGN(const auto queryRank, numberOr("attention.q_lora_rank", 0, 0, 1U << 16));
  if (!has("blk.0.attn_k_b.weight")) {
    return base::Error(base::ErrorCode::kUnsupported,
                       "The model's file is from before the keys and values of its attention were kept apart "
                       "(it has no tensor \"blk.0.attn_k_b.weight\"). Convert or download it anew.");
  }
  QUERN_ASSIGN(const auto keyLength, number("attention.key_length_mla", 3, 4096));
  QUERN_ASSIGN(const auto value, number("attention.value_length_mla", 1, 4096));
  QUERN_ASSIGN(const auto rotary, number("rope.dimension_count", 2, keyLength - 1));
  p.latent = {int32(queryRank), int32(rank), int32(rotary), int32(keyLength - rotary), int32(value)};
  p.kvHeads = 1;
  p.headDim = int32(rank + rotary);
  p.valueDim = p.headDim;
  return base::ok();
}

base::Result<void> Builder::projectLatent(std::int32_t layer) {
  Program& p = program_;
  const LatentSizes& sizes = p.latent;
  const std::string block = "blk." + std::to_string(layer) + ".";
  const std::int64_t queries = p.widthOf(Buffer::kQueryParts);
  const std::string compressed = block + "attn_kv_a_mqa.weight";
  const std::int64_t both = std::int64_t{sizes.rank} + sizes.rotary;
  QUERN_ASSIGN(auto latent, matrix(compressed, sizes.rank, p.width, 0, both));
  QUERN_ASSIGN(auto positions, matrix(compressed, sizes.rotary, p.width, sizes.rank, both));
  Project first{
      Buffer::kNormed,
      {{std::move(latent), Buffer::kLatent, false}, {std::move(positions), Buffer::kLatentRotary, false}}};
  if (sizes.queryRank == 0) {
    QUERN_ASSIGN(auto query, matrix(block + "attn_q.weight", queries, p.width));
    first.outputs.push_back({std::move(query), Buffer::kQueryParts, false});
    p.body.emplace_back(std::move(first));
  } else {
    QUERN_ASSIGN(auto down, matrix(block + "attn_q_a.weight", sizes.queryRank, p.width));
    first.outputs.push_back({std::move(down), Buffer::kQueryLatent, false});
    p.body.emplace_back(std::move(first));
    QUERN_ASSIGN(auto weight, vector(block + "attn_q_a_norm.weight", sizes.queryRank));
    Norm norm;
    norm.in = Buffer::kQueryLatent;
    norm.weight = std::move(weight);
    norm.epsilon = epsilon_;
    p.body.emplace_back(std::move(norm));
    QUERN_ASSIGN(auto up, matrix(block + "attn_q_b.weight", queries, sizes.queryRank));
    p.body.emplace_back(Project{Buffer::kNormed, {{std::move(up), Buffer::kQueryParts, false}}});
  }
  AbsorbKeys absorb;
  absorb.epsilon = epsilon_;
  QUERN_ASSIGN(absorb.norm, vector(block + "attn_kv_a_norm.weight", sizes.rank));
  QUERN_ASSIGN(absorb.keys, stack(block + "attn_k_b", p.heads, sizes.rank, sizes.plain));
  p.body.emplace_back(std::move(absorb));
  return base::ok();
}

base::Result<void> Builder::expandLatent(std::int32_t layer) {
  Program& p = program_;
  ExpandValues expand;
  QUERN_ASSIGN(expand.values,
               stack("blk." + std::to_string(layer) + ".attn_v_b", p.heads, p.latent.value, p.latent.rank));
  p.body.emplace_back(std::move(expand));
  return base::ok();
}

base::Result<void> buildDeepseek2(Builder& builder) {
  QUERN_TRY(builder.readLatent());
  Program& p = builder.program();
  QUERN_ASSIGN(Rope rope, builder.readRope(false));
  // Scores take YaRN's factor instead of cosines and sines; files hold a tenth of "mscale_all_dim".
  QUERN_ASSIGN(const double logMultiplier,
               builder.realOr("rope.scaling.yarn_log_multiplier", 0.0, 0.0, 10.0));
  QUERN_ASSIGN(const double factor, builder.realOr("rope.scaling.factor", 1.0, 1e-3, 1e6));
  double magnitude = 1.0;
  if (logMultiplier > 0 && factor > 1) {
    magnitude = 1.0 + logMultiplier * std::log(factor);
    rope.magnitude = 1.0F;
  }
  p.ropes = {std::move(rope)};
  Style style;
  style.attentionScale =
      static_cast<float>(magnitude * magnitude / std::sqrt(p.latent.plain + p.latent.rotary));
  QUERN_ASSIGN(style.mixture, builder.readMixture(true));
  return builder.buildTransformer(style);
}

}  // namespace quern::engine::model
