// kernel_bench: micro-benchmarks of every kernel, with the options of Google Benchmark
// (--benchmark_filter=avx512vnni/matmul/Q4_0, --benchmark_repetitions=5, --benchmark_format=json).

#include "engine/runtime/backend.h"
#include "engine/runtime/machine.h"
#include "tests/bench/micro/micro.h"

namespace quern::bench {

const std::vector<const kernels::cpu::Kernels*>& timedTables() {
  static const std::vector<const kernels::cpu::Kernels*> kTables = [] {
    std::vector<const kernels::cpu::Kernels*> tables;
    for (const char* name : {"avx2", "avx512vnni"}) {
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

void countMacs(benchmark::State& state, const kernels::cpu::Kernels& table, double macsEach) {
  const double peak = engine::runtime::measuredInt8Peak(1, table.name);
  const double all = macsEach * static_cast<double>(state.iterations());
  state.counters["GMAC/s"] = benchmark::Counter(all / 1e9, benchmark::Counter::kIsRate);
  state.counters["of_peak"] = benchmark::Counter(all / peak, benchmark::Counter::kIsRate);
}

void countBytes(benchmark::State& state, double bytesEach, std::size_t workingSet) {
  const double all = bytesEach * static_cast<double>(state.iterations());
  state.counters["GB/s"] = benchmark::Counter(all / 1e9, benchmark::Counter::kIsRate);
  state.counters["of_read"] = benchmark::Counter(all / engine::runtime::measuredReadBandwidth(1, workingSet),
                                                 benchmark::Counter::kIsRate);
}

}  // namespace quern::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
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
