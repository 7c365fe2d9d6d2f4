#include "app/cli/tensor_families.h"

#include <array>
#include <map>
#include <string_view>
#include <utility>

namespace quern::app {
namespace {

struct Family {
  const char* name;
  TensorUse use;
};
constexpr std::array<Family, 9> kFamilies = {{{"embeddings", TensorUse::kLookedUp},
                                              {"attention q, k, v", TensorUse::kMultiplied},
                                              {"attention output", TensorUse::kMultiplied},
                                              {"expert router", TensorUse::kMultiplied},
                                              {"feed-forward gate, up", TensorUse::kMultiplied},
                                              {"feed-forward down", TensorUse::kMultiplied},
                                              {"output", TensorUse::kMultiplied},
                                              {"other matrices", TensorUse::kMultiplied},
                                              {"norms, biases", TensorUse::kVector}}};
constexpr std::size_t kEmbeddings = 0;
constexpr std::size_t kOutput = 6;
constexpr std::size_t kOthers = 7;
constexpr std::size_t kVectors = 8;

std::size_t familyOf(const engine::gguf::Tensor& tensor) {
  // The most telling part first: "ffn_gate_inp" is a router, not a gate.
  static constexpr std::array<std::pair<std::string_view, std::size_t>, 9> kParts = {{{".attn_q", 1},
                                                                                      {".attn_k", 1},
                                                                                      {".attn_v", 1},
                                                                                      {".attn_out", 2},
                                                                                      {".ffn_gate_inp", 3},
                                                                                      {".ffn_gate", 4},
                                                                                      {".ffn_up", 4},
                                                                                      {".ffn_down", 5},
                                                                                      {"output.weight", 6}}};
  const std::string_view name = tensor.name;
  if (tensor.dims.size() < 2) return kVectors;
  if (name == "token_embd.weight" || name == "position_embd.weight" || name == "token_types.weight") {
    return kEmbeddings;
  }
  for (const auto& [part, family] : kParts) {
    if (name.find(part) != std::string_view::npos) return family;
  }
  return kOthers;
}

}  // namespace

std::vector<TensorFamily> tensorFamilies(const engine::gguf::File& file) {
  std::map<std::pair<std::size_t, kernels::DType>, TensorFamily> found;
  const auto add = [&](std::size_t family, const engine::gguf::Tensor& tensor) {
    TensorFamily& entry = found[{family, tensor.type}];
    entry.name = kFamilies[family].name;
    entry.use = kFamilies[family].use;
    ++entry.tensors;
    entry.bytes += tensor.data.size();
    entry.service = engine::runtime::serviceOf(tensor.type);
  };
  for (const engine::gguf::Tensor& tensor : file.tensors()) add(familyOf(tensor), tensor);
  const engine::gguf::Tensor* embeddings = file.tensor("token_embd.weight");
  // An encoder has no output matrix, and no norm in front of one.
  const bool hasOutput = file.tensor("output_norm.weight") != nullptr;
  if (embeddings != nullptr && hasOutput && file.tensor("output.weight") == nullptr) add(kOutput, *embeddings);
  std::vector<TensorFamily> families;
  for (auto& [key, family] : found) families.push_back(std::move(family));
  return families;
}

}  // namespace quern::app
