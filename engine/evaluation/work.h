// What a token costs, counted from the model: bytes that must be read and multiply-adds; and the shortest
// time that a machine's limits allow for them. No clock here.
#pragma once

#include <cstdint>

namespace quern::engine::gguf {
class File;
}
namespace quern::engine::model {
struct Program;
}

namespace quern::engine::evaluation {

/// Multiply-adds with weights that one token takes, and those that one row of logits takes. Of experts only
/// those at work count.
struct MacCount {
  std::uint64_t perToken = 0;
  std::uint64_t perLogitRow = 0;
};
MacCount countMacs(const gguf::File& file);

/// Multiply-adds of attention for the token at `position`: queries with keys and weights with values. They
/// are reported beside the others, not held against the int8 peak, since they are no int8.
std::uint64_t attentionMacs(const model::Program& program, std::int32_t position);

/// What a measured stretch did in all.
struct Work {
  double tokens = 0;
  double bytes = 0;          ///< that had to be read: weights once a step, each sequence's cache once a step
  double macs = 0;           ///< with weights
  double attentionMacs = 0;  ///< of attention
  double stepBytes = 0;      ///< of one step: what is read again and again
};

struct Limits {
  double readBytesPerSecond = 0;
  double int8MacsPerSecond = 0;
};

enum class Bound : std::uint8_t { kRead, kMultiply };

/// The shortest time for `work`, and which of the limits sets it. A limit of 0 is unknown and allows
/// anything.
struct LeastTime {
  double seconds = 0;
  Bound bound = Bound::kRead;
};
LeastTime leastTime(const Work& work, const Limits& limits);

}  // namespace quern::engine::evaluation
