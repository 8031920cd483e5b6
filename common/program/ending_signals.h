// The signals that end a server in order: SIGTERM and SIGINT.
//
// They are blocked in all threads, and one thread waits for them: no handler runs, so nothing of the server
// has to be safe in one. Threads: block_ending_signals() before any other thread starts, since threads
// inherit what is blocked; the others from any thread.
#pragma once

#include <signal.h>

namespace shima {

sigset_t ending_signals();
// Also ignores SIGPIPE: a peer that is gone is an error of write(2).
void block_ending_signals();
// Returns when one has come, and logs that the server stops.
void wait_for_ending_signal();

}  // namespace shima
