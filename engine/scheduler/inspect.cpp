// Facts about a model file without loading it.

#include <algorithm>
#include <map>

#include "engine/gguf/file.h"
#include "engine/scheduler/engine.h"

namespace quern::engine::scheduler {

std::string_view finishReasonName(FinishReason reason) {
  switch (reason) {
    case FinishReason::kEndOfTurn:
      return "end of turn";
    case FinishReason::kStopString:
      return "stop text";
    case FinishReason::kMaxTokens:
      return "token limit";
    case FinishReason::kContextFull:
      return "context full";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kFailed:
      return "failed";
    case FinishReason::kDeadline:
      return "deadline";
    case FinishReason::kComplete:
      return "complete";
  }
  return "unknown";
}

std::string_view reuseReasonName(ReuseReport::Why why) {
  switch (why) {
    case ReuseReport::Why::kWhole:
      return "all of it";
    case ReuseReport::Why::kUnknown:
      return "nothing like it is known";
    case ReuseReport::Why::kDiffers:
      return "what is known goes on differently";
    case ReuseReport::Why::kEvicted:
      return "given up for others";
    case ReuseReport::Why::kNotAsked:
      return "not asked for";
  }
  return "unknown";
}

std::string_view poolingName(Pooling pooling) {
  switch (pooling) {
    case Pooling::kNone:
      return "none";
    case Pooling::kMean:
      return "mean";
    case Pooling::kFirst:
      return "cls";
    case Pooling::kLast:
      return "last";
    case Pooling::kRank:
      return "rank";
  }
  return "unknown";
}

namespace {

/// Of the key "pooling_type" of GGUF files (llama.cpp's numbers); what Quern does not pool counts as none.
Pooling poolingOf(std::uint64_t type) {
  constexpr std::uint64_t kMean = 1;
  constexpr std::uint64_t kCls = 2;
  constexpr std::uint64_t kLast = 3;
  constexpr std::uint64_t kRank = 4;
  if (type == kMean) return Pooling::kMean;
  if (type == kCls) return Pooling::kFirst;
  if (type == kLast) return Pooling::kLast;
  return type == kRank ? Pooling::kRank : Pooling::kNone;
}

}  // namespace

base::Result<ModelInfo> inspect(const gguf::File& file) {
  ModelInfo info;
  QUERN_ASSIGN(const auto architecture, file.optionalString("general.architecture"));
  QUERN_ASSIGN(const auto name, file.optionalString("general.name"));
  info.architecture = architecture.value_or("unknown");
  info.name = name && !name->empty() ? std::string(*name) : file.path().stem().string();
  info.fileBytes = file.sizeBytes();

  const auto count = [&](const std::string& key) -> base::Result<std::int32_t> {
    QUERN_ASSIGN(const auto value, file.optionalUnsigned(info.architecture + "." + key));
    return static_cast<std::int32_t>(std::min<std::uint64_t>(value.value_or(0), INT32_MAX));
  };
  QUERN_ASSIGN(info.trainedContext, count("context_length"));
  QUERN_ASSIGN(info.layers, count("block_count"));
  QUERN_ASSIGN(const auto causal, file.optionalBool(info.architecture + ".attention.causal"));
  info.isEncoder = causal.has_value() && !*causal;
  QUERN_ASSIGN(const std::int32_t pooling, count("pooling_type"));
  info.pooling = poolingOf(static_cast<std::uint64_t>(pooling));

  std::map<kernels::DType, std::uint64_t> bytes;
  for (const gguf::Tensor& tensor : file.tensors()) {
    info.parameters += tensor.elements();
    bytes[tensor.type] += tensor.data.size();
  }
  const auto most = std::max_element(bytes.begin(), bytes.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most != bytes.end()) info.quantization = kernels::dtypeInfo(most->first)->name;

  if (const gguf::Tensor* embedding = file.tensor("token_embd.weight")) {
    info.vocabularySize = static_cast<std::int32_t>(std::min<std::uint64_t>(embedding->rows(), INT32_MAX));
  } else if (const gguf::Value* tokens = file.find("tokenizer.ggml.tokens")) {
    info.vocabularySize = static_cast<std::int32_t>(std::min<std::uint64_t>(tokens->count(), INT32_MAX));
  }
  QUERN_ASSIGN(const auto chat, file.optionalString("tokenizer.chat_template"));
  info.hasChatTemplate = chat && !chat->empty();
  return info;
}

}  // namespace quern::engine::scheduler
