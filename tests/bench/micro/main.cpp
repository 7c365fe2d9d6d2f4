// kernel_bench: micro-benchmarks of every kernel, with the options of Google Benchmark
// (--benchmark_filter=avx512vnni/matmul/Q4_0, --benchmark_repetitions=5, --benchmark_format=json).

#include "engine/runtime/backend.h"
#include "engine/runtime/machine.h"
#include "tests/bench/micro/micro.h"

namespace quern::bench {

const std::vector<const kernels::cpu::Kernels*>& timedTables() {
  static const std::vector<const kernels::cpu::Kernels*> kTables = [] {
    std::vector<const kernels::cpu::Kernels*> tables;
    for (const char* name : {"avx2", "avxvnni", "avx512vnni"}) {
      if (const auto* table = kernels::cpu::selectKernels(name)) tables.push_back(table);
    }
    if (tables.empty()) tables.push_back(&kernels::cpu::genericKernels());
    return tables;
  }();
  return kTables;
}

engine::runtime::AlignedBuffer aligned(std::size_t bytes) {
  auto buffer = engine::runtime::AlignedBuffer::allocate(bytes);
  QUERN_CHECK(buffer.has_value(), "no memory for a benchmark");
  return std::move(*buffer);
}

std::vector<float> randomFloats(std::size_t count) {
  std::mt19937 random(11);
  std::vector<float> floats(count);
  for (float& each : floats) each = static_cast<float>(static_cast<std::int32_t>(random())) * 0x1p-31F;
  return floats;
}

void Timed::countMacs(const kernels::cpu::Kernels& table, double each) const {
  state_.counters["GMAC/s"] = each * perSecond_ / 1e9;
  state_.counters["%peak"] = 100 * each * perSecond_ / engine::runtime::measuredInt8Peak(1, table.name);
}

void Timed::countBytes(double each) const {
  state_.counters["GB/s"] = each * perSecond_ / 1e9;
  state_.counters["%read"] =
      100 * each * perSecond_ / engine::runtime::measuredReadBandwidth(1, static_cast<std::uint64_t>(each));
}

void Timed::countElements(double elements, double bytesEach) const {
  state_.counters["GB/s"] = elements * bytesEach * perSecond_ / 1e9;
  state_.counters["ns/elem"] = 1e9 / (elements * perSecond_);
}

}  // namespace quern::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  // Limits once and for all: the best of several, since whatever disturbs them makes every share too large.
  constexpr int kTries = 3;
  const std::uint64_t memory = 0;
  for (int i = 0; i < kTries; ++i) {
    quern::engine::runtime::remeasureReadBandwidth(1, {&memory, 1});
    for (const auto* table : quern::bench::timedTables()) {
      quern::engine::runtime::remeasureInt8Peak(1, table->name);
    }
  }
  for (const auto* table : quern::bench::timedTables()) {
    quern::bench::registerMatmul(*table);
    quern::bench::registerAttention(*table);
    quern::bench::registerVectors(*table);
    benchmark::AddCustomContext(
        std::string(table->name) + " int8 peak, one thread, G MAC/s",
        std::to_string(quern::engine::runtime::measuredInt8Peak(1, table->name) / 1e9));
  }
  benchmark::AddCustomContext("read from memory, one thread, GB/s",
                              std::to_string(quern::engine::runtime::measuredReadBandwidth(1) / 1e9));
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
