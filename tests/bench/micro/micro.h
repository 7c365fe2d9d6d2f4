// What the micro-benchmarks share: which tables of kernels to time, random data, and the machine's limits
// that every counter stands beside. One thread: kernels own none.
#pragma once

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "engine/runtime/cpu/aligned_buffer.h"
#include "kernels/cpu/kernels.h"

namespace quern::bench {

/// The tables that this machine runs, plain C++ left out: nobody waits for it.
const std::vector<const kernels::cpu::Kernels*>& timedTables();

engine::runtime::AlignedBuffer aligned(std::size_t bytes);
/// `count` floats, even over [−1, 1).
std::vector<float> randomFloats(std::size_t count);

/// Runs `call` for as long as `state` wants and knows how long that took, so that counters can be plain
/// numbers.
class Timed {
 public:
  template <class Call>
  Timed(benchmark::State& state, Call&& call) : state_(state) {
    const auto began = std::chrono::steady_clock::now();
    for (auto iteration : state) {
      call();
      benchmark::ClobberMemory();
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    perSecond_ = static_cast<double>(state.iterations()) / took.count();
  }

  /// "GMAC/s" of `each` int8 multiply-adds a call, and "%peak": of the table's own peak on one thread.
  void countMacs(const kernels::cpu::Kernels& table, double each) const;
  /// "GB/s" of `each` bytes a call, and "%read": of what one thread reads of so many bytes again and again.
  void countBytes(double each) const;
  /// "GB/s" of rows that stay in the first cache, and "ns/elem".
  void countElements(double elements, double bytesEach) const;

 private:
  benchmark::State& state_;
  double perSecond_ = 0;
};

void registerMatmul(const kernels::cpu::Kernels& table);
void registerAttention(const kernels::cpu::Kernels& table);
void registerVectors(const kernels::cpu::Kernels& table);

}  // namespace quern::bench
