// ClusterReconciler: brings one ShimaCluster after another to what its spec asks for.
//
// reconcile() looks at what the watches have, decides by PURE functions (operator/desired, rollout, status)
// and does one file a step (cluster_pass.h). It may be called at any time and any number of times; it keeps
// nothing that a restart must not lose. Threads: one at a time; `wake` is called on threads of the cluster's
// CoreWatch and must only make a note.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "common/runtime/clock.h"
#include "operator/core_view/core_watch.h"
#include "operator/reconcile/claims.h"
#include "operator/reconcile/cluster_pass.h"
#include "operator/reconcile/object_api.h"

namespace shima {

struct ReconcilerOptions {
  std::string instance;              // this operator's name, for events
  std::set<std::string> namespaces;  // that are looked after; empty: all
  std::string image;                 // of this operator; empty: not known
  std::string name_space;            // that this operator runs in; empty: not known
  uint64_t settle_ms = 10'000;       // longer than the core servers' lease; see restart_guard.h
  CoreWatchOptions core_watch;
  std::function<bool()> may_act = {};  // whether this process leads; any thread; empty: it always does
  EtcdConnect connect_etcd = {};       // to change who etcd's members are; empty: EtcdMembership::connect()
};

struct ReconcileResult {
  bool failed = false;          // nobody answered: try again, later and later
  uint64_t again_after_ms = 0;  // 0: when something changes
};

// Where time comes from: `clock` to measure, `wall_us` (since 1970, UTC) to be written down.
struct ReconcilerClocks {
  const Clock& clock;
  std::function<uint64_t()> wall_us;
};

class ClusterReconciler {
 public:
  // All must outlive it. `api_kinds`: the optional kinds that the API server knows, as ObservedCluster has
  // them.
  ClusterReconciler(ObjectCalls& calls, const ObjectView& view,
                    std::function<std::set<std::string>()> api_kinds, CoreWatch::Connect connect,
                    ReconcilerOptions options, ReconcilerClocks clocks,
                    std::function<void(const std::string& key)> wake);

  // `key`: NAMESPACE/NAME of a ShimaCluster, which may be gone.
  ReconcileResult reconcile(const std::string& key);
  // Of all ShimaClusters that are looked after.
  std::set<std::string> keys() const;
  // Stops to look at core servers: this operator is not the leader any more.
  void forget_all() { states_.clear(); }

 private:
  ClusterState& state_of(const std::string& key);
  void look(ClusterPass& pass) const;
  void find_objects(ClusterPass& pass) const;
  bool knows_enough(ClusterPass& pass) const;
  void check_claims(ClusterPass& pass);
  void bring_about(ClusterPass& pass);
  void watch_core_servers(ClusterPass& pass, const std::string& key);
  void tell(ClusterPass& pass);

  ObjectCalls& calls_;
  const ObjectView& view_;
  const std::function<std::set<std::string>()> api_kinds_;
  const CoreWatch::Connect connect_;
  const ReconcilerOptions options_;
  const ReconcilerClocks clocks_;
  const std::function<void(const std::string& key)> wake_;
  ClaimReader claims_;
  std::map<std::string, std::unique_ptr<ClusterState>> states_;
};

}  // namespace shima
