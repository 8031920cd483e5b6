#include "csi/host/bounded_call.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <mutex>

#include "common/observe/log.h"
#include "common/runtime/clock.h"
#include "csi/host/absolute_path.h"

namespace shima {
namespace {

constexpr uint32_t kDeathMs = 200;  // how long a killed child is waited for
constexpr uint32_t kSliceMs = 200;  // of a wait
constexpr unsigned kFirstFd = 3;    // behind standard input, output and error

std::mutex abandoned_mutex;
std::map<pid_t, std::string> abandoned;  // with what they are at

void reap_abandoned() {
  std::lock_guard lock(abandoned_mutex);
  std::erase_if(abandoned, [](const auto& child) { return waitpid(child.first, nullptr, WNOHANG) != 0; });
}

void close_all_but(std::vector<int> keep) {
  std::sort(keep.begin(), keep.end());
  unsigned first = kFirstFd;
  for (const int fd : keep) {
    if (fd < static_cast<int>(first)) continue;
    if (fd > static_cast<int>(first)) close_range(first, static_cast<unsigned>(fd) - 1, 0);
    first = static_cast<unsigned>(fd) + 1;
  }
  close_range(first, ~0u, 0);
}

[[noreturn]] void run_child(int pipe_end, void* answer, size_t size, const std::function<int(void*)>& work,
                            std::vector<int> keep) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  keep.push_back(pipe_end);
  close_all_but(keep);
  const int error = work(answer);
  std::array<char, sizeof(int) + kMaxBoundedAnswerBytes> message{};
  memcpy(message.data(), &error, sizeof(error));
  if (size > 0) memcpy(message.data() + sizeof(error), answer, size);
  const ssize_t wanted = static_cast<ssize_t>(sizeof(error) + size);
  _exit(write(pipe_end, message.data(), static_cast<size_t>(wanted)) == wanted ? 0 : 1);
}

// Reads what the child has to say; false: not in time. While this process itself stands still, which then the
// child may do as well, no time passes.
bool read_answer(int fd, uint64_t limit_ms, char* message, size_t size, size_t& got) {
  uint64_t waited_ms = 0, last = real_clock().now_ms();
  got = 0;
  while (got < size) {
    const bool last_look = waited_ms >= limit_ms;
    pollfd waiting{fd, POLLIN, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(std::min<uint64_t>(limit_ms - waited_ms, kSliceMs)));
    if (ready < 0 && errno != EINTR) return false;
    if (ready <= 0) {
      if (last_look) return false;
      const uint64_t now = real_clock().now_ms();
      waited_ms = std::min<uint64_t>(limit_ms, waited_ms + std::min<uint64_t>(now - last, 2 * kSliceMs));
      last = now;
      continue;
    }
    const ssize_t count = read(fd, message + got, size - got);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return true;  // the child has died without an answer
    got += static_cast<size_t>(count);
  }
  return true;
}

void end_child(pid_t pid, const std::string& what) {
  kill(pid, SIGKILL);
  const uint64_t until = real_clock().now_ms() + kDeathMs;
  while (waitpid(pid, nullptr, WNOHANG) == 0) {
    if (real_clock().now_ms() >= until) {
      std::lock_guard lock(abandoned_mutex);
      abandoned[pid] = what;
      log(LogLevel::kWarning, "csi",
          "process " + std::to_string(pid) + " does not end (" + what + "); it is left behind (" +
              std::to_string(abandoned.size()) + " such)");
      return;
    }
    usleep(2000);
  }
}

bool is_abandoned(const std::string& what) {
  std::lock_guard lock(abandoned_mutex);
  return std::any_of(abandoned.begin(), abandoned.end(),
                     [&](const auto& child) { return child.second == what; });
}

}  // namespace

uint32_t abandoned_calls() {
  reap_abandoned();
  std::lock_guard lock(abandoned_mutex);
  return static_cast<uint32_t>(abandoned.size());
}

Result<BoundedResult> run_bounded_bytes(const std::string& what, uint32_t deadline_ms, void* answer,
                                        size_t size, const std::function<int(void*)>& work,
                                        const std::vector<int>& keep) {
  SHIMA_CHECK(size <= kMaxBoundedAnswerBytes, "the answer of a bounded call fits its pipe");
  if (abandoned_calls() >= kMaxAbandonedCalls) {
    return Status(Code::kUnavailable,
                  "64 system calls on mounts of this node hang; find the dead mounts in its mount table");
  }
  if (is_abandoned(what)) return BoundedResult{false, 0};
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return status_of_errno("make a pipe", errno);
  OwnedFd reading(ends[0]), writing(ends[1]);
  const pid_t pid = fork();
  if (pid < 0) return status_of_errno("start a process", errno);
  if (pid == 0) run_child(writing.get(), answer, size, work, keep);
  writing = OwnedFd();
  std::array<char, sizeof(int) + kMaxBoundedAnswerBytes> message{};
  size_t got = 0;
  BoundedResult result;
  result.in_time = read_answer(reading.get(), deadline_ms, message.data(), sizeof(int) + size, got);
  end_child(pid, what);
  if (!result.in_time) return result;
  if (got != sizeof(int) + size) return Status(Code::kInternal, "a bounded call died without an answer");
  memcpy(&result.error, message.data(), sizeof(int));
  if (size > 0) memcpy(answer, message.data() + sizeof(int), size);
  return result;
}

Status bounded_status(const std::string& what, uint32_t deadline_ms, const Result<BoundedResult>& result) {
  if (!result) return result.status().with_context(what);
  if (!result->in_time) {
    return {Code::kDeadlineExceeded, "cannot " + what + ": no answer within " + std::to_string(deadline_ms) +
                                         " ms; its servers do not answer"};
  }
  return result->error == 0 ? Status::ok() : status_of_errno(what, result->error);
}

Status run_bounded(const std::string& what, uint32_t deadline_ms, const std::function<int()>& work,
                   const std::vector<int>& keep) {
  char unused = 0;
  return bounded_status(what, deadline_ms,
                        run_bounded_bytes(
                            what, deadline_ms, &unused, 0, [&](void*) { return work(); }, keep));
}

Status status_of_errno(const std::string& what, int error) {
  Code code = Code::kIo;
  switch (error) {
    case ENOENT:
    case ENODEV:
      code = Code::kNotFound;
      break;
    case EACCES:
    case EPERM:
      code = Code::kPermissionDenied;
      break;
    case ENOSPC:
    case EDQUOT:
      code = Code::kNoSpace;
      break;
    case EBUSY:
      code = Code::kFailedPrecondition;
      break;
    case EEXIST:
      code = Code::kAlreadyExists;
      break;
    case ENOTCONN:
    case ESTALE:
    case ECONNABORTED:
    case ETIMEDOUT:
      code = Code::kUnavailable;
      break;
    default:
      break;
  }
  return {code, "cannot " + what + ": " + strerror(error)};
}

}  // namespace shima
