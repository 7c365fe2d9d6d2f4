#include "engine/evaluation/work.h"

#include <algorithm>
#include <string>

#include "engine/gguf/file.h"
#include "engine/model/program.h"

namespace quern::engine::evaluation {
namespace {

/// A number of the model's own architecture, 0 where it says nothing (sensible).
std::uint64_t numberOf(const gguf::File& file, const char* suffix) {
  const gguf::Value* architecture = file.find("general.architecture");
  const auto name = architecture == nullptr ? std::nullopt : architecture->asString();
  if (!name) return 0;
  const auto number = file.optionalUnsigned(std::string(*name) + suffix);
  return number && *number ? **number : 0;
}

}  // namespace

MacCount countMacs(const gguf::File& file) {
  const std::uint64_t experts = numberOf(file, ".expert_count");
  const std::uint64_t used = std::min(experts, numberOf(file, ".expert_used_count"));
  MacCount count;
  for (const gguf::Tensor& tensor : file.tensors()) {
    if (tensor.dims.size() < 2 || !tensor.name.starts_with("blk.")) continue;
    const bool mixture = experts > 0 && tensor.name.find("_exps.") != std::string::npos;
    count.perToken += mixture ? tensor.elements() / experts * used : tensor.elements();
  }
  // Tied embeddings are the output matrix as well.
  const gguf::Tensor* output = file.tensor("output.weight");
  if (output == nullptr) output = file.tensor("token_embd.weight");
  if (output != nullptr) count.perLogitRow = output->elements();
  return count;
}

std::uint64_t attentionMacs(const model::Program& program, std::int32_t position) {
  std::uint64_t sum = 0;
  for (const model::Operation& operation : program.body) {
    if (const auto* attend = std::get_if<model::Attend>(&operation)) {
      const std::int32_t seen = attend->window > 0 ? std::min(position + 1, attend->window) : position + 1;
      sum += static_cast<std::uint64_t>(program.heads) * static_cast<std::uint64_t>(seen) *
             static_cast<std::uint64_t>(program.headDim + program.valueDim);
    }
  }
  return sum;
}

LeastTime leastTime(const Work& work, const Limits& limits) {
  const double reading = limits.readBytesPerSecond > 0 ? work.bytes / limits.readBytesPerSecond : 0;
  const double multiplying = limits.int8MacsPerSecond > 0 ? work.macs / limits.int8MacsPerSecond : 0;
  if (multiplying > reading) return {multiplying, Bound::kMultiply};
  return {reading, Bound::kRead};
}

}  // namespace quern::engine::evaluation
