// What the micro-benchmarks share: which tables of kernels to time, random data, and the machine's limits
// that every counter stands beside. One thread: kernels own none.
#pragma once

#include <benchmark/benchmark.h>

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

/// "GMAC/s" of `macsEach` int8 multiply-adds an iteration, and its share of the table's peak on one thread.
void countMacs(benchmark::State& state, const kernels::cpu::Kernels& table, double macsEach);
/// "GB/s" of `bytesEach` an iteration, and its share of what one thread reads of `workingSet` bytes again and
/// again.
void countBytes(benchmark::State& state, double bytesEach, std::size_t workingSet);

void registerMatmul(const kernels::cpu::Kernels& table);
void registerAttention(const kernels::cpu::Kernels& table);
void registerVectors(const kernels::cpu::Kernels& table);

}  // namespace quern::bench
