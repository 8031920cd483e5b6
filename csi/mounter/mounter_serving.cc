#include "csi/mounter/mounter_serving.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>

#include "accessserver/server/access_metrics.h"
#include "common/observe/log.h"
#include "csi/host/bounded_call.h"
#include "csi/mounter/mounter_service.h"
#include "csi/server/call_records.h"
#include "csi/server/csi_server.h"

namespace shima {
namespace {

constexpr uint32_t kPredecessorMs = 5000;  // to end
constexpr time_t kLookAfterSeconds = 5, kLookBeforeEndSeconds = 1;
constexpr SocketLimits kRootOnly{0600, 64 << 10};

MounterOptions mounter_options(const CsiOptions& options) {
  MounterOptions mounter;
  mounter.accessserver_path = options.accessserver_path;
  mounter.site = options.site;
  mounter.core_endpoints = options.core_endpoints;
  mounter.roots = {options.publish_root, options.state_dir};
  mounter.state_dir = options.state_dir;
  return mounter;
}

// What a killed mounter left there. Nobody listens on it: the lock of the state folder is ours.
Status remove_old_socket(const std::string& path) {
  struct stat found {};
  if (lstat(path.c_str(), &found) != 0) {
    return errno == ENOENT ? Status::ok() : status_of_errno("look at " + path, errno);
  }
  if (!S_ISSOCK(found.st_mode)) {
    return {Code::kFailedPrecondition, path + " is there and no socket; give another --mounter-endpoint"};
  }
  return unlink(path.c_str()) == 0 || errno == ENOENT ? Status::ok()
                                                      : status_of_errno("remove " + path, errno);
}

// Null, if metrics are off.
Result<std::unique_ptr<AccessMetrics>> start_metrics(const CsiOptions& options, const CallRecords& records) {
  if (options.metrics_port == 0) return std::unique_ptr<AccessMetrics>();
  const std::string name = options.node_name.empty() ? "mounter" : options.node_name;
  return AccessMetrics::start(options.metrics_address, options.metrics_port, name,
                              [&records] { return records.samples(); });
}

// Whether SIGTERM or SIGINT came within that time.
bool is_told_to_end(time_t seconds) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  const timespec pause{seconds, 0};
  return sigtimedwait(&ends, nullptr, &pause) >= 0;
}

void wait_for_signal(MountKeeper& keeper) {
  while (!is_told_to_end(kLookAfterSeconds)) keeper.look_after();
}

size_t living_mounts(MountKeeper& keeper) {
  const std::vector<KeptMount> mounts = keeper.list();
  return static_cast<size_t>(
      std::count_if(mounts.begin(), mounts.end(), [](const KeptMount& mount) { return mount.running; }));
}

// pid_namespaces(7): when the first process of a container ends, the kernel kills the others, and with them
// the mounts under whoever uses them. So that one serves on until the last mount was taken away.
void wait_for_last_mount(MountKeeper& keeper) {
  size_t told = 0;
  while (const size_t mounts = living_mounts(keeper)) {
    if (mounts != told)
      log(LogLevel::kWarning, "mounter",
          "told to end, but " + std::to_string(mounts) +
              " mounts would end with this container; it serves on until they are taken away: drain the "
              "node of VMs and pods with claims, or send the signal again to end them");
    told = mounts;
    if (is_told_to_end(kLookBeforeEndSeconds)) return;
    keeper.look_after();
  }
}

}  // namespace

Status serve_mounter(const CsiOptions& options) {
  SHIMA_RETURN_IF_ERROR(make_folders(options.state_dir, 0700));
  auto lock = lock_folder(options.state_dir, "mounter.lock", kPredecessorMs);
  if (!lock) return lock.status();
  auto keeper = MountKeeper::open(mounter_options(options));
  if (!keeper) return keeper.status();
  SHIMA_RETURN_IF_ERROR(remove_old_socket(options.socket_path));
  MounterGrpcService service(**keeper);
  CallRecords records("mounter");
  auto metrics = start_metrics(options, records);
  if (!metrics) return metrics.status();
  auto server =
      CsiServer::start(options.socket_path, {&service}, records, options.log_level == "debug", kRootOnly);
  if (!server) return server.status();
  log(LogLevel::kInfo, "mounter", "serves on " + options.socket_path);
  wait_for_signal(**keeper);
  const bool takes_mounts_along = getpid() == 1;
  if (takes_mounts_along) wait_for_last_mount(**keeper);
  log(LogLevel::kInfo, "mounter", takes_mounts_along ? "stopping" : "stopping; mounts go on without it");
  return {};
}

}  // namespace shima
