// How libfuse's threads read and write /dev/fuse.
//
// At the end of a session libfuse cancels its threads, wherever in their reading they are
// (pthread_cancel(3); 3.14, fuse_session_loop_mt). A read that fails with anything but ENODEV is told by
// perror(3) there, so a thread can be ended while it holds the lock of stderr, and whoever writes to stderr
// afterwards waits for ever: another such thread, which the unmount waits for, or exit(3). A connection that
// is aborted while a thread takes a request from it does just that, with ECONNABORTED. Here a connection that
// has ended is ENODEV to libfuse, whatever ended it.
#pragma once

#include <pthread.h>

#include "accessserver/fuse/fuse_library.h"
#include "common/status/status.h"

namespace shima {

// While it lives the calling thread is not cancelled.
class NoCancellation {
 public:
  NoCancellation() { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
  ~NoCancellation() { pthread_setcancelstate(before_, nullptr); }
  NoCancellation(const NoCancellation&) = delete;
  NoCancellation& operator=(const NoCancellation&) = delete;

 private:
  int before_ = PTHREAD_CANCEL_ENABLE;
};

// For a session that is mounted, before its loop begins; its userdata is a FuseServer, whose `initialized` is
// called.
Status use_device_io(fuse_session& session);

// Another descriptor of the session's connection, which must be closed for the connection to end with its
// server; -1: none left.
int connection_of(fuse_session& session);
// Whether the kernel has done with the connection: the file system is unmounted everywhere, or was aborted.
// Unlike the number of its device, which the kernel gives to the next mount, the descriptor stands for this
// one only.
bool connection_ended(int connection);

// What libfuse is told of an errno of a read of the device: the same if it goes on or ends quietly, else
// ENODEV. PURE.
int errno_for_libfuse(int error);

}  // namespace shima
