// VolumeStore: changes of volumes' records, each one compare-and-swap (R4), tried again when another change
// came first.
//
// Unknown outcomes: when etcd does not say whether a compare-and-swap was made, it is asked again until the
// record shows the change, or shows another one (then ours can never be made any more), or our repetition has
// won. Only when that takes longer than timeout_ms the answer is kDeadlineExceeded: the change may be made at
// any later time, and whoever depends on it keeps its volume sealed and calls again. All operations may be
// repeated.
// Threads: all methods block and may be called from any thread.
// Errors: kNotFound, kAlreadyExists, kInvalidArgument, kFailedPrecondition, kStaleTerm, kUnavailable (surely
// not done), kDeadlineExceeded (unknown), kCorrupt (a record that this version cannot read).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/etcd/etcd_client.h"
#include "common/status/status.h"
#include "coreserver/cluster/cluster_state.h"
#include "coreserver/cluster/volume_changes.h"

namespace shima {

struct VolumeSpec {
  std::string name;
  uint32_t copies = 0;             // 0: as many as `sites`, or the lesser of 3 and the number of sites
  std::vector<std::string> sites;  // empty: chosen
  std::string home;  // empty: the first of `sites`, or the first site in name order that can be a home
  replication::AckMode ack = replication::AckMode::kLocal;
  uint32_t block_size = kDefaultBlockSize;
  uint64_t size_bytes = 0;
  uint64_t max_inodes = 0;
  uint32_t groups = kDefaultGroups;  // data groups
  bool published_only = false;
  std::map<std::string, std::string> labels;
};

class VolumeStore {
 public:
  // `timeout_ms`: how long one operation goes on trying. `etcd` must outlive the store.
  explicit VolumeStore(EtcdClient& etcd, uint32_t timeout_ms = 15000)
      : etcd_(etcd), timeout_ms_(timeout_ms) {}

  Result<VolumeInfo> get(const std::string& name);
  // Without records that cannot be read: one of them must not keep a server from joining.
  Result<std::vector<VolumeInfo>> list();

  // Chooses members among the servers that are alive in etcd now; each is named with its newest incarnation.
  Result<VolumeInfo> create_volume(const VolumeSpec& spec);
  // As with_quotas(), with_publication(), without_publication() and with_deleting() say (volume_changes.h).
  Result<VolumeInfo> set_quotas(const std::string& name, uint64_t size_bytes,
                                std::optional<uint64_t> max_inodes = {});
  Result<VolumeInfo> publish(const std::string& name, const PublicationInfo& wanted);
  Result<VolumeInfo> unpublish(const std::string& name, const std::string& node);
  Result<VolumeInfo> mark_deleting(const std::string& name, bool force = false);
  // The last member server's call removes the record. Ok if it is gone already, or the name is another
  // volume's now.
  Status confirm_dropped(const std::string& name, VolumeId id, ServerId server);

  // Names the incarnation in every volume that `server` is a member of, one compare-and-swap a volume; those
  // that name it already are left as they are. Returns the volumes that have the server as a member, as they
  // stand now.
  Result<std::vector<VolumeInfo>> claim_restart(ServerId server, Incarnation incarnation,
                                                const LoggedTerms& logged = {});
  // The same for one volume: for one that was created while the server restarted.
  Result<VolumeInfo> claim_volume(const std::string& name, ServerId server, Incarnation incarnation,
                                  const LoggedTerms& logged = {});
  // A server has data of a volume with this id: no id up to it is given to a new volume, also if etcd was
  // set back and does not know that it was given.
  Status skip_ids_up_to(VolumeId id);

  // As with_memberships() says: only on the very record that each primary acted on.
  Result<VolumeInfo> update_memberships(const std::string& name,
                                        const std::vector<MembershipChange>& changes);

 private:
  using Change = std::function<Result<VolumeInfo>(const VolumeInfo&)>;  // from volume_changes.h
  Result<VolumeInfo> change(const std::string& name, const Change& make);
  Result<VolumeInfo> insert(VolumeInfo volume);
  Status remove(VolumeInfo volume);

  EtcdClient& etcd_;
  uint32_t timeout_ms_;
};

}  // namespace shima
