// Which programs may run together in a cluster, and which formats all of them read.
//
// The promise (docs/explanation/upgrades.md): core servers of one minor release and of its neighbours run
// together. A program that is further away from what any core server of the cluster runs, or ran last, or
// that is older than the formats that the cluster was raised to, is refused before it registers; its own
// server counts, too, since that program wrote its disks. Formats are raised when every registered server
// reads newer ones, also those that are away: they may come back. A server of which the cluster knows no
// software counts as release 1.
//
// Threads: any. Errors: kFailedPrecondition (refused, with what to do), kCorrupt (records), those of etcd.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "common/etcd/etcd_client.h"
#include "common/status/status.h"
#include "coreserver/cluster/cluster_state.h"

namespace shima {

ServerSoftware this_software();

// What there is of other servers: those that the program in question will run together with.
struct OtherServer {
  bool alive = false;
  ServerSoftware software;
};

// PURE. `formats_level`: the cluster's. `before`: what the server itself ran last; nullopt: it is new.
Status check_may_join(const ServerSoftware& own, uint32_t formats_level,
                      const std::map<std::string, OtherServer>& others,
                      const std::optional<ServerSoftware>& before = std::nullopt);
// PURE: the newest formats that all of them and `own` read.
uint32_t formats_level_of_all(const ServerSoftware& own, const std::map<std::string, OtherServer>& others);

// Asks etcd whether server `name` may run `own`; if not, says so there, for the operator and for shimactl, so
// that it stays for two minutes from the last time that it was asked. The result is the revision of
// formats_gate_key(), to be compared in the registration's transaction: who was let in before the gate was
// raised, and registers after it, must ask again.
Result<EtcdRevision> admit_software(EtcdClient& etcd, const std::string& name, const ServerSoftware& own);

// Raises the cluster's formats if all servers read newer ones; to be called by a server that is registered.
// First the gate, then another look at who has registered by then, then the formats: so no program that reads
// less can slip in between. A server that dies on the way leaves the gate raised; the next one goes on, or
// lowers it again if by now not all servers read what that one meant to raise.
// kConflict: somebody else does it.
Status raise_formats(EtcdClient& etcd, const std::string& name, const ServerSoftware& own);

}  // namespace shima
