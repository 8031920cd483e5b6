// SiteCapacity: how many bytes are free on the disks of core servers, by site.
//
// Asked of every server that is alive, all at once, and remembered for kKeepMs: an orchestrator asks for each
// StorageClass and site again and again. A server that does not answer counts for nothing. Disks that lie on
// one file system (stats.proto, DiskStats.file_system) are counted once, with the least that one of their
// servers said; a disk that does not say where it lies is counted for itself. Threads: any; a call may block
// for some seconds.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "common/runtime/clock.h"
#include "common/status/status.h"
#include "csi/controller/control_plane.h"

namespace shima {

// One disk of a core server.
struct DiskSpaceOfSite {
  std::string site;
  std::string file_system;  // empty: not known
  uint64_t free_bytes = 0;
};

// PURE. Of the disks at the sites that count.
uint64_t free_bytes_of(const std::vector<DiskSpaceOfSite>& disks,
                       const std::function<bool(const std::string& site)>& counts);

class SiteCapacity {
 public:
  static constexpr uint64_t kKeepMs = 10'000;

  // Both must outlive it.
  SiteCapacity(ControlPlane& plane, const Clock& clock) : plane_(plane), clock_(clock) {}

  // At all sites for which `counts` is true, together. kUnavailable: no core server answers at all.
  Result<uint64_t> free_bytes(const std::function<bool(const std::string& site)>& counts);

 private:
  Result<std::vector<DiskSpaceOfSite>> ask();

  ControlPlane& plane_;
  const Clock& clock_;
  std::mutex mutex_;
  bool asked_ = false;
  uint64_t asked_ms_ = 0;
  std::vector<DiskSpaceOfSite> disks_;
};

}  // namespace shima
