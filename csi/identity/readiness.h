// Readiness: whether the driver could do what it is asked now, and if not, why.
//
// As controller: some core server answers, and it is connected to etcd. As node plug-in: this node's mounter
// answers, and some core server does. Threads: any; look() blocks for as long as the control plane's and the
// mounter's limits say.
#pragma once

#include <atomic>
#include <functional>

#include "common/status/status.h"
#include "csi/controller/control_plane.h"
#include "csi/options/csi_options.h"

namespace shima {

class Readiness {
 public:
  using AskMounter = std::function<Status()>;

  // Both must outlive it. `ask_mounter` is called only as node plug-in.
  Readiness(ControlPlane& plane, const CsiOptions& options, AskMounter ask_mounter)
      : plane_(plane), options_(options), ask_mounter_(std::move(ask_mounter)) {}

  // Ok, or the reason.
  Status look();
  // It was ready once since the process began: what is wrong now is not that it still starts.
  bool was_ready() const { return was_ready_; }

 private:
  ControlPlane& plane_;
  const CsiOptions& options_;
  const AskMounter ask_mounter_;
  std::atomic<bool> was_ready_{false};
};

}  // namespace shima
