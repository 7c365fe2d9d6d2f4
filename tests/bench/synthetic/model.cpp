#include "tests/bench/synthetic/model.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <utility>

#include "engine/base/text.h"
#include "engine/gguf/writer.h"
#include "tests/bench/synthetic/blocks.h"
#include "tests/bench/synthetic/vocabulary.h"

namespace quern::bench {
namespace {

using engine::base::Error;
using engine::base::ErrorCode;
using engine::gguf::EmitBytes;
using engine::gguf::Writer;
using kernels::DType;

/// Weights that are drawn and handed to the writer at a time.
constexpr std::size_t kPieceBytes = 1U << 20;

/// llama.cpp's numbers of `general.file_type`.
std::uint32_t fileType(Mix mix) {
  switch (mix) {
    case Mix::kF16:
      return 1;
    case Mix::kQ4_0:
      return 2;
    case Mix::kQ4_1:
      return 3;
    case Mix::kQ8_0:
      return 7;
    case Mix::kQ4_K_M:
      return 15;
  }
  return 0;
}

DType plainFormat(Mix mix) {
  switch (mix) {
    case Mix::kF16:
      return DType::kF16;
    case Mix::kQ4_0:
      return DType::kQ4_0;
    case Mix::kQ4_1:
      return DType::kQ4_1;
    case Mix::kQ8_0:
      return DType::kQ8_0;
    case Mix::kQ4_K_M:
      return DType::kQ4_K;
  }
  return DType::kF16;
}

/// The first and last eighth of the layers and every third between them.
bool getsMoreBits(std::uint32_t layer, std::uint32_t layers) {
  const std::uint32_t eighth = layers / 8;
  return layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
}

DType wantedFormat(Mix mix, const Shape& shape, std::string_view name, std::uint32_t layer) {
  const DType plain = plainFormat(mix);
  if (mix == Mix::kF16 || mix == Mix::kQ8_0) return plain;
  const bool output = name == "output.weight" || (shape.tied && name == "token_embd.weight");
  if (output) return DType::kQ6_K;
  if (mix != Mix::kQ4_K_M) return plain;
  // Eight experts share one attention block: it is small beside them, so that it gets more.
  const bool eight = shape.experts == 8;
  if (eight && (name.ends_with("attn_v.weight") || name.ends_with("attn_k.weight"))) return DType::kQ8_0;
  if (eight && name.ends_with("attn_output.weight")) return DType::kQ5_K;
  const bool favoured = name.ends_with("attn_v.weight") || name.find("ffn_down") != std::string_view::npos;
  return favoured && getsMoreBits(layer, shape.layers) ? DType::kQ6_K : plain;
}

/// A tensor's bytes are a function of the model's seed and its place in the file.
std::uint64_t mixed(std::uint64_t seed, std::uint64_t index) {
  std::uint64_t z = seed + (index + 1) * 0x9E3779B97F4A7C15ULL;  // SplitMix64
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

class ModelWriter {
 public:
  ModelWriter(const Shape& shape, Mix mix, std::uint64_t seed) : shape_(shape), mix_(mix), seed_(seed) {}

  engine::base::Result<void> write(const std::filesystem::path& path,
                                   const std::function<bool(double)>& progress) {
    addMetadata();
    matrix("token_embd.weight", 0, {shape_.width, shape_.vocabulary});
    for (std::uint32_t layer = 0; layer < shape_.layers; ++layer) addLayer(layer);
    norm("output_norm.weight");
    if (!shape_.tied) matrix("output.weight", 0, {shape_.width, shape_.vocabulary});
    engine::gguf::WriteOptions options;
    options.progress = progress;
    QUERN_TRY(writer_.write(path, options));
    return engine::base::ok();
  }

 private:
  void addMetadata() {
    writer_.set("general.architecture", "llama");
    writer_.set("general.name", "Synthetic");
    writer_.set("general.file_type", fileType(mix_));
    writer_.set("general.quantization_version", std::uint32_t{2});
    writer_.set("llama.block_count", shape_.layers);
    writer_.set("llama.context_length", shape_.context);
    writer_.set("llama.embedding_length", shape_.width);
    writer_.set("llama.feed_forward_length", shape_.hidden);
    writer_.set("llama.attention.head_count", shape_.heads);
    writer_.set("llama.attention.head_count_kv", shape_.kvHeads);
    writer_.set("llama.attention.key_length", shape_.headDim);
    writer_.set("llama.attention.value_length", shape_.headDim);
    writer_.set("llama.attention.layer_norm_rms_epsilon", 1e-5F);
    writer_.set("llama.rope.dimension_count", shape_.headDim);
    writer_.set("llama.rope.freq_base", static_cast<float>(shape_.ropeBase));
    writer_.set("llama.vocab_size", shape_.vocabulary);
    if (shape_.experts > 0) {
      writer_.set("llama.expert_count", shape_.experts);
      writer_.set("llama.expert_used_count", shape_.expertsUsed);
    }
    setVocabulary(writer_, shape_.vocabulary);
  }

  void addLayer(std::uint32_t layer) {
    const std::string block = "blk." + std::to_string(layer) + ".";
    const std::uint32_t queries = shape_.heads * shape_.headDim;
    const std::uint32_t keys = shape_.kvHeads * shape_.headDim;
    norm(block + "attn_norm.weight");
    matrix(block + "attn_q.weight", layer, {shape_.width, queries});
    matrix(block + "attn_k.weight", layer, {shape_.width, keys});
    matrix(block + "attn_v.weight", layer, {shape_.width, keys});
    matrix(block + "attn_output.weight", layer, {queries, shape_.width});
    norm(block + "ffn_norm.weight");
    if (shape_.experts == 0) {
      matrix(block + "ffn_gate.weight", layer, {shape_.width, shape_.hidden});
      matrix(block + "ffn_up.weight", layer, {shape_.width, shape_.hidden});
      matrix(block + "ffn_down.weight", layer, {shape_.hidden, shape_.width});
    } else {
      add(block + "ffn_gate_inp.weight", DType::kF32, {shape_.width, shape_.experts});
      matrix(block + "ffn_gate_exps.weight", layer, {shape_.width, shape_.hidden, shape_.experts});
      matrix(block + "ffn_up_exps.weight", layer, {shape_.width, shape_.hidden, shape_.experts});
      matrix(block + "ffn_down_exps.weight", layer, {shape_.hidden, shape_.width, shape_.experts});
    }
  }

  void norm(const std::string& name) {
    const std::vector<std::uint64_t> dims = {shape_.width};
    writer_.addTensor(name, DType::kF32, dims, [count = shape_.width](const EmitBytes& emit) {
      const std::vector<float> ones(count, 1.0F);
      return emit(std::as_bytes(std::span(ones)));
    });
  }

  void matrix(const std::string& name, std::uint32_t layer, const std::vector<std::uint64_t>& dims) {
    add(name, formatOf(mix_, shape_, name, layer, static_cast<std::uint32_t>(dims[0])), dims);
  }

  void add(const std::string& name, DType type, const std::vector<std::uint64_t>& dims) {
    const kernels::DTypeInfo& info = *kernels::dtypeInfo(type);
    std::uint64_t bytes = info.blockBytes;
    for (const std::uint64_t dim : dims) bytes *= dim;
    bytes /= info.blockElements;
    const float deviation = 1 / std::sqrt(static_cast<float>(dims[0]));
    const std::uint64_t start = mixed(seed_, tensors_++);
    writer_.addTensor(name, type, dims, [=](const EmitBytes& emit) -> engine::base::Result<void> {
      std::mt19937_64 random(start);
      std::vector<std::byte> piece(kPieceBytes / info.blockBytes * info.blockBytes);
      for (std::uint64_t left = bytes; left > 0;) {
        const auto part =
            std::span(piece).first(static_cast<std::size_t>(std::min<std::uint64_t>(left, piece.size())));
        fillBlocks(type, deviation, random, part);
        QUERN_TRY(emit(part));
        left -= part.size();
      }
      return engine::base::ok();
    });
  }

  const Shape& shape_;
  Mix mix_;
  std::uint64_t seed_;
  std::uint64_t tensors_ = 0;
  Writer writer_;
};

engine::base::Result<void> check(const Shape& shape) {
  const auto refuse = [](std::string sentence) {
    return Error(ErrorCode::kInvalidArgument, std::move(sentence));
  };
  const std::pair<const char*, std::uint32_t> counts[] = {
      {"layers", shape.layers},  {"width", shape.width},      {"hidden", shape.hidden},
      {"heads", shape.heads},    {"kv-heads", shape.kvHeads}, {"head-dim", shape.headDim},
      {"context", shape.context}};
  for (const auto& [name, count] : counts) {
    if (count == 0) return refuse("A model needs at least one of \"" + std::string(name) + "\".");
  }
  if (shape.heads % shape.kvHeads != 0) return refuse("The heads cannot share the key/value heads evenly.");
  if (shape.headDim % 2 != 0) return refuse("The head dim must be even: positions rotate pairs.");
  if (shape.vocabulary < kLeastVocabulary) {
    return refuse("The vocabulary needs at least " + std::to_string(kLeastVocabulary) + " tokens.");
  }
  if (shape.experts > 0 && (shape.expertsUsed == 0 || shape.expertsUsed > shape.experts)) {
    return refuse("Of the experts at least one and at most all can be used.");
  }
  const bool whole = shape.width % 32 == 0 && shape.hidden % 32 == 0 && shape.heads * shape.headDim % 32 == 0;
  if (!whole)
    return refuse("Width, hidden and heads × head dim must be multiples of 32, the block of the formats.");
  return engine::base::ok();
}

}  // namespace

const std::vector<Preset>& presets() {
  // layers, width, hidden, heads, kv heads, head dim, vocabulary, context, tied, experts, used, RoPE's base
  static const std::vector<Preset> kPresets = {
      {"tiny", "for tests", {2, 256, 512, 4, 2, 64, 512, 2048, true, 0, 0, 10000}},
      {"tiny-moe", "for tests", {2, 256, 256, 4, 2, 64, 512, 2048, false, 8, 2, 10000}},
      {"135m", "SmolLM2 135M", {30, 576, 1536, 9, 3, 64, 49152, 8192, true, 0, 0, 100000}},
      {"1b",
       "Llama 3.2 1B with 49,152 tokens",
       {16, 2048, 8192, 32, 8, 64, 49152, 131072, true, 0, 0, 500000}},
      {"3b", "Llama 3.2 3B", {28, 3072, 8192, 24, 8, 128, 128256, 131072, true, 0, 0, 500000}},
      {"8b", "Llama 3.1 8B", {32, 4096, 14336, 32, 8, 128, 128256, 131072, false, 0, 0, 500000}},
      {"moe",
       "3 B in eight experts, two at work",
       {16, 2048, 4096, 16, 8, 128, 49152, 32768, false, 8, 2, 1000000}},
      {"8x7b", "Mixtral 8x7B", {32, 4096, 14336, 32, 8, 128, 32000, 32768, false, 8, 2, 1000000}}};
  return kPresets;
}

const Preset* findPreset(std::string_view name) {
  for (const Preset& preset : presets()) {
    if (preset.name == name) return &preset;
  }
  return nullptr;
}

std::optional<Mix> mixOf(std::string_view name) {
  if (name == "f16") return Mix::kF16;
  if (name == "q4_0") return Mix::kQ4_0;
  if (name == "q4_1") return Mix::kQ4_1;
  if (name == "q8_0") return Mix::kQ8_0;
  if (name == "q4_k_m") return Mix::kQ4_K_M;
  return std::nullopt;
}

DType formatOf(Mix mix, const Shape& shape, std::string_view name, std::uint32_t layer,
               std::uint32_t columns) {
  const DType wanted = wantedFormat(mix, shape, name, layer);
  if (columns % kernels::dtypeInfo(wanted)->blockElements == 0) return wanted;
  // Rows that make no whole super-blocks go to the next format with blocks of 32.
  return wanted == DType::kQ6_K || wanted == DType::kQ5_K ? DType::kQ8_0 : DType::kQ5_0;
}

engine::base::Result<void> writeModel(const std::filesystem::path& path, const Shape& shape, Mix mix,
                                      std::uint64_t seed, const std::function<bool(double)>& progress) {
  QUERN_TRY(check(shape));
  return ModelWriter(shape, mix, seed).write(path, progress);
}

}  // namespace quern::bench
