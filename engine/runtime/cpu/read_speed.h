// How fast threads read memory that is there already.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace quern::engine::runtime {

class ThreadPool;

/// Bytes/s: the best of several passes of all workers over the same bytes (at most 512 MiB of them, 2 GiB in
/// all), since anything that disturbs a pass only makes it slower: the memory's bandwidth, or a cache's for
/// bytes that fit into it.
double bestReadSpeed(ThreadPool& pool, std::span<const std::byte> bytes);

}  // namespace quern::engine::runtime
