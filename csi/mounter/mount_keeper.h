// MountKeeper: the FUSE mounts of this node, each a process of shima-accessserver.
//
// A record is on disk before its process begins, and until its mount is gone; a new keeper finds the
// processes of an earlier one by their records and goes on with them. Calls for one path run one after
// another; a second one gets kConflict. A process that ends by itself leaves its mount dead: it is listed as
// not running until start() makes it anew or stop() takes it away. Threads: any. Errors: see the service,
// api/shima/mounter/v1/mounter.proto.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "common/status/status.h"
#include "csi/host/state_file.h"
#include "csi/mounter/mount_process.h"

namespace shima {

struct KeptMount {
  MountRecord record;
  bool running = false;
  int exit_code = -1;   // -1: unknown or killed
  std::string log_end;  // of one that does not run
};

struct StoppedMount {
  bool aborted = false;
  int exit_code = -1;
  std::string log_end;
};

class MountKeeper {
 public:
  // Reads the records of the state folder; one that is not readable is left where it is, and logged.
  static Result<std::unique_ptr<MountKeeper>> open(MounterOptions options);

  Result<KeptMount> start(const MountRecord& wanted, uint32_t timeout_ms);
  Result<StoppedMount> stop(const std::string& path, uint32_t timeout_ms);
  std::vector<KeptMount> list();

  // Takes the exit codes of children that have ended, and keeps logs short. To be called every few seconds.
  void look_after();

 private:
  class BusyPath;
  MountKeeper(MounterOptions options, StateFolder folder)
      : options_(std::move(options)), folder_(std::move(folder)) {}

  Status load();
  std::vector<MountRecord> records();
  Status store(const MountRecord& record);
  std::string log_file(const std::string& path) const;
  KeptMount look(const MountRecord& record);
  Result<KeptMount> make(MountRecord record, uint32_t timeout_ms);
  Result<KeptMount> wait_mounted(MountRecord record, uint32_t timeout_ms);
  Result<StoppedMount> take_away(const MountRecord& record, uint32_t timeout_ms);
  Status forget(const std::string& path);
  void reap();

  const MounterOptions options_;
  const StateFolder folder_;
  std::mutex mutex_;                            // of what follows
  std::map<std::string, MountRecord> records_;  // by path
  std::map<pid_t, int> exit_codes_;             // of children that have ended, until they are forgotten
  std::set<std::string> busy_;                  // paths that a call works on
};

}  // namespace shima
