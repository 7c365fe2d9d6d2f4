// Kernels over one row: norms, activations, quantization, rotation, cache rows. Bytes are those read and
// written.

#include <functional>
#include <string>

#include "tests/bench/micro/micro.h"

namespace quern::bench {
namespace {

using kernels::cpu::Kernels;

/// The buffers that any of them needs for rows of `n`.
struct Rows {
  explicit Rows(std::int64_t n)
      : x(randomFloats(static_cast<std::size_t>(n))),
        y(x),
        out(x.size()),
        quantized(aligned(x.size() * kernels::cpu::kPanelTokens)),
        scales(x.size()),
        sums(x.size()),
        panelSums(x.size()) {}
  std::vector<float> x;
  std::vector<float> y;
  std::vector<float> out;
  engine::runtime::AlignedBuffer quantized;
  std::vector<float> scales;
  std::vector<float> sums;
  std::vector<std::int32_t> panelSums;
};

using Call = void (*)(const Kernels&, Rows&, std::int64_t n);

void timeRow(benchmark::State& state, const Kernels* table, Call call, double bytesPerElement) {
  const std::int64_t n = state.range(0);
  Rows rows(n);
  const Timed timed(state, [&] { call(*table, rows, n); });
  timed.countElements(static_cast<double>(n), bytesPerElement);
}

}  // namespace

void registerVectors(const Kernels& table) {
  struct Entry {
    const char* name;
    Call call;
    double bytesPerElement;
  };
  std::vector<Entry> entries = {
      {"quantizeRow",
       [](const Kernels& k, Rows& r, std::int64_t n) {
         k.quantizeRow(r.x.data(), n, r.quantized.as<std::int8_t>(), r.scales.data(), r.sums.data());
       },
       5},
      {"rmsNorm",
       [](const Kernels& k, Rows& r, std::int64_t n) {
         k.rmsNorm(r.x.data(), r.y.data(), 1e-5F, n, r.out.data());
       },
       12},
      {"siluMul",
       [](const Kernels& k, Rows& r, std::int64_t n) { k.siluMul(r.x.data(), r.y.data(), r.out.data(), n); },
       12},
      {"geluMul",
       [](const Kernels& k, Rows& r, std::int64_t n) { k.geluMul(r.x.data(), r.y.data(), r.out.data(), n); },
       12},
      {"softcap", [](const Kernels& k, Rows& r, std::int64_t n) { k.softcap(r.x.data(), 30.0F, n); }, 8},
      {"add", [](const Kernels& k, Rows& r, std::int64_t n) { k.add(r.out.data(), r.y.data(), n); }, 12},
      {"rope", [](const Kernels& k, Rows& r, std::int64_t n) { k.rope(r.out.data(), r.y.data(), n, true); },
       12}};
  if (table.quantizePanelRow != nullptr) {
    entries.push_back({"quantizePanelRow",
                       [](const Kernels& k, Rows& r, std::int64_t n) {
                         k.quantizePanelRow(
                             r.x.data(), n,
                             {r.quantized.as<std::int8_t>(), r.scales.data(), r.panelSums.data()}, 0);
                       },
                       5});
  }
  for (const Entry& entry : entries) {
    benchmark::RegisterBenchmark((std::string(table.name) + "/" + entry.name).c_str(), timeRow, &table,
                                 entry.call, entry.bytesPerElement)
        ->ArgName("n")
        ->Arg(2048)
        ->Arg(8192);
  }
}

}  // namespace quern::bench
