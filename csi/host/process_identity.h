// ProcessIdentity: a process for certain, though pids are used again: pid, its start by the kernel's clock
// (proc(5), field 22 of /proc/PID/stat), and the boot that this was in. Threads: any.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "csi/host/absolute_path.h"

namespace shima {

struct ProcessIdentity {
  pid_t pid = 0;
  uint64_t start_ticks = 0;
  std::string boot_id;

  bool operator==(const ProcessIdentity&) const = default;
};

// PURE. Field 22; the name in field 2 may hold anything, also blanks and parentheses.
std::optional<uint64_t> start_ticks_of_stat(std::string_view stat);

std::string boot_id();

// None: there is no such process (any more), or it is a zombie.
std::optional<ProcessIdentity> identify_process(pid_t pid);

// A pidfd of exactly this process; none: it has ended.
OwnedFd open_process(const ProcessIdentity& identity);

// True: it has ended. `process` is a pidfd.
bool wait_for_end(const OwnedFd& process, uint32_t timeout_ms);

// 0 or errno.
int send_signal(const OwnedFd& process, int number);

}  // namespace shima
