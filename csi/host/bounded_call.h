// Calls into mounted file systems that may never return: each runs in a child process with a deadline.
//
// A process, not a thread: a system call on a dead NFS or FUSE server sleeps where only SIGKILL, or not even
// that, reaches it. A thread in such a sleep would keep this whole process from ending, and its restart from
// beginning; a child does not. One that does not die at SIGKILL is abandoned and counted, and reaped when its
// call returns at last; until then the same call (the same `what`) is answered at once with
// kDeadlineExceeded, so that who asks a dead mount every few seconds leaves one process behind. The child has
// no descriptors but the pipe of its answer and `keep`, so that it holds neither our sockets nor our locks.
// Errors: the call's errno; kDeadlineExceeded. Threads: any. `work` makes system calls and small allocations
// only (glibc keeps its allocator usable after fork); it takes no lock of ours and writes no log.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "common/status/status.h"

namespace shima {

inline constexpr size_t kMaxBoundedAnswerBytes = 1024;
inline constexpr uint32_t kMaxAbandonedCalls = 64;  // more are refused: kUnavailable

struct BoundedResult {
  bool in_time = true;
  int error = 0;  // errno of the call; 0: it went well
};

// The general form: `work` fills `answer` (of `size` bytes) and returns an errno. `what`: "unmount /x".
Result<BoundedResult> run_bounded_bytes(const std::string& what, uint32_t deadline_ms, void* answer,
                                        size_t size, const std::function<int(void*)>& work,
                                        const std::vector<int>& keep);

// Children that did not die in time and still sleep.
uint32_t abandoned_calls();

// Runs `work(answer)` in a child. kIo (or what status_of_errno says) with `what` and the errno's text;
// kDeadlineExceeded: "WHAT: no answer within ...".
Status run_bounded(const std::string& what, uint32_t deadline_ms, const std::function<int()>& work,
                   const std::vector<int>& keep = {});

template <typename T>
Result<T> run_bounded_for(const std::string& what, uint32_t deadline_ms, const std::function<int(T&)>& work);

// "cannot WHAT: TEXT", with the code that a caller can react to: ENOENT kNotFound, EACCES and EPERM
// kPermissionDenied, ENOSPC and EDQUOT kNoSpace, ENOTCONN, ESTALE, ECONNABORTED and ETIMEDOUT kUnavailable,
// EBUSY kFailedPrecondition, others kIo.
Status status_of_errno(const std::string& what, int error);

Status bounded_status(const std::string& what, uint32_t deadline_ms, const Result<BoundedResult>& result);

template <typename T>
Result<T> run_bounded_for(const std::string& what, uint32_t deadline_ms, const std::function<int(T&)>& work) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= kMaxBoundedAnswerBytes);
  T answer{};
  const auto result = run_bounded_bytes(what, deadline_ms, &answer, sizeof(T),
                                        [&](void* out) { return work(*static_cast<T*>(out)); }, {});
  SHIMA_RETURN_IF_ERROR(bounded_status(what, deadline_ms, result));
  return answer;
}

}  // namespace shima
