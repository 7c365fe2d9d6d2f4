// Matrix times activations, and the packing in front of it: every type, one to 512 tokens.

#include <memory>
#include <string>

#include "tests/bench/micro/micro.h"
#include "tests/bench/synthetic/blocks.h"

namespace quern::bench {
namespace {

using kernels::DType;
using kernels::cpu::Kernels;

/// A feed-forward matrix of a 1B model: beyond any core's own cache, so that one token streams it.
constexpr std::int64_t kRows = 8192;
constexpr std::int64_t kCols = 2048;

std::vector<std::byte> randomMatrix(DType type) {
  const kernels::DTypeInfo& info = *kernels::dtypeInfo(type);
  std::vector<std::byte> bytes(static_cast<std::size_t>(kRows * kCols) / info.blockElements *
                               info.blockBytes);
  std::mt19937_64 random(5);
  fillBlocks(type, 0.02F, random, bytes);
  return bytes;
}

/// Panels of activations hold tokens in groups.
std::int64_t wholeGroups(std::int64_t tokens) {
  return (tokens + kernels::cpu::kPanelTokens - 1) / kernels::cpu::kPanelTokens * kernels::cpu::kPanelTokens;
}

/// A packed matrix and room for the activations and results of `tokens` tokens.
class Product {
 public:
  Product(const Kernels& table, DType type, std::int64_t tokens)
      : table_(table),
        tokens_(tokens),
        packed_(aligned(table.packedBytes(type, kRows, kCols))),
        values_(randomFloats(static_cast<std::size_t>(tokens * kCols))),
        quantized_(aligned(static_cast<std::size_t>(wholeGroups(tokens) * kCols))),
        scales_(static_cast<std::size_t>(wholeGroups(tokens) * kCols / kernels::cpu::kActivationBlock)),
        sums_(static_cast<std::size_t>(tokens * kCols / kernels::cpu::kSumBlock)),
        panelSums_(static_cast<std::size_t>(wholeGroups(tokens) * kernels::cpu::panelBlocks(kCols))),
        output_(static_cast<std::size_t>(tokens * kRows)) {
    const std::vector<std::byte> source = randomMatrix(type);
    table.packRows(type, source.data(), kRows, kCols, 0, kRows, packed_.as<std::byte>());
    matrix_ = {type, kRows, kCols, packed_.as<std::byte>(), table.packedBytes(type, kRows, kCols)};
  }

  void matmul() {
    if (table_.readsQuantized(matrix_.type)) {
      for (std::int64_t t = 0; t < tokens_; ++t) {
        table_.quantizeRow(&values_[static_cast<std::size_t>(t * kCols)], kCols,
                           quantized_.as<std::int8_t>() + t * kCols,
                           &scales_[static_cast<std::size_t>(t * kCols / kernels::cpu::kActivationBlock)],
                           &sums_[static_cast<std::size_t>(t * kCols / kernels::cpu::kSumBlock)]);
      }
    }
    const kernels::cpu::Activations x = {values_.data(), kCols, quantized_.as<std::int8_t>(), scales_.data(),
                                         sums_.data()};
    table_.matmul(matrix_, 0, kRows, x, tokens_, output_.data(), kRows, false);
  }
  void panelMatmul() {
    const kernels::cpu::PanelActivations x = {quantized_.as<std::int8_t>(), scales_.data(),
                                              panelSums_.data()};
    for (std::int64_t t = 0; t < tokens_; ++t) {
      table_.quantizePanelRow(&values_[static_cast<std::size_t>(t * kCols)], kCols, x, t);
    }
    table_.panelMatmul(matrix_, 0, kRows, x, 0, tokens_, output_.data(), kRows, false);
  }

  std::size_t sizeBytes() const { return matrix_.sizeBytes; }
  double macs() const { return static_cast<double>(kRows * kCols * tokens_); }

 private:
  const Kernels& table_;
  std::int64_t tokens_;
  engine::runtime::AlignedBuffer packed_;
  std::vector<float> values_;
  engine::runtime::AlignedBuffer quantized_;
  std::vector<float> scales_;
  std::vector<float> sums_;
  std::vector<std::int32_t> panelSums_;
  std::vector<float> output_;
  kernels::cpu::PackedMatrix matrix_;
};

void timeMatmul(benchmark::State& state, const Kernels* table, DType type, bool panel) {
  Product product(*table, type, state.range(0));
  const Timed timed(state, [&] { panel ? product.panelMatmul() : product.matmul(); });
  timed.countMacs(*table, product.macs());
  timed.countBytes(static_cast<double>(product.sizeBytes()));
}

void timePacking(benchmark::State& state, const Kernels* table, DType type) {
  const std::vector<std::byte> source = randomMatrix(type);
  auto target = aligned(table->packedBytes(type, kRows, kCols));
  const Timed timed(
      state, [&] { table->packRows(type, source.data(), kRows, kCols, 0, kRows, target.as<std::byte>()); });
  timed.countBytes(static_cast<double>(source.size()));
}

}  // namespace

void registerMatmul(const Kernels& table) {
  for (std::uint32_t id = 0; id < 64; ++id) {
    const kernels::DTypeInfo* info = kernels::dtypeInfo(id);
    if (info == nullptr || !canFill(info->type) || !table.supports(info->type)) continue;
    const std::string type(info->name);
    const std::string prefix = std::string(table.name) + "/";
    auto* product = benchmark::RegisterBenchmark((prefix + "matmul/" + type).c_str(), timeMatmul, &table,
                                                 info->type, false);
    product->ArgName("tokens")->Arg(1)->Arg(2)->Arg(4)->Arg(8)->Arg(16)->Arg(32)->Arg(512)->Unit(
        benchmark::kMicrosecond);
    if (table.panelMatmul != nullptr && table.readsQuantized(info->type)) {
      auto* panel = benchmark::RegisterBenchmark((prefix + "panelMatmul/" + type).c_str(), timeMatmul, &table,
                                                 info->type, true);
      panel->ArgName("tokens")->Arg(1)->Arg(8)->Arg(32)->Arg(128)->Arg(512)->Unit(benchmark::kMicrosecond);
    }
    benchmark::RegisterBenchmark((prefix + "packRows/" + type).c_str(), timePacking, &table, info->type)
        ->Unit(benchmark::kMicrosecond);
  }
}

}  // namespace quern::bench
