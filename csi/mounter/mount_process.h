// Starting shima-accessserver for one FUSE mount, in a session of its own, so that it lives on when the
// mounter is killed. It runs the configured program only, without a shell, with the arguments made here.
// Threads: any.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/status/status.h"
#include "csi/mounter/mount_record.h"

namespace shima {

struct MounterOptions {
  std::string accessserver_path;            // absolute
  std::string site;                         // of this node
  std::vector<std::string> core_endpoints;  // own site's first
  std::vector<std::string> roots;           // mounts are below these only
  std::string state_dir;
};

// PURE. kInvalidArgument: a path, name or number that is not as it must be, before it becomes an argument.
Status check_mount_request(const MountRecord& wanted, const std::vector<std::string>& roots);

// PURE. The command line, the program's path first.
std::vector<std::string> mount_command(const MounterOptions& options, const MountRecord& wanted);

// Starts it. The child waits until `recorded`, which is called with the process before the program begins,
// has returned ok: whatever dies in between, no process is there that no record names. Its output goes to
// `log_file`.
Result<ProcessIdentity> start_mount_process(const std::vector<std::string>& command,
                                            const std::string& log_file,
                                            const std::function<Status(const ProcessIdentity&)>& recorded);

// The last `bytes` of a file, from the beginning of a line, without control characters; empty: there is none.
std::string end_of_file(const std::string& path, size_t bytes);

// Lets a log that has become longer than `most_bytes` begin again with its last 64 KiB. Its writer appends.
void limit_log(const std::string& path, uint64_t most_bytes);

}  // namespace shima
