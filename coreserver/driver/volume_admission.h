// VolumeAdmission: who may use a volume now (R20). A group checks every request of a client against it, in
// order with the changes of its volume's record.
//
// PURE and never changed once made; made anew when the volume's record or the access servers' registrations
// change. Nothing here proves who a sender is: what it says in its Greeting is believed
// (docs/decisions/0011-fencing.md).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "common/status/status.h"
#include "coreserver/cluster/cluster_state.h"
#include "shima/metadata/v1/metadata.pb.h"

namespace shima {

// What a volume client said of itself in its Greeting (api/shima/data/v1/data.proto).
struct SessionIdentity {
  std::string node;
  uint64_t publication = 0;
  std::string access_server;
  uint64_t access_incarnation = 0;
  int64_t access_revision = 0;
};

using AccessServers = std::map<std::string, uint64_t>;  // ClusterState::access

class VolumeAdmission {
 public:
  // As the cluster's state at `revision` has it.
  VolumeAdmission(const VolumeInfo& volume, std::shared_ptr<const AccessServers> servers,
                  EtcdRevision revision);

  // kFenced: the sender may not use the volume (any more). kPermissionDenied: it may not change it.
  // kUnavailable: what it says is newer than what is known here: later.
  Status check(const SessionIdentity& who, bool changes) const;

  // The identity that a session of the metadata group is bound to: what `who` may use the volume by.
  void bind(const SessionIdentity& who, metadata::v1::OpenSession& session) const;
  // Whose sessions may live on.
  metadata::v1::CloseFenced admitted() const;

 private:
  struct Node {
    std::string name;
    bool read_only = false;
  };

  std::string name_;
  bool published_only_;
  ConfigVersion version_;
  std::map<uint64_t, Node> publications_;  // by id
  std::shared_ptr<const AccessServers> servers_;
  EtcdRevision revision_;
};

}  // namespace shima
