// LoRA adapters made of random numbers, and what a model's file becomes when they are merged into it.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/gguf/file.h"
#include "engine/gguf/writer.h"
#include "engine/model/program.h"
#include "kernels/formats/half.h"

namespace quern::test {

namespace gguf = engine::gguf;
namespace model = engine::model;

/// One matrix's factors: a [rank, cols], b [rows, rank].
struct Factors {
  std::uint64_t rank = 0, rows = 0, cols = 0;
  std::vector<float> a, b;
};

struct CraftedAdapter {
  std::string architecture;
  std::string type = "adapter";
  std::string kind = "lora";
  std::optional<float> alpha = 6.0F;
  std::map<std::string, Factors> matrices;
  bool isHalf = false;  ///< written as F16, the numbers rounded to it

  /// The numbers as F16 has them.
  void round() {
    for (auto& [name, one] : matrices) {
      for (std::vector<float>* values : {&one.a, &one.b}) {
        for (float& value : *values) value = kernels::halfToFloat(kernels::floatToHalf(value));
      }
    }
  }
  double factor(const Factors& one) const {
    return alpha.value_or(0) == 0 ? 1.0 : static_cast<double>(*alpha) / static_cast<double>(one.rank);
  }

  void write(const std::filesystem::path& path) const {
    gguf::Writer writer;
    writer.set("general.architecture", architecture);
    writer.set("general.type", type);
    writer.set("general.name", path.stem().string());
    writer.set("adapter.type", kind);
    if (alpha) writer.set("adapter.lora.alpha", *alpha);
    std::list<std::vector<std::uint16_t>> halves;
    const auto add = [&](const std::string& name, std::uint64_t cols, std::uint64_t rows,
                         const std::vector<float>& values) {
      const std::uint64_t dims[] = {cols, rows};
      if (values.empty()) return;
      if (!isHalf) {
        return writer.addTensor(name, kernels::DType::kF32, dims, std::as_bytes(std::span(values)));
      }
      std::vector<std::uint16_t>& half = halves.emplace_back();
      for (const float value : values) half.push_back(kernels::floatToHalf(value));
      writer.addTensor(name, kernels::DType::kF16, dims, std::as_bytes(std::span(half)));
    };
    for (const auto& [name, one] : matrices) {
      add(name + ".lora_a", one.cols, one.rank, one.a);
      add(name + ".lora_b", one.rank, one.rows, one.b);
    }
    const auto written = writer.write(path);
    ASSERT_TRUE(written) << written.error().describe();
  }
};

inline std::vector<float> noise(std::uint64_t count, double size, std::uint32_t& seed) {
  std::vector<float> values(count);
  for (float& value : values) {
    seed = seed * 1664525U + 1013904223U;
    value = static_cast<float>((static_cast<double>(seed >> 8) / (1 << 23) - 1.0) * size);
  }
  return values;
}

/// Changes every matrix that a projection of the program multiplies with; a head that is the embeddings, too,
/// as "output.weight".
inline CraftedAdapter adapterOfAll(const gguf::File& file, const model::Program& program, std::uint64_t rank,
                                   std::uint32_t seed, double size = 0.3) {
  CraftedAdapter adapter;
  adapter.architecture = std::string(*file.stringAt("general.architecture"));
  for (const auto* operations : {&program.body, &program.head}) {
    for (const model::Operation& operation : *operations) {
      const auto* project = std::get_if<model::Project>(&operation);
      for (std::size_t i = 0; project != nullptr && i < project->outputs.size(); ++i) {
        const std::string& tensor = project->outputs[i].weights.tensor;
        Factors one;
        one.rank = rank;
        one.rows = file.tensor(tensor)->rows();
        one.cols = file.tensor(tensor)->rowElements();
        one.a = noise(rank * one.cols, size, seed);
        one.b = noise(rank * one.rows, size, seed);
        adapter.matrices.emplace(tensor == "token_embd.weight" ? "output.weight" : tensor, std::move(one));
      }
    }
  }
  return adapter;
}

struct Weighted {
  const CraftedAdapter* adapter;
  double scale;
};

/// Writes the model of `file` (float32) with W + scale · factor · B · A in place of W.
inline void writeMerged(const gguf::File& file, const std::vector<Weighted>& adapters,
                        const std::filesystem::path& path) {
  gguf::Writer writer;
  for (const gguf::Entry& entry : file.metadata()) writer.copy(entry);
  std::vector<std::vector<float>> kept;
  kept.reserve(file.tensors().size() + 1);
  const auto add = [&](const std::string& name, const gguf::Tensor& tensor) {
    ASSERT_EQ(tensor.type, kernels::DType::kF32) << name;
    const auto* from = reinterpret_cast<const float*>(tensor.data.data());
    std::vector<float>& values = kept.emplace_back(from, from + tensor.elements());
    for (const Weighted& one : adapters) {
      const auto found = one.adapter->matrices.find(name);
      if (found == one.adapter->matrices.end()) continue;
      const Factors& factors = found->second;
      for (std::uint64_t row = 0; row < factors.rows; ++row) {
        for (std::uint64_t col = 0; col < factors.cols; ++col) {
          double sum = 0;
          for (std::uint64_t r = 0; r < factors.rank; ++r) {
            sum += static_cast<double>(factors.b[row * factors.rank + r]) * factors.a[r * factors.cols + col];
          }
          float& value = values[row * factors.cols + col];
          value = static_cast<float>(value + one.scale * one.adapter->factor(factors) * sum);
        }
      }
    }
    writer.addTensor(name, kernels::DType::kF32, tensor.dims, std::as_bytes(std::span(values)));
  };
  for (const gguf::Tensor& tensor : file.tensors()) {
    if (tensor.type != kernels::DType::kF32) {
      writer.addTensor(tensor.name, tensor.type, tensor.dims, tensor.data);
      continue;
    }
    add(std::string(tensor.name), tensor);
  }
  if (file.tensor("output.weight") == nullptr &&
      adapters.front().adapter->matrices.contains("output.weight")) {
    add("output.weight", *file.tensor("token_embd.weight"));
  }
  const auto written = writer.write(path);
  ASSERT_TRUE(written) << written.error().describe();
}

}  // namespace quern::test
