#include "accessserver/fuse/device_io.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "accessserver/fuse/fuse_server.h"
#include "common/observe/log.h"

namespace shima {

namespace {

// System calls below are where a thread is cancelled: nothing may be noexcept on the way.
ssize_t checked(ssize_t result) {
  if (result >= 0) return result;
  const NoCancellation guard;
  const int error = errno, told = errno_for_libfuse(error);
  if (told != error && error != ECONNABORTED) {
    log(LogLevel::kError, "fuse",
        std::string("the mount ends: /dev/fuse cannot be read: ") + strerror(error));
  }
  errno = told;
  return result;
}

ssize_t read_device(int fd, void* bytes, size_t count, void*) { return checked(::read(fd, bytes, count)); }

// After a splice libfuse knows no ENOENT, and goes on with EINTR only.
ssize_t splice_from_device(int from, off_t* from_offset, int to, off_t* to_offset, size_t count,
                           unsigned int flags, void*) {
  const ssize_t result = checked(::splice(from, from_offset, to, to_offset, count, flags));
  if (result < 0 && errno == ENOENT) errno = EINTR;
  return result;
}

// The first answer is that to INIT, which the kernel has taken in when writev() returns.
ssize_t write_device(int fd, iovec* parts, int count, void* userdata) {
  const ssize_t result = ::writev(fd, parts, count);
  auto& server = *static_cast<FuseServer*>(userdata);
  if (result >= 0 && !server.has_answered.load(std::memory_order_relaxed) &&
      !server.has_answered.exchange(true)) {
    server.initialized();
  }
  return result;
}

}  // namespace

int errno_for_libfuse(int error) {
  switch (error) {
    case EINTR:
    case EAGAIN:
    case ENOENT:  // the request was interrupted: read on; see splice_from_device()
    case ENODEV:
      return error;
    default:
      return ENODEV;
  }
}

Status use_device_io(fuse_session& session) {
  fuse_custom_io io{};
  io.writev = write_device;
  io.read = read_device;
  io.splice_receive = splice_from_device;  // no splice_send: answers are not spliced
  if (const int result = fuse_session_custom_io(&session, &io, fuse_session_fd(&session)); result != 0) {
    return {Code::kIo,
            std::string("libfuse does not take another way to read its device: ") + strerror(-result)};
  }
  return {};
}

int connection_of(fuse_session& session) { return fcntl(fuse_session_fd(&session), F_DUPFD_CLOEXEC, 0); }

bool connection_ended(int connection) {
  pollfd asked{.fd = connection, .events = 0, .revents = 0};
  return poll(&asked, 1, 0) == 1 && (asked.revents & POLLERR) != 0;
}

}  // namespace shima
