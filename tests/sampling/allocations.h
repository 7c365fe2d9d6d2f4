// Counts what this test program takes from the heap.
#pragma once

#include <cstddef>

namespace quern::engine::sampling {

std::size_t allocationCount();

}  // namespace quern::engine::sampling
