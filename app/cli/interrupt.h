// Ctrl-C as a question that long work asks, instead of a death.
#pragma once

namespace quern::app {

/// While one lives, SIGINT only sets a flag (and ends blocking system calls with EINTR). One at a time.
class InterruptWatch {
 public:
  InterruptWatch();
  ~InterruptWatch();
  InterruptWatch(const InterruptWatch&) = delete;
  InterruptWatch& operator=(const InterruptWatch&) = delete;
};

/// True once SIGINT came since the last clearInterrupt().
bool interrupted();
void clearInterrupt();

}  // namespace quern::app
