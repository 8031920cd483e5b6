#include "common/program/ending_signals.h"

#include "common/observe/log.h"

namespace shima {

sigset_t ending_signals() {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  return ends;
}

void block_ending_signals() {
  const sigset_t ends = ending_signals();
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

void wait_for_ending_signal() {
  const sigset_t ends = ending_signals();
  int number = 0;
  sigwait(&ends, &number);
  log(LogLevel::kInfo, "server", "stopping");
}

}  // namespace shima
