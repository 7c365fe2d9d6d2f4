// Loops whose index is a constant expression in every turn.
//
// g++ keeps an array of vectors in registers only if it sees every index as a constant before it splits
// aggregates; its own unrolling comes later. Sums of matrix products live or die by that: with plain loops
// each multiply-add is followed by a copy and a spill.
#pragma once

#include <utility>

namespace quern::kernels::cpu {

/// Calls body.operator()<0>() … body.operator()<count − 1>(). Each file that includes this gets its own copy
/// through the body's type, which is a lambda of that file.
template <int count, class Body>
[[gnu::always_inline]] inline void unrolled(Body&& body) {
  [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
    (body.template operator()<i>(), ...);
  }
  (std::make_integer_sequence<int, count>{});
}

}  // namespace quern::kernels::cpu
