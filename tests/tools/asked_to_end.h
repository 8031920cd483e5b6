// SIGTERM asks a writer to end in good order: what is under way is finished, and its sums are printed. The
// signal stays pending, so it interrupts no call.
#pragma once

#include <csignal>

namespace shima {

// Before the program's first thread begins.
inline void end_when_asked() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

inline bool asked_to_end() {
  sigset_t pending;
  sigpending(&pending);
  return sigismember(&pending, SIGTERM) == 1;
}

}  // namespace shima
