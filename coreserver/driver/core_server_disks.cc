// A core server and the disks that etcd knows it has (decision 0014): an empty directory in the place of one
// is no new disk.
//
// At the start an empty directory is only written to once etcd has said that nothing is missing; after that
// the disks are put on record, before the server registers. A disk that has a superblock is opened while etcd
// does not answer, so that a server with all its disks comes up then; if it does, it is asked first whether
// this release may run here, since opening may write.
#include <csignal>
#include <cstdlib>
#include <set>
#include <thread>

#include "common/observe/log.h"
#include "coreserver/cluster/disk_store.h"
#include "coreserver/driver/core_server.h"

namespace shima {

namespace {

constexpr auto kAskAgain = std::chrono::milliseconds(500);
constexpr int kPausesWhenRefused = 6;  // of kAskAgain

bool passes_by_itself(const Status& s) {
  return s.code() == Code::kUnavailable || s.code() == Code::kDeadlineExceeded || s.code() == Code::kConflict;
}

// The signals are blocked, and nobody waits for them yet.
bool asked_to_end() {
  sigset_t pending;
  sigemptyset(&pending);
  sigpending(&pending);
  return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1;
}

}  // namespace

Status CoreServer::connect_etcd() {
  if (etcd_) return Status::ok();
  EtcdOptions etcd_options;
  etcd_options.call_timeout_ms = options_.etcd_timeout_ms;
  std::string where;
  for (const std::string& endpoint : options_.etcd_endpoints) where += (where.empty() ? "" : ", ") + endpoint;
  log(LogLevel::kInfo, "cluster", "joining through etcd at " + where);
  auto etcd = EtcdClient::create(options_.etcd_endpoints, etcd_options);
  if (!etcd.is_ok()) return etcd.status();
  etcd_ = std::move(*etcd);
  volumes_ = std::make_unique<VolumeStore>(*etcd_);
  return Status::ok();
}

Status CoreServer::confirm_empty_disks() {
  std::vector<FoundDisk> found;
  bool all_there = true;
  for (const DiskOptions& d : options_.disks) {
    auto id = ServerDisk::probe(d.path, options_);
    if (!id.is_ok()) return id.status();
    found.push_back({d.path, *id});
    all_there = all_there && *id != 0;
  }
  if (all_there) return Status::ok();
  SHIMA_RETURN_IF_ERROR(connect_etcd());
  std::string told;
  for (;;) {
    Status status = DiskStore(*etcd_).check(options_.name, found);
    if (!passes_by_itself(status)) return status;
    if (told != status.message())
      log(LogLevel::kWarning, "disk",
          "a disk is empty; asking etcd whether it may be: " + status.to_string());
    told = status.message();
    if (asked_to_end()) return status.with_context("asked to end while waiting for etcd");
    std::this_thread::sleep_for(kAskAgain);
  }
}

Status CoreServer::confirm_release() {
  SHIMA_RETURN_IF_ERROR(connect_etcd());
  std::string told;
  for (;;) {
    Status status = admit_software(*etcd_, options_.name, this_software()).status();
    if (status || passes_by_itself(status)) return Status::ok();  // it is asked again when it joins
    if (told != status.message())
      log(LogLevel::kError, "cluster", "cannot join yet; no disk was opened, trying on: " + status.message());
    told = status.message();
    for (int i = 0; i < kPausesWhenRefused; ++i) {
      if (asked_to_end()) return status.with_context("asked to end while its release is refused");
      std::this_thread::sleep_for(kAskAgain);
    }
  }
}

Result<EtcdRevision> CoreServer::record_disks() {
  std::vector<FoundDisk> found;
  for (const auto& disk : disks_) {
    std::set<std::string> volumes;
    for (const auto& [id, recovered] : recovered_)
      if (recovered.disk == disk.get()) volumes.insert("volume " + recovered.checkpoint.volume);
    found.push_back({disk->path(), disk->id(), {volumes.begin(), volumes.end()}});
  }
  Result<EtcdRevision> recorded = DiskStore(*etcd_).enter(options_.name, found);
  if (recorded.status().code() != Code::kFailedPrecondition) return recorded;
  log(LogLevel::kError, "disk", recorded.status().message());
  std::_Exit(1);  // nothing was served, and waiting does not bring a disk
}

Result<std::vector<ServerDisks>> CoreServer::list_disks() {
  SHIMA_RETURN_IF_ERROR(ready());
  return DiskStore(*etcd_).list();
}

Result<ForgetResult> CoreServer::forget_disk(const std::string& server, uint64_t disk) {
  SHIMA_RETURN_IF_ERROR(ready());
  auto forgotten = DiskStore(*etcd_).forget(server, disk);
  if (forgotten.is_ok() && !forgotten->was_forgotten)
    log(LogLevel::kWarning, "disk",
        "disk " + disk_id_text(disk) + " of " + server + " was declared lost for ever");
  return forgotten;
}

}  // namespace shima
