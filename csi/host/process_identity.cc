#include "csi/host/process_identity.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <fstream>
#include <sstream>

#include "common/runtime/clock.h"

namespace shima {
namespace {

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// What follows the name: the state is first, so field N of proc(5) is at N - 3.
std::string_view behind_name(std::string_view stat) {
  const size_t end = stat.rfind(')');
  return end == std::string_view::npos || end + 2 > stat.size() ? std::string_view() : stat.substr(end + 2);
}

}  // namespace

std::optional<uint64_t> start_ticks_of_stat(std::string_view stat) {
  std::string_view rest = behind_name(stat);
  for (int field = 3; field < 22; ++field) {
    const size_t blank = rest.find(' ');
    if (blank == std::string_view::npos) return std::nullopt;
    rest.remove_prefix(blank + 1);
  }
  uint64_t ticks = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), ticks);
  if (error != std::errc() || end == rest.data()) return std::nullopt;
  return ticks;
}

std::string boot_id() {
  std::string id = text_of("/proc/sys/kernel/random/boot_id");
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

std::optional<ProcessIdentity> identify_process(pid_t pid) {
  if (pid <= 0) return std::nullopt;
  const std::string stat = text_of("/proc/" + std::to_string(pid) + "/stat");
  const std::string_view rest = behind_name(stat);
  if (rest.empty() || rest.front() == 'Z' || rest.front() == 'X') return std::nullopt;
  const std::optional<uint64_t> ticks = start_ticks_of_stat(stat);
  if (!ticks) return std::nullopt;
  return ProcessIdentity{pid, *ticks, boot_id()};
}

OwnedFd open_process(const ProcessIdentity& identity) {
  if (identity.pid <= 0) return OwnedFd();
  OwnedFd process(static_cast<int>(syscall(SYS_pidfd_open, identity.pid, 0)));
  // Looked at after the descriptor was made: from here on it is this process or none.
  if (!process || identify_process(identity.pid) != identity) return OwnedFd();
  return process;
}

bool wait_for_end(const OwnedFd& process, uint32_t timeout_ms) {
  const uint64_t until = real_clock().now_ms() + timeout_ms;
  while (true) {
    const uint64_t now = real_clock().now_ms();
    pollfd waiting{process.get(), POLLIN, 0};
    const int ready = poll(&waiting, 1, now >= until ? 0 : static_cast<int>(until - now));
    if (ready > 0) return true;
    if ((ready == 0 && now >= until) || (ready < 0 && errno != EINTR)) return false;
  }
}

int send_signal(const OwnedFd& process, int number) {
  return syscall(SYS_pidfd_send_signal, process.get(), number, nullptr, 0) == 0 ? 0 : errno;
}

}  // namespace shima
