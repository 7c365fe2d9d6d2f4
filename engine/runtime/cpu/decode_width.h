// How many of a pool's workers decode: reading weights stops getting faster long before a large machine's
// cores are all at it, and every worker more than that is one more to wait for. (Prompts keep all of them
// busy.)
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>

#include "kernels/cpu/kernels.h"

namespace quern::engine::runtime {

class ThreadPool;

/// The fewest workers, of at most `most`, that come near the best speed: more are tried until speed stops
/// growing or `budget` is used up. speed(n): bytes/s that n workers reach. Up to four are always all taken.
std::int32_t fewestFastWorkers(std::int32_t most, const std::function<double(std::int32_t)>& speed,
                               std::chrono::steady_clock::duration budget);

/// The same for multiplying packed matrices with one token. Takes 40 ms at most, once for a process, number
/// of threads and table of kernels; nothing at all with up to four threads. The caller's thread is worker 0.
std::int32_t decodeWorkers(ThreadPool& pool, const kernels::cpu::Kernels& kernels,
                           std::span<const kernels::cpu::PackedMatrix> matrices);

}  // namespace quern::engine::runtime
