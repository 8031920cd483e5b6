// SiteCapacity: how many bytes are free on the disks of each site's core servers.
//
// Asked of every server that is alive, all at once, and remembered for kKeepMs: an orchestrator asks for each
// StorageClass and site again and again. A server that does not answer counts for nothing. Threads: any; a
// call may block for some seconds.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "common/runtime/clock.h"
#include "common/status/status.h"
#include "csi/controller/control_plane.h"

namespace shima {

class SiteCapacity {
 public:
  static constexpr uint64_t kKeepMs = 10'000;

  // Both must outlive it.
  SiteCapacity(ControlPlane& plane, const Clock& clock) : plane_(plane), clock_(clock) {}

  // By site; sites with servers only, of which none may be alive. kUnavailable: no core server answers at
  // all.
  Result<std::map<std::string, uint64_t>> free_bytes();

 private:
  Result<std::map<std::string, uint64_t>> ask();

  ControlPlane& plane_;
  const Clock& clock_;
  std::mutex mutex_;
  bool asked_ = false;
  uint64_t asked_ms_ = 0;
  std::map<std::string, uint64_t> free_bytes_;
};

}  // namespace shima
