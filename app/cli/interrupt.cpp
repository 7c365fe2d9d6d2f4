#include "app/cli/interrupt.h"

#include <csignal>

namespace quern::app {
namespace {

volatile std::sig_atomic_t gInterrupted = 0;
struct sigaction gBefore;

extern "C" void onInterrupt(int) { gInterrupted = 1; }

}  // namespace

InterruptWatch::InterruptWatch() {
  clearInterrupt();
  struct sigaction action {};
  action.sa_handler = onInterrupt;
  sigemptyset(&action.sa_mask);
  // Without SA_RESTART, so that waiting for a key ends.
  sigaction(SIGINT, &action, &gBefore);
}

InterruptWatch::~InterruptWatch() { sigaction(SIGINT, &gBefore, nullptr); }

bool interrupted() { return gInterrupted != 0; }
void clearInterrupt() { gInterrupted = 0; }

}  // namespace quern::app
