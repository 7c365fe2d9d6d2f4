#include "engine/model/builder.h"

#include <charconv>
#include <cmath>

#include "engine/base/text.h"
#include "kernels/reference/dequantize.h"

namespace quern::engine::model {
namespace {

constexpr std::uint64_t kMostLayers = 1024;
constexpr std::uint64_t kMostWidth = 1U << 18;
constexpr std::uint64_t kMostVocabulary = 1U << 22;
constexpr std::uint64_t kMostContext = 1U << 27;

base::Error malformed(std::string sentence) { return {base::ErrorCode::kMalformed, std::move(sentence)}; }

std::string shape(const gguf::Tensor& tensor) {
  std::string text;
  for (const std::uint64_t dim : tensor.dims) text += (text.empty() ? "" : " × ") + base::grouped(dim);
  return text;
}

}  // namespace

std::int64_t Program::widthOf(Buffer buffer) const {
  switch (buffer) {
    case Buffer::kResidual:
    case Buffer::kNormed:
    case Buffer::kProjected:
      return width;
    case Buffer::kQuery:
      return static_cast<std::int64_t>(heads) * headDim;
    case Buffer::kKey:
      return static_cast<std::int64_t>(kvHeads) * headDim;
    case Buffer::kValue:
      return static_cast<std::int64_t>(kvHeads) * valueDim;
    case Buffer::kHeads:
      return static_cast<std::int64_t>(heads) * valueDim;
    case Buffer::kGate:
    case Buffer::kUp:
    case Buffer::kHidden:
      return hidden;
    case Buffer::kLogits:
      return vocabulary;
    case Buffer::kRouter:
      return experts;
    case Buffer::kSharedGate:
      return experts > 0 ? 1 : 0;
  }
  return 0;
}

Builder::Builder(const gguf::File& file, std::string_view architecture) : file_(file) {
  program_.architecture = architecture;
}

base::Result<std::uint64_t> Builder::number(std::string_view suffix, std::uint64_t least,
                                            std::uint64_t most) const {
  QUERN_ASSIGN(const auto found, file_.optionalUnsigned(key(suffix)));
  if (!found)
    return malformed("The model says nothing of \"" + key(suffix) + "\", which its architecture needs.");
  return numberOr(suffix, *found, least, most);
}

base::Result<std::uint64_t> Builder::numberOr(std::string_view suffix, std::uint64_t fallback,
                                              std::uint64_t least, std::uint64_t most) const {
  QUERN_ASSIGN(const auto found, file_.optionalUnsigned(key(suffix)));
  const std::uint64_t value = found.value_or(fallback);
  if (value < least || value > most) {
    return malformed("The model's \"" + key(suffix) + "\" is " + base::grouped(value) +
                     "; it must be between " + base::grouped(least) + " and " + base::grouped(most) + ".");
  }
  return value;
}

base::Result<double> Builder::realOr(std::string_view suffix, double fallback, double least,
                                     double most) const {
  QUERN_ASSIGN(const auto found, file_.optionalNumber(key(suffix)));
  const double value = found.value_or(fallback);
  if (!(value >= least && value <= most)) {
    return malformed("The model's \"" + key(suffix) + "\" is " + std::to_string(value) +
                     "; it must be between " + std::to_string(least) + " and " + std::to_string(most) + ".");
  }
  return value;
}

base::Result<void> Builder::readCommon() {
  Program& p = program_;
  const auto int32 = [](std::uint64_t value) { return static_cast<std::int32_t>(value); };
  QUERN_ASSIGN(const auto layers, number("block_count", 1, kMostLayers));
  QUERN_ASSIGN(const auto width, number("embedding_length", 1, kMostWidth));
  QUERN_ASSIGN(const auto hidden, number("feed_forward_length", 1, kMostWidth * 8));
  QUERN_ASSIGN(const auto heads, number("attention.head_count", 1, 1024));
  QUERN_ASSIGN(const auto kvHeads, numberOr("attention.head_count_kv", heads, 1, heads));
  QUERN_ASSIGN(const auto headDim, numberOr("attention.key_length", width / heads, 1, 4096));
  QUERN_ASSIGN(const auto valueDim, numberOr("attention.value_length", headDim, 1, 4096));
  QUERN_ASSIGN(const auto context, numberOr("context_length", 4096, 1, kMostContext));
  QUERN_ASSIGN(const auto epsilon, realOr("attention.layer_norm_rms_epsilon", 1e-5, 0.0, 0.1));
  if (heads % kvHeads != 0) {
    return malformed("The model has " + base::grouped(heads) + " attention heads, which its " +
                     base::grouped(kvHeads) + " key/value heads cannot share evenly.");
  }
  if (headDim != valueDim) {
    return base::Error(base::ErrorCode::kUnsupported,
                       "The model's keys and values have different lengths (" + base::grouped(headDim) +
                           " and " + base::grouped(valueDim) + "); Quern cannot run that yet.");
  }
  p.layers = int32(layers);
  p.width = int32(width);
  p.hidden = int32(hidden);
  p.heads = int32(heads);
  p.kvHeads = int32(kvHeads);
  p.headDim = int32(headDim);
  p.valueDim = int32(valueDim);
  p.trainedContext = int32(context);
  epsilon_ = static_cast<float>(epsilon);

  const gguf::Tensor* embedding = file_.tensor("token_embd.weight");
  if (embedding == nullptr) return malformed("The model has no tensor \"token_embd.weight\".");
  if (embedding->dims.size() != 2 || embedding->dims[0] != width || embedding->dims[1] > kMostVocabulary) {
    return malformed("The model's tensor \"token_embd.weight\" is " + shape(*embedding) +
                     "; its rows must have the embedding length, " + base::grouped(width) + ".");
  }
  p.vocabulary = int32(embedding->dims[1]);
  QUERN_ASSIGN(const auto stated, numberOr("vocab_size", embedding->dims[1], 1, kMostVocabulary));
  const gguf::Value* tokens = file_.find("tokenizer.ggml.tokens");
  const std::uint64_t listed = tokens != nullptr && tokens->isArray() ? tokens->count() : embedding->dims[1];
  if (stated != embedding->dims[1] || listed != embedding->dims[1]) {
    return malformed("The model's vocabulary sizes disagree: " + base::grouped(embedding->dims[1]) +
                     " embeddings, " + base::grouped(listed) + " tokens listed, " + base::grouped(stated) +
                     " in \"" + key("vocab_size") + "\".");
  }
  return checkBlockNames();
}

base::Result<void> Builder::checkBlockNames() const {
  for (const gguf::Tensor& tensor : file_.tensors()) {
    if (!tensor.name.starts_with("blk.")) continue;
    std::uint32_t block = 0;
    const char* begin = tensor.name.data() + 4;
    const auto parsed = std::from_chars(begin, tensor.name.data() + tensor.name.size(), block);
    if (parsed.ec != std::errc() || block >= static_cast<std::uint32_t>(program_.layers)) {
      return malformed("The model says that it has " + std::to_string(program_.layers) +
                       " blocks, but there is a tensor \"" + base::printable(tensor.name) + "\".");
    }
  }
  return base::ok();
}

base::Result<std::string> Builder::vector(const std::string& tensor, std::int64_t length) const {
  const gguf::Tensor* found = file_.tensor(tensor);
  if (found == nullptr) return malformed("The model has no tensor \"" + tensor + "\".");
  if (found->rows() != 1 || found->rowElements() != static_cast<std::uint64_t>(length)) {
    return malformed("The model's tensor \"" + tensor + "\" is " + shape(*found) + "; it must be " +
                     base::grouped(static_cast<std::uint64_t>(length)) + ".");
  }
  return tensor;
}

base::Result<std::string> Builder::optionalVector(const std::string& tensor, std::int64_t length) const {
  if (!has(tensor)) return std::string();
  return vector(tensor, length);
}

base::Result<WeightRows> Builder::matrix(const std::string& tensor, std::int64_t rows, std::int64_t cols,
                                         std::int64_t firstRow, std::int64_t allRows) const {
  if (allRows == 0) allRows = rows;
  const gguf::Tensor* found = file_.tensor(tensor);
  if (found == nullptr) return malformed("The model has no tensor \"" + tensor + "\".");
  if (found->rowElements() != static_cast<std::uint64_t>(cols) ||
      found->rows() != static_cast<std::uint64_t>(allRows)) {
    return malformed("The model's tensor \"" + tensor + "\" is " + shape(*found) +
                     "; its numbers of heads and layers ask for " +
                     base::grouped(static_cast<std::uint64_t>(cols)) + " × " +
                     base::grouped(static_cast<std::uint64_t>(allRows)) + ".");
  }
  std::string bias = tensor.substr(0, tensor.rfind('.')) + ".bias";
  QUERN_ASSIGN(bias, optionalVector(bias, allRows));
  return WeightRows{tensor, firstRow, rows, cols, std::move(bias)};
}

base::Result<std::vector<float>> Builder::factors(const std::string& tensor) const {
  const gguf::Tensor* found = file_.tensor(tensor);
  QUERN_TRY(vector(tensor, program_.ropes.empty() ? static_cast<std::int64_t>(found->rowElements())
                                                  : program_.ropes.front().rotary / 2));
  std::vector<float> values(found->rowElements());
  if (!kernels::reference::dequantizeRow(found->type, found->data.data(), values.data(), values.size())) {
    return malformed("The model's tensor \"" + tensor + "\" is of a type that cannot be decoded.");
  }
  for (const float value : values) {
    if (!(value > 1e-6F && value < 1e6F)) {
      return malformed("The model's tensor \"" + tensor +
                       "\" holds a factor that makes no sense: " + std::to_string(value) + ".");
    }
  }
  return values;
}

base::Result<void> Builder::buildTransformer(const Style& style) {
  Program& p = program_;
  QUERN_TRY(matrix("token_embd.weight", p.vocabulary, p.width));
  p.body.emplace_back(Embed{"token_embd.weight", style.embedScale});
  for (std::int32_t layer = 0; layer < p.layers; ++layer) QUERN_TRY(buildLayer(style, layer));
  QUERN_ASSIGN(auto norm, vector("output_norm.weight", p.width));
  p.head.emplace_back(Norm{Buffer::kResidual, Buffer::kNormed, std::move(norm), epsilon_, false});
  QUERN_ASSIGN(auto output,
               matrix(has("output.weight") ? "output.weight" : "token_embd.weight", p.vocabulary, p.width));
  p.head.emplace_back(
      Project{Buffer::kNormed, {{std::move(output), Buffer::kLogits, false}}, style.logitScale, false});
  p.logitSoftcap = style.logitSoftcap;
  return base::ok();
}

base::Result<void> Builder::buildLayer(const Style& style, std::int32_t layer) {
  Program& p = program_;
  const auto name = [&](const char* part) { return "blk." + std::to_string(layer) + "." + part + ".weight"; };
  const std::int64_t queries = p.widthOf(Buffer::kQuery);
  const std::int64_t keys = p.widthOf(Buffer::kKey);
  const std::int64_t values = p.widthOf(Buffer::kValue);

  QUERN_ASSIGN(auto attentionNorm, vector(name("attn_norm"), p.width));
  p.body.emplace_back(Norm{Buffer::kResidual, Buffer::kNormed, std::move(attentionNorm), epsilon_, false});

  const std::int64_t fused = queries + keys + values;
  const auto qkv = [&](const char* part, std::int64_t rows, std::int64_t first) {
    return style.fusedQkv ? matrix(name("attn_qkv"), rows, p.width, first, fused)
                          : matrix(name(part), rows, p.width);
  };
  QUERN_ASSIGN(auto query, qkv("attn_q", queries, 0));
  QUERN_ASSIGN(auto key, qkv("attn_k", keys, queries));
  QUERN_ASSIGN(auto value, qkv("attn_v", values, queries + keys));
  p.body.emplace_back(Project{Buffer::kNormed,
                              {{std::move(query), Buffer::kQuery, false},
                               {std::move(key), Buffer::kKey, false},
                               {std::move(value), Buffer::kValue, false}}});

  Attend attend;
  attend.layer = layer;
  attend.rope = style.rope ? style.rope(layer) : 0;
  attend.epsilon = epsilon_;
  attend.scale =
      style.attentionScale != 0.0F ? style.attentionScale : 1.0F / std::sqrt(static_cast<float>(p.headDim));
  attend.softcap = style.attentionSoftcap;
  attend.window = style.window ? style.window(layer) : 0;
  if (style.hasSinks) {
    QUERN_ASSIGN(attend.sinks, vector(name("attn_sinks"), p.heads));
  }
  if (style.headNorms) {
    QUERN_ASSIGN(attend.queryNorm, vector(name("attn_q_norm"), p.headDim));
    QUERN_ASSIGN(attend.keyNorm, vector(name("attn_k_norm"), p.headDim));
  }
  p.body.emplace_back(std::move(attend));

  // Gemma norms a block's output before it joins the residual stream; the others add it directly.
  const auto joinResidual = [&](WeightRows weights, Buffer in, const char* postNorm) -> base::Result<void> {
    if (!style.postNorms) {
      p.body.emplace_back(
          Project{in, {{std::move(weights), Buffer::kResidual, true}}, style.residualScale, false});
      return base::ok();
    }
    QUERN_ASSIGN(auto norm, vector(name(postNorm), p.width));
    p.body.emplace_back(Project{in, {{std::move(weights), Buffer::kProjected, false}}});
    p.body.emplace_back(Norm{Buffer::kProjected, Buffer::kResidual, std::move(norm), epsilon_, true});
    return base::ok();
  };
  QUERN_ASSIGN(auto output, matrix(name("attn_output"), p.width, p.widthOf(Buffer::kHeads)));
  QUERN_TRY(joinResidual(std::move(output), Buffer::kHeads, "post_attention_norm"));

  QUERN_ASSIGN(auto hiddenNorm, vector(name(style.hiddenNorm), p.width));
  p.body.emplace_back(Norm{Buffer::kResidual, Buffer::kNormed, std::move(hiddenNorm), epsilon_, false});
  if (style.mixture && layer >= style.mixture->firstLayer) return buildMixture(style, layer);
  const std::int64_t hidden = style.mixture ? style.mixture->denseHidden : p.hidden;
  const std::int64_t both = 2 * hidden;
  auto gateRows = style.fusedGateUp ? matrix(name("ffn_up"), hidden, p.width, 0, both)
                                    : matrix(name("ffn_gate"), hidden, p.width);
  auto upRows = style.fusedGateUp ? matrix(name("ffn_up"), hidden, p.width, hidden, both)
                                  : matrix(name("ffn_up"), hidden, p.width);
  QUERN_ASSIGN(auto gate, std::move(gateRows));
  QUERN_ASSIGN(auto up, std::move(upRows));
  p.body.emplace_back(Project{
      Buffer::kNormed, {{std::move(gate), Buffer::kGate, false}, {std::move(up), Buffer::kUp, false}}});
  p.body.emplace_back(Activate{style.activation});
  QUERN_ASSIGN(auto down, matrix(name("ffn_down"), p.width, hidden));
  return joinResidual(std::move(down), Buffer::kHidden, "post_ffw_norm");
}

}  // namespace quern::engine::model
