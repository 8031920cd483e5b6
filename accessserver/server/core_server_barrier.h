// CoreServerBarrier: waits until every core server that is alive in etcd acts on a revision of etcd (R20).
//
// Whoever takes a shared address over waits here, so that nothing that the former holder sent can still be
// carried out after a client has repeated it through the new holder. A core server that does not answer is
// waited for until its alive record is gone (its lease: some 6 s). All are asked at the same time, each call
// with a limit, and again until it has answered. Threads: wait() from any, several at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/etcd/etcd_client.h"
#include "common/status/status.h"

namespace shima {

class ClusterView;

struct AliveCoreServer {
  uint64_t id = 0;
  uint64_t incarnation = 0;
  std::string name;      // SITE/core-N
  std::string endpoint;  // control plane, HOST:PORT
};

class CoreServerBarrier {
 public:
  // Those that are alive in etcd, as of `revision` at least; an error if that is not known in time.
  using Alive = std::function<Result<std::vector<AliveCoreServer>>(EtcdRevision revision)>;
  // Ok: this very server acts on the revision. Blocks, not longer than some seconds.
  using Ask = std::function<Status(const AliveCoreServer& server, EtcdRevision revision)>;

  CoreServerBarrier(Alive alive, Ask ask, uint32_t pause_ms = 50);
  // Over a view of the cluster, which must outlive the barrier, and the control plane.
  explicit CoreServerBarrier(const ClusterView& view);

  // Blocks. kUnavailable: wanted() has become false meanwhile.
  Status wait(EtcdRevision revision, const std::function<bool()>& wanted) const;

 private:
  const Alive alive_;
  const Ask ask_;
  const uint32_t pause_ms_;
};

}  // namespace shima
