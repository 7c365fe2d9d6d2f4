// What Quern knows of the families of models that Hugging Face folders hold: their names there and in GGUF,
// which tensor becomes which, and what their hyper-parameters are called. Facts; source: llama.cpp's
// converter (convert_hf_to_gguf.py, gguf-py's tensor_mapping.py and constants.py).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/convert/config.h"
#include "engine/convert/metadata.h"

namespace quern::engine::convert {

/// What happens to the numbers on the way. Shapes are the checkpoint's: the outermost dimension first.
enum class Move : std::uint8_t {
  kCopy,
  kPermuteQuery,   ///< rows of each head from [first halves, second halves] to pairs
  kPermuteKey,     ///< the same with the number of key/value heads
  kPlusOne,        ///< Gemma's norms multiply by 1 + weight
  kExperts,        ///< one matrix an expert ("{E}"): stacked
  kFirstHalf,      ///< [.., 2n, c] → its first n rows, of every expert
  kSecondHalf,     ///< and the others
  kLatentKeys,     ///< kv_b [heads · (nope + v), rank] → [heads, rank, nope]
  kLatentValues,   ///< → [heads, v, rank]
  kSkipPositions,  ///< without the first rows, which RoBERTa never uses
  kTransposed,     ///< [experts, in, out] → [experts, out, in]
  kEvenColumns,    ///< the same of the even columns: gate and up are interleaved
  kOddColumns,
  kEvenElements,  ///< [experts, 2n] → [experts, n]
  kOddElements,
  kMxfp4,          ///< "X_blocks" and "X_scales" → MXFP4
  kMxfp4EvenRows,  ///< the same of the even rows
  kMxfp4OddRows,
};

/// "{L}" stands for the layer, "{E}" for the expert. Without a suffix a rule means ".weight" and, where there
/// is one, ".bias".
struct TensorRule {
  std::string_view source;
  std::string_view target;
  Move move = Move::kCopy;
  bool needed = true;       ///< an error where it is missing
  bool wholeNames = false;  ///< source and target have their suffixes already
};

enum class KeyKind : std::uint8_t { kCount, kReal };

/// A hyper-parameter that is only renamed.
struct KeyRule {
  std::string_view suffix;  ///< behind "<architecture>."
  KeyKind kind;
  Names names;
};

struct Family {
  Names architectures;    ///< in config.json's "architectures"
  Names modelTypes;       ///< its "model_type", where "architectures" says nothing known
  std::string_view gguf;  ///< "general.architecture"
  std::vector<std::span<const TensorRule>> rules;
  std::vector<KeyRule> keys;
  std::string_view defaults;  ///< JSON, for what the file does not say; "" for none
  base::Result<void> (*more)(const Config& config, Metadata& metadata);  ///< what is no renaming; or null
  Names ignored;  ///< beginnings of names that are left out
};

/// Errors: kUnsupported, with a list of what is known.
base::Result<const Family*> findFamily(const Config& config);

/// Everything that config.json says, as the file's keys.
base::Result<void> describe(const Family& family, const Config& config, Metadata& metadata);

/// Tensors that are worked out of config.json: factors of rotary embeddings.
struct ComputedTensor {
  std::string_view name;
  std::vector<float> values;
};
base::Result<std::vector<ComputedTensor>> ropeTensors(const Config& config);
/// The keys of the rotary embedding, for every family.
base::Result<void> describeRope(const Config& config, Metadata& metadata);

// What is no renaming, a function a family (family_details.cpp).
base::Result<void> describeLlama(const Config& config, Metadata& metadata);
base::Result<void> describeMistral(const Config& config, Metadata& metadata);
base::Result<void> describeQwen3Moe(const Config& config, Metadata& metadata);
base::Result<void> describeGemma2(const Config& config, Metadata& metadata);
base::Result<void> describeGemma3(const Config& config, Metadata& metadata);
base::Result<void> describePhi3(const Config& config, Metadata& metadata);
base::Result<void> describeOlmo2(const Config& config, Metadata& metadata);
base::Result<void> describeSmolLm3(const Config& config, Metadata& metadata);
base::Result<void> describeGranite(const Config& config, Metadata& metadata);
base::Result<void> describeStarcoder2(const Config& config, Metadata& metadata);
base::Result<void> describeCommandR(const Config& config, Metadata& metadata);
base::Result<void> describeCohere2(const Config& config, Metadata& metadata);
base::Result<void> describeGlm4(const Config& config, Metadata& metadata);
base::Result<void> describeGptOss(const Config& config, Metadata& metadata);
base::Result<void> describeDeepseek2(const Config& config, Metadata& metadata);
base::Result<void> describeBert(const Config& config, Metadata& metadata);
base::Result<void> describeNomicBert(const Config& config, Metadata& metadata);
base::Result<void> describeXlmRoberta(const Config& config, Metadata& metadata);

}  // namespace quern::engine::convert
